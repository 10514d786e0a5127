//! Redis, as nodes share it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

use tempfile::TempDir;

use crate::node::{BINARY, run_to_end};
use crate::program::{Ended, Program};
use crate::wait::{SOON, free_port, wait_until};

/// Its password.
pub(crate) const PASSWORD: &str = "s3cret-of-redis";

/// A running server.
pub(crate) struct Redis {
    server: Program,
    _dir: TempDir,
    port: u16,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_on(free_port())
    }

    pub(crate) fn start_on(port: u16) -> Self {
        Self::start_with(port, &[])
    }

    /// The same with further options.
    pub(crate) fn start_with(port: u16, options: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--requirepass", PASSWORD, "--dir"]).arg(dir.path()).args(options);
        let server = Program::spawn("redis-server", command);
        wait_until(SOON, "Redis listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { server, _dir: dir, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// `[keys]` of a node that uses it.
    pub(crate) fn table(&self) -> String {
        let url = self.url();
        format!("[keys]\nstore = \"redis\"\nredis_url = \"{url}\"\ntimeout_ms = 300\n")
    }

    /// Says something to it, and gives the first line of its answer.
    pub(crate) fn say(&self, words: &[&str]) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
        for words in [&["AUTH", PASSWORD][..], words] {
            let mut text = format!("*{}\r\n", words.len());
            words.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
            socket.write_all(text.as_bytes()).unwrap();
            if words[0] == "AUTH" {
                assert_eq!(lines.next().unwrap().unwrap(), "+OK");
            }
        }
        lines.next().unwrap().unwrap()
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        self.server.signal(signal);
    }

    /// Runs `stream-manager keys` on it.
    pub(crate) fn keys(&self, line: &str) -> Ended {
        let url = self.url();
        let words: Vec<_> =
            ["keys", "--redis", &url].into_iter().chain(line.split_whitespace()).collect();
        run_to_end(&words)
    }

    /// Makes a key with these options; gives its id and the key itself.
    pub(crate) fn create(&self, options: &str) -> (String, String) {
        made(&self.keys(&format!("create --json {options}")))
    }
}

/// Id and key that `keys create --json` or `keys rotate --json` has printed.
pub(crate) fn made(ended: &Ended) -> (String, String) {
    let out = String::from_utf8_lossy(&ended.out);
    assert!(ended.status.success(), "{BINARY} keys: {out}{}", ended.err);
    let field = |name: &str| {
        let (_, rest) = out.split_once(&format!("\"{name}\": \"")).expect(name);
        rest.split('"').next().unwrap().to_owned()
    };
    (field("id"), field("secret"))
}
