//! The life of one connection: nine events, in an order that subscribers can rely on.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::about::{About, KeyHolder};
use super::printable::Printable;
use super::severity::Severity;
use crate::media::Micros;

/// Name of a connection in events and logs: 8 characters of `A-Z0-9`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientId([u8; 8]);

const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

impl ClientId {
    /// From random bytes. Ids are names and no secrets: the small bias to some letters is no harm.
    #[must_use]
    pub fn from_random(random: [u8; 8]) -> Self {
        Self(random.map(|byte| ALPHABET[usize::from(byte) % ALPHABET.len()]))
    }

    /// The one with this name; `None` if no connection can have it.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let name: [u8; 8] = text.as_bytes().try_into().ok()?;
        name.iter().all(|byte| ALPHABET.contains(byte)).then_some(Self(name))
    }

    /// The 8 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a connection sets out to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Be a client of the node. Once per connection.
    Connect,
    /// Publish a stream.
    Publish,
    /// Play a stream.
    Play,
}

/// How far it has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It asks.
    Pre,
    /// It has been admitted.
    Post,
    /// It is over: ended, or never admitted.
    Done,
}

/// Which of the nine events it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKind {
    /// What the connection set out to do.
    pub stage: Stage,
    /// How far that has got.
    pub phase: Phase,
}

impl EventKind {
    /// `preConnect` to `donePlay`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self.phase, self.stage) {
            (Phase::Pre, Stage::Connect) => "preConnect",
            (Phase::Post, Stage::Connect) => "postConnect",
            (Phase::Done, Stage::Connect) => "doneConnect",
            (Phase::Pre, Stage::Publish) => "prePublish",
            (Phase::Post, Stage::Publish) => "postPublish",
            (Phase::Done, Stage::Publish) => "donePublish",
            (Phase::Pre, Stage::Play) => "prePlay",
            (Phase::Post, Stage::Play) => "postPlay",
            (Phase::Done, Stage::Play) => "donePlay",
        }
    }
}

/// What a connection is to the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Neither publishes nor plays (yet).
    #[default]
    Pending,
    /// Publishes a stream.
    Publisher,
    /// Plays a stream.
    Player,
}

impl ConnectionState {
    /// `pending`, `publisher` or `player`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Publisher => "publisher",
            Self::Player => "player",
        }
    }
}

/// Something happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which of the nine.
    pub kind: EventKind,
    /// Whose.
    pub client: ClientId,
    /// What the connection is when it happens; in a `done` event, what it was.
    pub state: ConnectionState,
    /// Where it comes from, if that is known.
    pub peer: Option<SocketAddr>,
    /// What it said about itself.
    pub about: Arc<About>,
    /// With whose key it publishes, or asks to; `None` before that is known, and for others.
    pub holder: Option<Arc<KeyHolder>>,
    /// Who ended or refused it, such as `hook:auth`; empty if it ended by itself or by a rule.
    pub actor: Arc<str>,
    /// Public path, such as `live/show`; the application for `connect`, and for a publisher whose
    /// key has not been checked. Never a key.
    pub path: Arc<str>,
    /// Public path that a publisher asked for, if its key gives it another one and if what it asked
    /// for may be shown; empty otherwise. Never a key.
    pub asked_for: Arc<str>,
    /// When, on the node's clock.
    pub at: Micros,
    /// How long the stage lasted, from its admission; zero before its end.
    pub duration: Micros,
    /// Bytes in both directions since the connection began; zero before the end of a stage.
    pub bytes: u64,
    /// Why it ended; empty before its end.
    pub reason: Arc<str>,
    /// Whether it was let in; `false` before that is decided.
    pub admitted: bool,
}

impl Event {
    /// What publishers do matters; viewers come and go. A publisher that is refused is trouble.
    pub(super) fn severity(&self) -> Severity {
        match (self.kind.stage, self.kind.phase) {
            (Stage::Publish, Phase::Done) if !self.admitted => Severity::Warn,
            (Stage::Publish, _) => Severity::Info,
            (Stage::Connect | Stage::Play, _) => Severity::Debug,
        }
    }

    /// Whether it is about a connection that is not, or not yet, a publisher's: there may be very
    /// many of these.
    #[must_use]
    pub fn is_of_viewers(&self) -> bool {
        self.kind.stage != Stage::Publish && self.state != ConnectionState::Publisher
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.client)?;
        if !self.path.is_empty() {
            write!(f, " {}", Printable(&self.path))?;
        }
        if !self.asked_for.is_empty() {
            write!(f, " (asked for {})", Printable(&self.asked_for))?;
        }
        if let Some(peer) = self.peer {
            write!(f, " from {peer}")?;
        }
        if let Some(holder) = &self.holder {
            write!(f, " with key {}", holder.key)?;
        }
        if self.kind.phase == Phase::Done {
            let (seconds, bytes) = (self.duration.secs_f64(), self.bytes);
            write!(f, " after {seconds:.1} s, {bytes} bytes: {}", Printable(&self.reason))?;
        }
        if !self.actor.is_empty() {
            write!(f, " ({})", Printable(&self.actor))?;
        }
        Ok(())
    }
}

/// Keeps the events of one connection in order: for each stage `pre`, then `post` if it was
/// admitted, then exactly one `done`. What does not fit into that order gives no event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LifeCycle {
    client: ClientId,
    peer: Option<SocketAddr>,
    about: Arc<About>,
    holder: Option<Arc<KeyHolder>>,
    actor: Arc<str>,
    connect: Progress,
    publish: Progress,
    play: Progress,
    /// Of the application, and of the stream.
    app: Arc<str>,
    stream: Arc<str>,
    asked_for: Arc<str>,
    #[serde(with = "crate::media::instants")]
    came: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Progress {
    Idle,
    Asked,
    Admitted {
        #[serde(with = "crate::media::instants")]
        since: Micros,
    },
    /// Only for `connect`, which comes once.
    Over,
}

impl LifeCycle {
    /// Of a connection that has come at `now` from `peer`, if that is known.
    #[must_use]
    pub fn new(client: ClientId, now: Micros, peer: Option<SocketAddr>) -> Self {
        let nothing: Arc<str> = Arc::from("");
        Self {
            client,
            peer,
            about: Arc::default(),
            holder: None,
            actor: Arc::clone(&nothing),
            connect: Progress::Idle,
            publish: Progress::Idle,
            play: Progress::Idle,
            app: Arc::clone(&nothing),
            stream: Arc::clone(&nothing),
            asked_for: nothing,
            came: now,
        }
    }

    /// A proxy that is believed says where it comes from.
    pub const fn set_peer(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
    }

    /// It says what it is.
    pub fn set_about(&mut self, about: About) {
        self.about = Arc::new(about);
    }

    /// What it said about itself.
    #[must_use]
    pub const fn about(&self) -> &Arc<About> {
        &self.about
    }

    /// It shows this holder's key.
    pub fn set_holder(&mut self, holder: KeyHolder) {
        self.holder = Some(Arc::new(holder));
    }

    /// With whose key it publishes, if it does.
    #[must_use]
    pub const fn holder(&self) -> Option<&Arc<KeyHolder>> {
        self.holder.as_ref()
    }

    /// Who ends it from now on, such as `hook:auth`: it stands in the `done` events that follow.
    pub fn set_actor(&mut self, actor: Arc<str>) {
        self.actor = actor;
    }

    /// When the connection came.
    #[must_use]
    pub const fn came(&self) -> Micros {
        self.came
    }

    /// The connection's name.
    #[must_use]
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// The peer asks to enter a stage: the `pre` event. `path` is public, never a key. `None` if
    /// it is in that stage already, or its connection is over.
    pub fn begin(&mut self, stage: Stage, path: &str, now: Micros) -> Option<Event> {
        if self.connect == Progress::Over || *self.progress(stage) != Progress::Idle {
            return None;
        }
        *self.progress(stage) = Progress::Asked;
        match stage {
            Stage::Connect => self.app = Arc::from(path),
            Stage::Publish | Stage::Play => {
                self.stream = Arc::from(path);
                self.asked_for = Arc::from("");
                self.holder = None;
            }
        }
        Some(self.event(stage, Phase::Pre, now))
    }

    /// The public path of the stream turned out to be another one (a key says its name).
    pub fn set_path(&mut self, path: &str) {
        self.stream = Arc::from(path);
    }

    /// The publisher asked for this path, whatever path its key gives it. The caller has made sure
    /// that it holds no key.
    pub fn set_asked_for(&mut self, path: &str) {
        self.asked_for = Arc::from(path);
    }

    /// Whether it is known, and may be shown, what the publisher asked for.
    #[must_use]
    pub fn shows_asked_for(&self) -> bool {
        !self.asked_for.is_empty()
    }

    /// The `pre` event of a stage that has been asked for and is not decided, as it would be now:
    /// its path may have become known. `None` if there is no such stage.
    #[must_use]
    pub fn asked(&self, stage: Stage, now: Micros) -> Option<Event> {
        let progress = match stage {
            Stage::Connect => self.connect,
            Stage::Publish => self.publish,
            Stage::Play => self.play,
        };
        (progress == Progress::Asked).then(|| self.event(stage, Phase::Pre, now))
    }

    /// The peer was admitted: the `post` event. `None` if it had not asked.
    pub fn begun(&mut self, stage: Stage, now: Micros) -> Option<Event> {
        if *self.progress(stage) != Progress::Asked {
            return None;
        }
        *self.progress(stage) = Progress::Admitted { since: now };
        Some(self.event(stage, Phase::Post, now))
    }

    /// The stage is over, or the peer was refused: the `done` event. `None` if it has not asked, or
    /// it was over already. `bytes` counts both directions since the connection began.
    pub fn done(&mut self, stage: Stage, now: Micros, bytes: u64, reason: &str) -> Option<Event> {
        let (duration, admitted) = match *self.progress(stage) {
            Progress::Idle | Progress::Over => return None,
            Progress::Asked => (Micros(0), false),
            Progress::Admitted { since } => (now.since(since), true),
        };
        let event = self.event(stage, Phase::Done, now);
        let end = if stage == Stage::Connect { Progress::Over } else { Progress::Idle };
        *self.progress(stage) = end;
        let actor = Arc::clone(&self.actor);
        Some(Event { duration, bytes, reason: Arc::from(reason), actor, admitted, ..event })
    }

    /// The connection is over: the `done` events of every stage that is open, `connect` last.
    pub fn close(
        &mut self,
        now: Micros,
        bytes: u64,
        reason: &str,
    ) -> impl Iterator<Item = Event> + use<> {
        let stages = [Stage::Play, Stage::Publish, Stage::Connect];
        let events = stages.map(|stage| self.done(stage, now, bytes, reason));
        self.connect = Progress::Over;
        events.into_iter().flatten()
    }

    const fn progress(&mut self, stage: Stage) -> &mut Progress {
        match stage {
            Stage::Connect => &mut self.connect,
            Stage::Publish => &mut self.publish,
            Stage::Play => &mut self.play,
        }
    }

    fn event(&self, stage: Stage, phase: Phase, at: Micros) -> Event {
        let path = match stage {
            Stage::Connect => &self.app,
            Stage::Publish | Stage::Play => &self.stream,
        };
        let is_another = stage == Stage::Publish && self.asked_for != *path;
        Event {
            asked_for: if is_another { Arc::clone(&self.asked_for) } else { Arc::from("") },
            kind: EventKind { stage, phase },
            client: self.client,
            peer: self.peer,
            about: Arc::clone(&self.about),
            state: self.state(),
            holder: self.holder.clone(),
            actor: Arc::from(""),
            path: Arc::clone(path),
            at,
            duration: Micros(0),
            bytes: 0,
            reason: Arc::from(""),
            admitted: phase == Phase::Post,
        }
    }

    const fn state(&self) -> ConnectionState {
        match (self.publish, self.play) {
            (Progress::Admitted { .. }, _) => ConnectionState::Publisher,
            (_, Progress::Admitted { .. }) => ConnectionState::Player,
            _ => ConnectionState::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAGES: [Stage; 3] = [Stage::Connect, Stage::Publish, Stage::Play];

    fn life() -> LifeCycle {
        LifeCycle::new(ClientId::from_random([0, 25, 26, 35, 36, 255, 1, 2]), Micros(0), None)
    }

    #[test]
    fn an_id_is_eight_letters_and_digits() {
        assert_eq!(life().client().as_str(), "AZ09ADBC");
    }

    #[test]
    fn a_publisher_has_six_events_with_their_payload() {
        let mut life = life();
        let at = Micros::from_secs;
        let mut names = Vec::new();
        let mut see = |event: Option<Event>| names.push(event.unwrap().to_string());
        see(life.begin(Stage::Connect, "live", at(1)));
        see(life.begun(Stage::Connect, at(1)));
        see(life.begin(Stage::Publish, "live", at(1)));
        life.set_path("live/show");
        see(life.begun(Stage::Publish, at(2)));
        see(life.done(Stage::Publish, at(5), 700, "unpublished"));
        see(life.done(Stage::Connect, at(6), 800, "the peer closed"));
        assert_eq!(
            names,
            [
                "preConnect AZ09ADBC live",
                "postConnect AZ09ADBC live",
                "prePublish AZ09ADBC live",
                "postPublish AZ09ADBC live/show",
                "donePublish AZ09ADBC live/show after 3.0 s, 700 bytes: unpublished",
                "doneConnect AZ09ADBC live after 5.0 s, 800 bytes: the peer closed",
            ]
        );
    }

    #[test]
    fn what_is_asked_again_is_the_same_with_the_path_that_is_known_by_then() {
        let mut life = life();
        let now = Micros(5);
        assert_eq!(life.asked(Stage::Publish, now), None);
        life.begin(Stage::Connect, "live", now);
        let asked = life.begin(Stage::Publish, "live", now).unwrap();
        life.set_path("live/show");
        let again = Event { path: Arc::from("live/show"), ..asked };
        assert_eq!(life.asked(Stage::Publish, now), Some(again));
        life.begun(Stage::Publish, now);
        assert_eq!(life.asked(Stage::Publish, now), None);
    }

    #[test]
    fn whose_key_it_is_stands_in_every_event_from_then_on_and_who_ended_it_in_the_last_ones() {
        let mut life = life();
        let now = Micros(5);
        life.begin(Stage::Connect, "live", now);
        let before = life.begin(Stage::Publish, "live", now).unwrap();
        assert_eq!((before.holder, &*before.actor), (None, ""));
        let ada = KeyHolder { key: "0123456789abcdef".to_owned(), ..KeyHolder::default() };
        life.set_holder(ada.clone());
        let began = life.begun(Stage::Publish, now).unwrap();
        assert_eq!(began.holder.as_deref(), Some(&ada));
        life.set_actor(Arc::from("hook:auth"));
        let ends: Vec<_> = life.close(now, 0, "refused").collect();
        assert_eq!(ends.len(), 2);
        for end in ends {
            assert_eq!((end.holder.as_deref(), &*end.actor), (Some(&ada), "hook:auth"));
        }
    }

    #[test]
    fn a_name_that_differs_from_the_keys_is_told_and_who_ended_it_stands_at_the_end_of_the_line() {
        let mut life = life();
        let now = Micros(0);
        life.begin(Stage::Publish, "live/cam", now).unwrap();
        life.set_asked_for("live/cam");
        assert_eq!(&*life.asked(Stage::Publish, now).unwrap().asked_for, "", "it is the path");
        life.set_path("live/show");
        let began = life.begun(Stage::Publish, now).unwrap().to_string();
        assert_eq!(began, "postPublish AZ09ADBC live/show (asked for live/cam)");
        life.set_actor(Arc::from("token:bot"));
        let ended = life.done(Stage::Publish, now, 0, "ended").unwrap();
        assert_eq!(&*ended.asked_for, "live/cam");
        assert!(ended.to_string().ends_with("0 bytes: ended (token:bot)"), "{ended}");
        let next = life.begin(Stage::Publish, "live", now).unwrap();
        assert_eq!(&*next.asked_for, "");
    }

    #[test]
    fn the_state_is_what_the_connection_is_or_was() {
        let mut life = life();
        let now = Micros(0);
        let state = |event: Option<Event>| event.unwrap().state.name();
        assert_eq!(state(life.begin(Stage::Play, "a", now)), "pending");
        assert_eq!(state(life.done(Stage::Play, now, 0, "refused")), "pending");
        life.begin(Stage::Play, "a", now);
        assert_eq!(state(life.begun(Stage::Play, now)), "player");
        assert_eq!(state(life.done(Stage::Play, now, 0, "ended")), "player");
        life.begin(Stage::Publish, "a", now);
        assert_eq!(state(life.begun(Stage::Publish, now)), "publisher");
    }

    #[test]
    fn a_line_of_the_log_cannot_be_forged() {
        let event = life().begin(Stage::Connect, "live\ndoneConnect \x1b[2J", Micros(0)).unwrap();
        assert!(!event.to_string().contains(['\n', '\x1b']));
    }

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Begin(usize),
        Begun(usize),
        Done(usize),
        Close,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            8 => (0..3_usize).prop_map(Act::Begin),
            6 => (0..3_usize).prop_map(Act::Begun),
            6 => (0..3_usize).prop_map(Act::Done),
            1 => Just(Act::Close),
        ];
        proptest::collection::vec(act, 0..60)
    }

    proptest! {
        #[test]
        fn each_stage_that_begins_is_done_exactly_once(acts in acts()) {
            let mut life = life();
            let mut events = Vec::new();
            for act in acts {
                let now = Micros(0);
                match act {
                    Act::Begin(stage) => events.extend(life.begin(STAGES[stage], "a", now)),
                    Act::Begun(stage) => events.extend(life.begun(STAGES[stage], now)),
                    Act::Done(stage) => events.extend(life.done(STAGES[stage], now, 0, "x")),
                    Act::Close => events.extend(life.close(now, 0, "x")),
                }
            }
            events.extend(life.close(Micros(0), 0, "x"));
            prop_assert_eq!(life.close(Micros(0), 0, "x").count(), 0);
            prop_assert!(life.begin(Stage::Play, "a", Micros(0)).is_none());
            for stage in STAGES {
                let mut last = Phase::Done;
                let phases = events.iter().filter(|e| e.kind.stage == stage).map(|e| e.kind.phase);
                for phase in phases {
                    let fits = matches!(
                        (last, phase),
                        (Phase::Done, Phase::Pre)
                            | (Phase::Pre, Phase::Post | Phase::Done)
                            | (Phase::Post, Phase::Done)
                    );
                    prop_assert!(fits, "{:?} after {:?}", phase, last);
                    last = phase;
                }
                prop_assert_eq!(last, Phase::Done);
            }
        }
    }
}
