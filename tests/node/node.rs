//! The program under test, with a configuration, a data directory and ports of its own.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::config::Config;
use crate::program::{Ended, Program};
use crate::wait::{SOON, free_port, wait_until};

/// The program, as it was built for these tests.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_stream-manager");

/// A running node.
pub(crate) struct Node {
    program: Program,
    dir: TempDir,
    rtmp: u16,
    http: u16,
}

impl Node {
    /// Starts a node and waits until it is ready.
    pub(crate) fn start(config: &Config) -> Self {
        let dir = TempDir::new().unwrap();
        let file = config.write(dir.path());
        let arguments = ["--config".to_owned(), file.display().to_string()];
        Self::launch(dir, &arguments, [config.rtmp, config.http])
    }

    /// The same in a folder with files of the scenario, which is the node's working directory.
    pub(crate) fn start_in(dir: TempDir, config: &Config) -> Self {
        let mut command = Command::new(BINARY);
        command.current_dir(dir.path()).args(["run", "--config"]).arg(config.write(dir.path()));
        Self::launch_as(command, dir, [config.rtmp, config.http]).ready()
    }

    /// The same with further arguments.
    pub(crate) fn start_with(config: &Config, more: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let file = config.write(dir.path());
        let mut arguments = vec!["--config".to_owned(), file.display().to_string()];
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        Self::launch(dir, &arguments, [config.rtmp, config.http])
    }

    /// The same as the user `nobody`, who owns nothing but the data directory; where these tests
    /// may not change users, as theirs.
    pub(crate) fn start_as_nobody(config: &Config) -> Self {
        let dir = TempDir::new().unwrap();
        let file = config.write(dir.path());
        // The program itself may lie where nobody else may look.
        let binary = dir.path().join("stream-manager");
        std::fs::hard_link(BINARY, &binary)
            .or_else(|_elsewhere| std::fs::copy(BINARY, &binary).map(drop))
            .unwrap();
        let mut command = Command::new(binary);
        if is_root() {
            std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
            let data = dir.path().join("data");
            std::fs::create_dir(&data).unwrap();
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
            command.uid(NOBODY).gid(NOBODY);
        }
        command.current_dir("/").args(["run", "--config"]).arg(file);
        Self::launch_as(command, dir, [config.rtmp, config.http]).listening()
    }

    /// The same with a node whose HTTP speaks TLS.
    pub(crate) fn start_secure(config: &Config) -> Self {
        let dir = TempDir::new().unwrap();
        let file = config.write(dir.path());
        let arguments = ["--config".to_owned(), file.display().to_string()];
        Self::spawn(dir, &arguments, [config.rtmp, config.http]).listening()
    }

    /// The same without a configuration, as a newcomer does.
    pub(crate) fn start_by_default() -> Self {
        let ports = [free_port(), free_port()];
        let options = ["--rtmp-port", "--http-port"].into_iter().zip(ports);
        let arguments: Vec<_> =
            options.flat_map(|(option, port)| [option.to_owned(), port.to_string()]).collect();
        Self::launch(TempDir::new().unwrap(), &arguments, ports)
    }

    fn spawn(dir: TempDir, arguments: &[String], [rtmp, http]: [u16; 2]) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("run").args(arguments);
        Self::launch_as(command, dir, [rtmp, http])
    }

    fn launch_as(mut command: Command, dir: TempDir, [rtmp, http]: [u16; 2]) -> Self {
        command.arg("--data-dir").arg(dir.path().join("data"));
        let program = Program::spawn("stream-manager", command);
        Self { program, dir, rtmp, http }
    }

    /// Starts a node whose process `change` has prepared.
    pub(crate) fn start_changed(config: &Config, change: fn(&mut Command)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new(BINARY);
        command.args(["run", "--config"]).arg(config.write(dir.path()));
        change(&mut command);
        Self::launch_as(command, dir, [config.rtmp, config.http]).listening()
    }

    /// Starts a node with these variables in its environment.
    pub(crate) fn start_with_env(config: &Config, variables: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new(BINARY);
        command.args(["run", "--config"]).arg(config.write(dir.path()));
        command.envs(variables.iter().copied());
        Self::launch_as(command, dir, [config.rtmp, config.http]).ready()
    }

    /// Waits until both ports take connections.
    fn listening(mut self) -> Self {
        for port in [self.rtmp, self.http] {
            wait_until(SOON, "the node listens", || {
                assert!(self.program.runs(), "the node has ended:\n{}", self.program.err());
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        self
    }

    fn launch(dir: TempDir, arguments: &[String], ports: [u16; 2]) -> Self {
        Self::spawn(dir, arguments, ports).ready()
    }

    fn ready(mut self) -> Self {
        wait_until(SOON, "the node is ready", || {
            assert!(self.program.runs(), "the node has ended:\n{}", self.program.err());
            (self.http("/readyz").0 == 200).then_some(())
        });
        self
    }

    /// Ends it in an orderly way, and starts it again in the same folders.
    pub(crate) fn restarted(self, config: &Config) -> Self {
        let Self { program, dir, .. } = self;
        program.signal("TERM");
        let ended = program.ended(SOON);
        assert!(ended.status.success(), "{}", ended.err);
        let file = config.write(dir.path());
        let arguments = ["--config".to_owned(), file.display().to_string()];
        Self::launch(dir, &arguments, [config.rtmp, config.http])
    }

    /// Kills it, and starts it again in the same folders.
    pub(crate) fn killed_and_started(self, config: &Config) -> Self {
        let Self { program, dir, .. } = self;
        program.signal("KILL");
        program.ended(SOON);
        let file = config.write(dir.path());
        let arguments = ["--config".to_owned(), file.display().to_string()];
        Self::launch(dir, &arguments, [config.rtmp, config.http])
    }

    /// Where a stream such as `live/demo` is played.
    pub(crate) fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{stream}", self.rtmp)
    }

    /// Where the development key publishes; viewers see it as [`STUDIO`].
    pub(crate) fn publish_url(&self) -> String {
        format!("{}?key={}", self.url(STUDIO), self.key())
    }

    /// The development key, from what the node prints at its start.
    pub(crate) fn key(&self) -> String {
        wait_until(SOON, "the development key is printed", || {
            find_key(&self.program.out_text()).map(str::to_owned)
        })
    }

    pub(crate) fn rtmp_port(&self) -> u16 {
        self.rtmp
    }

    pub(crate) fn http_port(&self) -> u16 {
        self.http
    }

    /// A file in the scenario's own directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Status (0 if nobody answers) and body of an HTTP request.
    pub(crate) fn http(&self, path: &str) -> (u16, String) {
        get(self.http, path).unwrap_or_default()
    }

    /// The sum of the samples of a metric whose labels contain all of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (status, page) = self.http("/metrics");
        assert_eq!(status, 200, "no metrics: {page}");
        let of_name = page.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let wanted = of_name.filter(|line| labels.iter().all(|label| line.contains(label)));
        wanted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a stream is there to be played.
    pub(crate) fn wait_for_streams(&self, count: u32) {
        wait_until(SOON, "the streams are live", || {
            (self.metric("rtmp_active_streams", &[]) >= f64::from(count)).then_some(())
        });
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        self.program.signal(signal);
    }

    /// Waits for the node's end.
    pub(crate) fn ended(self, limit: Duration) -> Ended {
        self.program.ended(limit)
    }
}

/// The user and group that own nothing.
pub(crate) const NOBODY: u32 = 65_534;

/// Whether these tests may do anything here.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The public name under which the development key publishes.
pub(crate) const STUDIO: &str = "live/studio";

/// The first 64 hex digits in a row.
fn find_key(text: &str) -> Option<&str> {
    let is_key = |word: &&str| word.len() == 64;
    text.split(|c: char| !matches!(c, '0'..='9' | 'a'..='f')).find(is_key)
}

/// Status and body of an HTTP request, if somebody answers.
pub(crate) fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(SOON)).ok()?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Runs the program to its end with these arguments.
pub(crate) fn run_to_end(arguments: &[&str]) -> Ended {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    Program::spawn("stream-manager", command).ended(SOON)
}
