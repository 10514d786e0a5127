//! Gaps: a destination is told that a stream is over when its publisher says so, and nothing when
//! the publisher was lost.

use crate::amf::Amf;
use crate::config::Config;
use crate::destination::{Destination, Heard};
use crate::nginx::Nginx;
use crate::node::Node;
use crate::program::Program;
use crate::publisher::{AAC, KEY, Publisher};
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::wire::{AUDIO, Message, VIDEO};

/// Publishes until the destinations have so many connections.
fn publish(node: &Node, destinations: &[&Destination], round: usize) -> Publisher {
    let mut publisher = Publisher::both(node, "show");
    let mut time = 0;
    wait_until(SOON, "the stream is pushed", || {
        publisher.send(VIDEO, time, KEY);
        publisher.send(AUDIO, time, AAC);
        time += 40;
        let is_there = |it: &&Destination| {
            let last = it.heard().into_iter().rev();
            let is_key = |heard: &Heard| matches!(heard, Heard::Message(it) if it.is_key());
            closed(it) == round
                && last.take_while(|it| !matches!(it, Heard::Closed)).any(|it| is_key(&it))
        };
        destinations.iter().all(is_there).then_some(())
    });
    publisher
}

fn closed(destination: &Destination) -> usize {
    destination.heard().iter().filter(|heard| matches!(heard, Heard::Closed)).count()
}

/// The commands of a goodbye so far.
fn goodbyes(destination: &Destination) -> Vec<String> {
    let commands = destination.messages().iter().map(Message::command).collect::<Vec<_>>();
    let is_goodbye = |name: &String| name == "FCUnpublish" || name == "deleteStream";
    commands.into_iter().filter(is_goodbye).collect()
}

fn say_goodbye(publisher: &mut Publisher) {
    publisher.wire.say(0, "FCUnpublish", 0.0, &[Amf::Null, Amf::text("show")]);
    let stream = f64::from(publisher.stream);
    publisher.wire.say(0, "deleteStream", 0.0, &[Amf::Null, Amf::Number(stream)]);
}

#[test]
fn a_destination_is_told_goodbye_when_the_publisher_says_so_and_not_when_it_is_lost() {
    let _turn = beside_others();
    let (holds, ends) = (Destination::start(), Destination::start());
    let config = Config::new()
        .publish_open()
        .rtmp("grace = 0")
        .push("live/show", &holds.url(), "on_gap = \"hold\"")
        .push("live/show", &ends.url(), "on_gap = \"end\"");
    let node = Node::start(&config);
    let both = [&holds, &ends];
    drop(publish(&node, &both, 0));
    wait_until(SOON, "both are left", || both.iter().all(|it| closed(it) == 1).then_some(()));
    assert!(goodbyes(&holds).is_empty(), "{:?}", goodbyes(&holds));
    assert_eq!(goodbyes(&ends), ["FCUnpublish", "deleteStream"]);

    let mut publisher = publish(&node, &both, 1);
    say_goodbye(&mut publisher);
    wait_until(SOON, "both are left again", || both.iter().all(|it| closed(it) == 2).then_some(()));
    assert_eq!(goodbyes(&holds), ["FCUnpublish", "deleteStream"]);
}

/// Whether nginx has been told that stream `round` of those that were pushed is over, before its
/// connection was; `None` while there is that.
fn is_told(log: &str, round: usize) -> Option<bool> {
    let begin = log.lines().filter(|line| line.contains("publish: name='pushed'")).nth(round)?;
    let connection = begin.split_whitespace().find(|word| word.starts_with('*'))?;
    let mut of = log.lines().filter(|line| line.split_whitespace().any(|it| it == connection));
    // It deletes the stream itself once it has seen the connection end, in the same words.
    of.find_map(|line| match line {
        _ if line.contains(" deleteStream,") => Some(true),
        _ if line.contains(" disconnect,") => Some(false),
        _ => None,
    })
}

#[test]
fn nginx_rtmp_sees_an_end_of_a_publisher_that_ends_and_none_of_one_that_is_killed() {
    let _turn = beside_others();
    let port = free_port();
    let nginx = Nginx::start(port);
    let config = Config::new().publish_open().rtmp("grace = 0");
    let node = Node::start(&config.push("live/show", &nginx.url("pushed"), ""));
    for (round, picture, is_killed) in [(0, "testsrc2", true), (1, "testsrc", false)] {
        let picture = format!("{picture}=s=160x90:r=30");
        let length = if is_killed { "60" } else { "4" };
        let line = ["-i", &picture, "-t", length, "-c:v", "libx264", "-g", "15", "-f", "flv"];
        let url = node.url("live/show");
        let last: Vec<_> = line.into_iter().chain([&*url]).collect();
        let ffmpeg = Program::start("ffmpeg", "-v error -re -f lavfi", &last);
        wait_until(SOON, "nginx has the stream", || {
            (nginx.log().matches("publish: name='pushed'").count() > round).then_some(())
        });
        if is_killed {
            ffmpeg.signal("KILL");
        }
        let told = wait_until(SOON, "nginx is left", || is_told(&nginx.log(), round));
        assert_eq!(told, !is_killed, "round {round}: {}", nginx.log());
    }
}
