//! Publishers: each message is written when it is due, however slow the server is (an open loop).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Read, Write};

use super::enter::{Entered, enter};
use super::programme::{self, HEADERS, Programme, Schedule, Unit};
use super::report::{Report, Times};
use super::target::{PublishAccess, PublishTarget};
use super::tls::Socket;
use super::{Common, Failure, cpu, share, up_to};
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::media::Micros;
use crate::rtmp::{Client, ClientSpec, Goal, Url};
use crate::runtime::{Clock, Worker};

/// Publish made-up streams.
#[derive(clap::Args, Debug)]
pub struct Publish {
    #[command(flatten)]
    target: PublishTarget,
    /// How many publishers, each under its own name.
    #[arg(long, default_value_t = 1, value_parser = up_to(10_000))]
    count: u32,
    /// How long, seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    #[command(flatten)]
    programme: Programme,
    #[command(flatten)]
    common: Common,
}

/// Bytes that may wait for a server that does not read; then its publisher gives up.
const BACKLOG_MAX: usize = 16 << 20;

/// A publisher waits awake for the last of at least this long a wait.
const LONG_WAIT: Micros = Micros::from_millis(1);

/// How much of it: more than a core of a virtual machine takes to wake up.
const AWAKE: Micros = Micros(250);

/// Chunk size the publishers announce: like OBS.
const CHUNK_SIZE: u32 = 4_096;

/// How often a publisher looks whether its server said something, in messages.
const LISTEN_EVERY: u32 = 64;

pub(super) fn run(publish: &Publish) -> Result<String, Failure> {
    let (access, url) = publish.target.access()?;
    let places = publish.common.places();
    let cpu_now = || publish.common.pid.map_or(Ok(0.0), cpu::process_seconds);
    let mut workers = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let count = share(publish.count as usize, index, places.len());
        let first = (0..index).map(|n| share(publish.count as usize, n, places.len())).sum();
        let names: Vec<_> = (first..first + count).map(|n| name_of(&url, n)).collect();
        let (programme, seconds) = (publish.programme.clone(), publish.seconds);
        let access = access.clone();
        workers.push(Worker::spawn("load-publish", place.clone(), 0, move || {
            publish_all(&access, &names, &programme, seconds)
        })?);
    }
    let before = cpu_now()?;
    let clock = Clock::start();
    let (mut late, mut bytes, mut messages) = (Times::default(), 0_u64, 0_u64);
    for worker in workers {
        let done = worker.join().ok_or("a publisher failed")??;
        late.merge(&done.late);
        bytes += done.bytes;
        messages += done.messages;
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (mbits, took) = (bytes as f64 * 8e-6, clock.now().secs_f64());
    let mut report = Report::default();
    report.number("publishers", publish.count.into(), "", 0);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    report.number("messages", messages as f64, "", 0);
    report.number("published", mbits, "Mbit", 1);
    report.times("written late by", &late);
    if publish.common.pid.is_some() {
        let cpu = cpu_now()? - before;
        report.number("server CPU", cpu / took * 100.0, "%", 1);
        report.number("CPU per ingested Mbit", cpu / mbits * 1e6, "us", 1);
    }
    Ok(report.text(publish.common.json))
}

fn name_of(url: &Url, index: usize) -> String {
    let more = if index == 0 { String::new() } else { format!("-{}", index + 1) };
    url.expose() + &more
}

/// What the publishers of one thread did.
#[derive(Default)]
struct Done {
    late: Times,
    bytes: u64,
    messages: u64,
}

fn publish_all(
    access: &PublishAccess,
    urls: &[String],
    programme: &Programme,
    seconds: u64,
) -> Result<Done, Failure> {
    let clock = Clock::start();
    let pool = PacketPool::new(PacketPoolSpec::default())?;
    let mut publishers = Vec::new();
    for url in urls {
        publishers.push(Publisher::start(access, &Url::parse(url)?, programme, clock, &pool)?);
    }
    let end = clock.now() + Micros::from_secs(seconds);
    let mut done = Done::default();
    // The streams are spread over a frame's time, as real ones are.
    let spread = 33_333 / publishers.len().max(1) as u64;
    let mut due = BinaryHeap::new();
    for (index, publisher) in publishers.iter_mut().enumerate() {
        publisher.began = clock.now() + Micros(index as u64 * spread);
        due.push(Reverse((publisher.began, index)));
    }
    let to_unix = clock.unix_micros() - clock.now().0;
    while let Some(Reverse((at, index))) = due.pop() {
        if at >= end {
            break;
        }
        wait_until(at, clock);
        done.late.add(clock.now().since(at).0);
        let publisher = &mut publishers[index];
        let next = publisher.write(to_unix + at.0, &pool, clock)?;
        done.messages += 1;
        due.push(Reverse((publisher.began + next, index)));
    }
    for publisher in &mut publishers {
        done.bytes += publisher.sent;
        publisher.client.finish();
        publisher.flush()?;
    }
    Ok(done)
}

/// Waits for the time `at`. A sleep ends late, by what the kernel allows itself and by what an
/// idle core takes to wake up, and a viewer's latency would count that as the server's: the end of
/// a long one is waited through awake.
fn wait_until(at: Micros, clock: Clock) {
    let wait = at.since(clock.now());
    if wait < LONG_WAIT {
        std::thread::park_timeout(wait.into());
        return;
    }
    std::thread::park_timeout((wait - AWAKE).into());
    while clock.now() < at {
        std::hint::spin_loop();
    }
}

/// One stream's publisher.
struct Publisher {
    socket: Socket,
    client: Client,
    schedule: Schedule,
    next: Option<Unit>,
    began: Micros,
    number: u32,
    body: Vec<u8>,
    sent: u64,
}

impl Publisher {
    fn start(
        access: &PublishAccess,
        url: &Url,
        programme: &Programme,
        clock: Clock,
        pool: &PacketPool,
    ) -> Result<Self, Failure> {
        let spec = ClientSpec { chunk_size: CHUNK_SIZE, ..ClientSpec::new(url, Goal::Publish) };
        let Entered { socket, mut client, .. } = enter(access, spec, clock, pool)?;
        socket.tcp().set_nonblocking(true)?;
        let mut schedule = programme.schedule();
        for (kind, body) in HEADERS {
            client.write_message(kind, 0, body)?;
        }
        let next = schedule.next();
        let (began, number, body, sent) = (clock.now(), 0, Vec::new(), 0);
        Ok(Self { socket, client, schedule, next, began, number, body, sent })
    }

    /// Writes the message that is due, and says when the next one is, from the stream's start.
    fn write(&mut self, due_us: u64, pool: &PacketPool, clock: Clock) -> Result<Micros, Failure> {
        let Some(unit) = self.next else { return Ok(Micros(u64::MAX >> 1)) };
        programme::write(&mut self.body, &unit, self.number, due_us);
        self.number = self.number.wrapping_add(1);
        let time = u32::try_from(unit.due.millis() & u64::from(u32::MAX)).unwrap_or(0);
        self.client.write_message(unit.kind, time, &self.body)?;
        self.flush()?;
        if self.number.is_multiple_of(LISTEN_EVERY) {
            self.listen(pool, clock)?;
        }
        self.next = self.schedule.next();
        Ok(self.next.map_or(Micros(u64::MAX >> 1), |unit| unit.due))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        while !self.client.output().is_empty() {
            match self.socket.write(self.client.output()) {
                Ok(count) => {
                    self.sent += count as u64;
                    self.client.consume_output(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("the server is gone: {error}").into()),
            }
        }
        if self.client.output().len() > BACKLOG_MAX {
            return Err("the server does not read what is published".into());
        }
        Ok(())
    }

    /// Pings and acknowledgements.
    fn listen(&mut self, pool: &PacketPool, clock: Clock) -> Result<(), Failure> {
        let mut block = [0; 4_096];
        match self.socket.read(&mut block) {
            Ok(0) => Err("the server ended a publisher".into()),
            Ok(count) => {
                self.client.feed(&block[..count], clock.now(), pool)?;
                while self.client.poll_event().is_some() {}
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(format!("the server is gone: {error}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_publisher_has_a_name_of_its_own() {
        let url = Url::parse("rtmp://127.0.0.1:1940/live/a").unwrap();
        assert_eq!(name_of(&url, 0), "rtmp://127.0.0.1:1940/live/a");
        assert_eq!(name_of(&url, 2), "rtmp://127.0.0.1:1940/live/a-3");
        let url = Url::parse("rtmps://[::1]/live/a").unwrap();
        assert_eq!(name_of(&url, 1), "rtmps://[::1]/live/a-2");
    }
}
