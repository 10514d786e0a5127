//! Delay: a push that is sent a stream later than it comes, and is never sent what is dumped.

use std::time::Instant;

use serde_json::json;

use crate::api::{ask, done};
use crate::config::Config;
use crate::destination::{Destination, Heard};
use crate::node::Node;
use crate::publisher::{KEY, Publisher};
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, VIDEO};

/// Of the push, milliseconds.
const DELAY: u32 = 2_000;

/// A publisher whose pictures have the time at which they are sent.
struct Clockwork {
    publisher: Publisher,
    since: Instant,
}

impl Clockwork {
    fn now(&self) -> u32 {
        u32::try_from(self.since.elapsed().as_millis()).unwrap()
    }

    /// Publishes until the destination has heard such a keyframe: its time.
    fn until(&mut self, what: &str, to: &Destination, is_it: impl Fn(u32) -> bool) -> u32 {
        wait_until(SOON, what, || {
            let now = self.now();
            self.publisher.send(VIDEO, now, KEY);
            keys(to).into_iter().find(|time| is_it(*time))
        })
    }
}

/// The times of the keyframes that a destination has heard.
fn keys(destination: &Destination) -> Vec<u32> {
    let messages = destination.messages().into_iter();
    messages.filter(Message::is_key).map(|message| message.time).collect()
}

#[test]
fn a_push_is_as_late_as_its_delay_says_and_is_not_sent_what_is_dumped() {
    let _turn = beside_others();
    let destination = Destination::start();
    let push = format!("delay_s = {}", DELAY / 1_000);
    let config = Config::new().publish_open().push("live/show", &destination.url(), &push);
    let node = Node::start(&config);
    let publisher = Publisher::both(&node, "show");
    let mut clockwork = Clockwork { publisher, since: Instant::now() };
    let first = clockwork.until("the first picture", &destination, |_| true);
    let behind = clockwork.now() - first;
    assert!(behind >= DELAY, "only {behind} ms late");

    let dumped = clockwork.now();
    done(&node, "POST /pushes/push_0/dump", &json!(null));
    clockwork.until("pictures from then on", &destination, |time| time >= dumped);
    let heard = keys(&destination);
    let left_out = heard.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(left_out > DELAY / 2, "at most {left_out} ms were left out of {heard:?}");
    let closed = destination.heard().iter().any(|heard| matches!(heard, Heard::Closed));
    assert!(!closed, "the connection stays");

    let (status, refused) = ask(&node, "POST /pushes/push_0/delay", &json!({"delay_s": 30}));
    assert!(status == 400 && refused.to_string().contains("log_seconds"), "{refused}");
    done(&node, "POST /pushes/push_0/delay", &json!({"delay_s": 0}));
    let changed = clockwork.now();
    clockwork.until("what comes now", &destination, |time| time >= changed);
}

#[test]
fn the_end_of_a_stream_is_as_late_as_all_else() {
    let _turn = beside_others();
    let destination = Destination::start();
    let config = Config::new().publish_open().rtmp("grace = 0").push(
        "live/show",
        &destination.url(),
        "delay_s = 2",
    );
    let node = Node::start(&config);
    let publisher = Publisher::both(&node, "show");
    let mut clockwork = Clockwork { publisher, since: Instant::now() };
    clockwork.until("the first picture", &destination, |_| true);
    let last = clockwork.now();
    clockwork.publisher.send(VIDEO, last, KEY);
    drop(clockwork);
    wait_until(SOON, "the destination is left", || {
        destination.heard().iter().any(|heard| matches!(heard, Heard::Closed)).then_some(())
    });
    assert_eq!(keys(&destination).last(), Some(&last), "all of it was sent");
}
