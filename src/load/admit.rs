//! Publisher admission load: time from `publish` on the wire to `NetStream.Publish.Start`, with
//! keys that the node has not seen yet and with keys it has.

use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::enter::enter;
use super::report::{Report, Times};
use super::target::{publish_url, rtmp_access};
use super::tls::{Socket, TrustArgs};
use super::{Common, Failure, cpu, up_to};
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::rtmp::{ClientSpec, Goal, Url};
use crate::runtime::{Clock, Worker};

/// Let publishers in.
#[derive(clap::Args, Clone, Debug)]
pub struct Admit {
    /// `rtmp[s]://HOST[:PORT]/APP`; the keys are stream names in it.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    trust: TrustArgs,
    /// File of stream keys, one a line; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// How often all the keys are shown, each time in the order of the file.
    #[arg(long, default_value_t = 2, value_parser = up_to(1_000))]
    rounds: u32,
    /// Stay in with the last key until the server ends that, and say when: `ended` and the time of
    /// day in microseconds.
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    common: Common,
}

/// Longest time that a publisher is held.
const HOLD_LIMIT: Duration = Duration::from_secs(60);

/// Keys at most.
const KEYS_MAX: usize = 100_000;

pub(super) fn run(admit: &Admit) -> Result<String, Failure> {
    let place = admit.common.cores.clone();
    let ours = admit.clone();
    let worker = Worker::spawn("load-admit", place, 0, move || run_here(&ours))?;
    worker.join().ok_or("a thread failed")?
}

fn run_here(admit: &Admit) -> Result<String, Failure> {
    let keys = read_keys(admit)?;
    let access = rtmp_access(&publish_url(&format!("{}/any", admit.url))?, &admit.trust)?;
    let urls = keys.iter().map(|key| Url::parse(&format!("{}/{key}", admit.url)));
    let urls: Vec<Url> = urls.collect::<Result<_, _>>()?;
    let pool = PacketPool::new(PacketPoolSpec::default())?;
    let cpu_now = || admit.common.pid.map_or(Ok(0.0), cpu::process_seconds);
    let (clock, before) = (Clock::start(), cpu_now()?);
    let (mut first, mut again) = (Times::default(), Times::default());
    let mut last = None;
    for round in 0..admit.rounds {
        let times = if round == 0 { &mut first } else { &mut again };
        for url in &urls {
            // The one before leaves: its connection is closed here.
            drop(last.take());
            let publisher = enter(&access, ClientSpec::new(url, Goal::Publish), clock, &pool)?;
            times.add(publisher.waited.0);
            last = Some(publisher.socket);
        }
    }
    let cpu = cpu_now()? - before;
    let mut report = Report::default();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    report.number("keys", urls.len() as f64, "", 0);
    report.times("first time", &first);
    if again.count() > 0 {
        report.times("again", &again);
    }
    if admit.common.pid.is_some() {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let count = (first.count() + again.count()) as f64;
        report.number("CPU per publisher", cpu / count * 1e6, "us", 1);
    }
    if let Some(socket) = last.filter(|_| admit.hold) {
        tell_that_it_is_in(clock)?;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for microseconds")]
        report.number("ended", end_of(socket, clock)? as f64, "us", 0);
    }
    Ok(report.text(admit.common.json))
}

fn read_keys(admit: &Admit) -> Result<Vec<String>, Failure> {
    let text = match admit.keys.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin())?,
        _ => std::fs::read_to_string(&admit.keys)
            .map_err(|error| format!("{}: {error}", admit.keys.display()))?,
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<_> = lines.map(str::to_owned).collect();
    match keys.len() {
        0 => Err("there is no key in the file: write one a line".into()),
        1..=KEYS_MAX => Ok(keys),
        more => Err(format!("{more} keys are too many; {KEYS_MAX} may be given").into()),
    }
}

#[expect(clippy::print_stdout, reason = "whoever waits for that reads it")]
fn tell_that_it_is_in(clock: Clock) -> std::io::Result<()> {
    println!("in {}", clock.unix_micros());
    std::io::stdout().flush()
}

/// When the server has closed the connection, microseconds since 1970.
fn end_of(mut socket: Socket, clock: Clock) -> Result<u64, Failure> {
    socket.tcp().set_read_timeout(Some(HOLD_LIMIT))?;
    let mut block = [0; 4_096];
    loop {
        match socket.read(&mut block) {
            Ok(0) => return Ok(clock.unix_micros()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return Ok(clock.unix_micros());
            }
            Err(error) => return Err(format!("the server does not end it: {error}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_lines_of_a_file_and_one_without_any_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let common = Common { cores: Vec::new(), json: true, pid: None };
        let url = "rtmp://127.0.0.1:1/live".to_owned();
        let trust = TrustArgs::default();
        let admit = Admit { url, trust, keys: keys.clone(), rounds: 1, hold: false, common };
        let told = read_keys(&admit).unwrap_err().to_string();
        assert!(told.contains(&keys.display().to_string()), "{told}");
        std::fs::write(&keys, "\n \n").unwrap();
        assert!(read_keys(&admit).unwrap_err().to_string().contains("one a line"));
        std::fs::write(&keys, "a\n\n b \n").unwrap();
        assert_eq!(read_keys(&admit).unwrap(), ["a", "b"]);
    }
}
