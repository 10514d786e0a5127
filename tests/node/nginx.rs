//! nginx-rtmp as a destination: in the foreground, without root's paths, on a port of its own.

use std::path::Path;

use tempfile::TempDir;

use crate::program::Program;
use crate::wait::{SOON, wait_until};

/// A running nginx with the application `live`. Dropping it kills it.
pub(crate) struct Nginx {
    program: Program,
    dir: TempDir,
    port: u16,
}

impl Nginx {
    /// Starts it and waits until it listens.
    pub(crate) fn start(port: u16) -> Self {
        Self::start_with(port, "")
    }

    /// The same with further lines in the application.
    pub(crate) fn start_with(port: u16, lines: &str) -> Self {
        Self::launch(port, &format!("application live {{ live on; {lines} }}"), "")
    }

    /// The same with its statistics at `/stat` of the port `http`, and with everything that is
    /// published in `live` pushed to its own application `copy`.
    pub(crate) fn start_with_statistics(port: u16, http: u16) -> Self {
        let apps = format!(
            "application live {{ live on; push rtmp://127.0.0.1:{port}/copy; }}\n\
             application copy {{ live on; }}"
        );
        let http = format!(
            "http {{ access_log off; server {{ listen 127.0.0.1:{http};\n\
             location /stat {{ rtmp_stat all; }} }} }}\n"
        );
        Self::launch(port, &apps, &http)
    }

    fn launch(port: u16, apps: &str, http: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let (path, module) = (dir.path().display(), module());
        let text = format!(
            "load_module {module};\ndaemon off; master_process off;\n\
             pid {path}/pid; error_log {path}/error.log info;\n\
             events {{ worker_connections 64; }}\n\
             rtmp {{ access_log off; server {{ listen 127.0.0.1:{port};\n{apps} }} }}\n{http}"
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let (prefix, file) = (path.to_string(), file.display().to_string());
        let program = Program::start(nginx(), "", &["-p", &prefix, "-c", &file]);
        let mut nginx = Self { program, dir, port };
        wait_until(SOON, "nginx listens", || {
            assert!(nginx.program.runs(), "nginx has ended:\n{}", nginx.program.err());
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        nginx
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{name}", self.port)
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        self.program.signal(signal);
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }
}

/// It lies where the path of ordinary users may not lead.
fn nginx() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

fn module() -> &'static str {
    const PLACES: [&str; 2] = [
        "/usr/lib/nginx/modules/ngx_rtmp_module.so",
        "/usr/lib64/nginx/modules/ngx_rtmp_module.so",
    ];
    let found = PLACES.into_iter().find(|path| Path::new(path).exists());
    found.expect("nginx-rtmp is not installed: `make deps` installs what the tests need")
}
