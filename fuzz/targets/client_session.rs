//! Whatever a server says to a client: events or an error, bounded memory, and never the key in
//! what a user may read, nor the password in what is sent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_manager_fuzz::media::{Kind, Micros};
use stream_manager_fuzz::rtmp::limits::EVENTS_MAX;
use stream_manager_fuzz::rtmp::{Client, ClientEvent, ClientSpec, Goal, Url};
use stream_manager_fuzz::{OUTPUT_MAX, Record, Script, hello, with_pool};

const PASSWORD: &str = "pass-w0rd";
const KEY: &str = "s3cret-key";

struct Owner {
    client: Client,
    now: Micros,
}

impl Owner {
    fn feed(&mut self, bytes: &[u8]) -> Option<()> {
        let fed = with_pool(|pool| self.client.feed(bytes, self.now, pool));
        let mut events = 0;
        while let Some(event) = self.client.poll_event() {
            events += 1;
            match event {
                ClientEvent::Message { body, .. } => assert!(!body.is_empty()),
                ClientEvent::Refused { code, description }
                | ClientEvent::Ended { code, description } => {
                    for text in [code, description] {
                        assert!(!text.contains(KEY), "{text}");
                        assert!(!text.chars().any(char::is_control), "{text}");
                    }
                }
                ClientEvent::Redirect { to } | ClientEvent::Reconnect { to } => {
                    assert_eq!(to.name().expose(), KEY);
                }
                ClientEvent::Authenticate { query } => {
                    assert!(!query.expose().contains(PASSWORD));
                    assert!(!query.is_empty());
                }
                ClientEvent::Started { .. } => {}
            }
        }
        assert!(events <= 2 * EVENTS_MAX);
        assert!(self.client.output().len() <= OUTPUT_MAX);
        fed.ok()
    }
}

fuzz_target!(|data: &[u8]| {
    let [mode, data @ ..] = data else { return };
    let url = Url::parse(&format!("rtmp://bob:{PASSWORD}@host/live/{KEY}")).expect("an address");
    let goal = if mode & 1 == 0 { Goal::Publish } else { Goal::Play };
    let spec = ClientSpec { enhanced: mode & 8 != 0, ..ClientSpec::new(&url, goal) };
    let mut owner = Owner { client: Client::new(spec, Micros(0), [7; 32]), now: Micros(0) };
    if mode & 2 != 0 {
        owner.feed(&hello()).expect("a proper beginning");
    }
    // What servers said, byte for byte.
    if mode & 4 == 0 {
        let step = usize::from(mode >> 4).pow(2) + 16;
        let _end = data.chunks(step).try_for_each(|piece| owner.feed(piece));
        return;
    }
    for record in Script(data) {
        let gone = match record {
            Record::Feed(bytes) => owner.feed(&bytes).is_none(),
            Record::Decide(byte) if byte & 15 == 0 => {
                owner.client.finish();
                false
            }
            Record::Decide(byte) => {
                let _full = owner.client.write_message(Kind::Video, byte.into(), &[byte; 300]);
                false
            }
            Record::Pass(tenths) => {
                owner.now = owner.now + Micros::from_millis(u64::from(tenths) * 100);
                owner.client.tick(owner.now).is_err()
            }
            Record::Send(keep) => {
                let waiting = owner.client.output().len();
                owner.client.consume_output(waiting.saturating_sub(keep.into()));
                false
            }
        };
        if gone {
            return;
        }
    }
});
