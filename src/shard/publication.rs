//! Publications: an output's connection in use, from the destination's consent to its end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::client::{ClientConnection, End};
use super::io::TcpInfo;
use super::shared::Shared;
use super::stall::{Progress, Seen};
use super::stream_id::StreamId;
use super::streams::{SourceTracks, Stream};
use super::substitute::{Choice, choose, codecs_of};
use crate::command::{OutputSpec, SentTracks};
use crate::media::Micros;
use crate::stats::ViewerDrop;
use crate::stream::Drops;

/// Time from the TCP connection to the destination's consent.
const START_LIMIT: Micros = Micros::from_secs(10);

/// For how long a publisher's messages have come when its tracks are taken for known.
const TRACKS_KNOWN: Micros = Micros::from_secs(1);

/// Time from the TCP connection until the rendition is there that the destination is sent in the
/// place of a stream which it cannot take.
const RENDITION_LIMIT: Micros = Micros::from_secs(20);

/// How much longer than its delay an output may take for the end of its stream.
const DELAYED_END: Micros = Micros::from_secs(1);

/// An output that has taken nothing for this long is gone.
const BLOCKED_MAX: Micros = Micros::from_secs(10);

/// A connection in use.
#[derive(Serialize, Deserialize)]
pub(super) struct Publication {
    pub(super) client: ClientConnection,
    #[serde(with = "crate::media::instants")]
    since: Micros,
    pub(super) is_started: bool,
    /// The message stream that the destination has opened.
    stream_id: u32,
    /// The rendition that it reads, or waits for, in the place of a stream that the destination
    /// cannot take.
    pub(super) rendition: Option<Arc<str>>,
    drops: Drops,
    /// What the destination knows of the stream's tracks.
    told: SourceTracks,
    progress: Progress,
    /// Bytes that are in the figures already.
    counted: u64,
}

impl Publication {
    pub(super) fn new(client: ClientConnection, now: Micros) -> Self {
        Self {
            client,
            since: now,
            is_started: false,
            stream_id: 0,
            rendition: None,
            drops: Drops::default(),
            told: SourceTracks::default(),
            progress: Progress::new(now),
            counted: 0,
        }
    }

    pub(super) fn resume(&mut self, stream: Option<&Stream>) -> bool {
        let is_counted = self.counted <= self.client.out.bytes();
        is_counted && self.client.resume(stream.map(|stream| &stream.log))
    }

    /// Whether the destination is sent something.
    pub(super) const fn is_live(&self) -> bool {
        self.is_started && self.client.out.stream.is_some()
    }

    /// The destination takes what it is sent from now on.
    pub(super) fn start(&mut self, shared: &Shared, stream_id: u32) {
        (self.is_started, self.stream_id) = (true, stream_id);
        self.progress = Progress::new(shared.cx.now);
        self.client.pass_on();
    }

    /// Reads the stream `source`, or the rendition that stands in for it; once the destination can
    /// take another one of them, or none, the publication ends. When it begins to read, says
    /// whether tracks are left out because the destination has not said that it takes several.
    pub(super) fn follow(
        &mut self,
        shared: &mut Shared,
        spec: &OutputSpec,
        source: StreamId,
    ) -> Option<bool> {
        if !self.is_started || self.client.is_closing() || shared.streams.is_over(source) {
            return None;
        }
        let rendition = shared.streams.substitute_of(&spec.stream);
        let takes = (self.client.session.capabilities(), spec.rules.codecs);
        let stream = shared.streams.get(source)?;
        let codecs = stream.is_known().then(|| codecs_of(stream));
        let rendition = match choose(codecs, rendition, takes) {
            Choice::Unknown => return None,
            Choice::Original => None,
            Choice::Rendition(name) => Some(name),
            Choice::Nothing(format) => {
                let stream = &spec.stream;
                let reason = format!(
                    "the destination does not announce that it takes {format}: add a [[transcode]] \
                     with `stream = \"{stream}\"` and `bridge = true`, or `codecs = \"all\"` to \
                     send it all the same"
                );
                self.close(shared, End::Failed(reason));
                return None;
            }
        };
        if self.client.out.stream.is_some() {
            if rendition != self.rendition {
                self.close(shared, End::Left);
            }
            return None;
        }
        self.rendition = rendition;
        let id = match self.rendition.clone() {
            None => source,
            Some(name) => self.find_rendition(shared, &name)?,
        };
        Some(self.begin(shared, id, (spec.rules.tracks, spec.rules.delay)))
    }

    /// The rendition that it waits for, if it is there.
    fn find_rendition(&mut self, shared: &mut Shared, name: &str) -> Option<StreamId> {
        if shared.streams.is_taken(name) {
            return shared.streams.find(&mut shared.cx, name);
        }
        if shared.cx.now.since(self.since) >= RENDITION_LIMIT {
            let reason = format!("{name}, which it is to be sent, was not made in 20 s");
            self.close(shared, End::Failed(reason));
        }
        None
    }

    /// Reads a stream's log from the next keyframe on.
    fn begin(
        &mut self,
        shared: &mut Shared,
        id: StreamId,
        (tracks, delay): (SentTracks, Micros),
    ) -> bool {
        let takes_all = self.client.session.capabilities().has_multitrack();
        let takes_first = tracks == SentTracks::Auto && !takes_all;
        shared.streams.add_output(id, &mut self.client.out, self.stream_id, takes_first);
        self.client.out.set_delay(delay);
        let Some(stream) = shared.streams.get(id) else { return false };
        self.told = SourceTracks::of(&stream.log);
        takes_first && stream.log.has_further_tracks()
    }

    /// Sends what its delay has let go of since the stream brought something.
    pub(super) fn send_what_is_due(&mut self, shared: &mut Shared) {
        let out = &mut self.client.out;
        if out.stream.is_some() && !out.is_blocked() && !std::mem::replace(&mut out.is_queued, true)
        {
            shared.cx.ready.push_back(out.id);
        }
    }

    /// Whether a part of its stream, which is over, is still to be sent because of its delay.
    pub(super) fn has_delayed(&self, shared: &Shared, delay: Micros) -> bool {
        let out = &self.client.out;
        let Some(stream) = out.stream.and_then(|id| shared.streams.get(id)) else { return false };
        let by = stream.log.newest_arrival() + delay + DELAYED_END;
        delay > Micros(0) && out.is_behind(&stream.log) && shared.cx.now < by
    }

    pub(super) fn check_deadlines(&mut self, shared: &mut Shared) {
        let now = shared.cx.now;
        if let Err(error) = self.client.session.tick(now) {
            self.close(shared, End::Failed(error.to_string()));
        }
        if !self.is_started && now.since(self.since) >= START_LIMIT {
            let reason = "the destination did not answer in 10 s".to_owned();
            self.close(shared, End::Failed(reason));
        }
        if self.client.out.blocked_for(now) >= BLOCKED_MAX {
            self.client.break_off("the destination took nothing for 10 s".to_owned());
        }
    }

    /// Ends a connection that has stalled.
    pub(super) fn check_progress(
        &mut self,
        shared: &Shared,
        spec: &OutputSpec,
        tcp: Option<TcpInfo>,
    ) {
        if self.client.is_closing() || !self.is_started {
            return;
        }
        let (acknowledged, sent) = (self.client.session.acknowledged(), self.client.out.bytes());
        let seen = Seen { tcp, acknowledged, sent };
        if let Some(reason) = self.progress.look(shared.cx.now, spec.rules.stall_timeout, seen) {
            spec.stats.stalled();
            self.client.break_off(reason);
        }
    }

    /// Counts what went out, and what was left out.
    pub(super) fn count(&mut self, shared: &mut Shared, spec: &OutputSpec) {
        let out = &self.client.out;
        let bytes = out.bytes();
        spec.stats.line.bytes(bytes - self.counted);
        self.counted = bytes;
        let Some(stream) = out.stream else { return };
        let (before, drops) = (self.drops, out.drops());
        if drops.gaps == before.gaps {
            return;
        }
        for (reason, count) in [
            (ViewerDrop::Jumped, drops.jumped - before.jumped),
            (ViewerDrop::Skipped, drops.skipped - before.skipped),
            (ViewerDrop::Overrun, drops.overrun - before.overrun),
        ] {
            spec.stats.dropped(reason, count);
        }
        self.drops = drops;
        spec.stats.jumped();
        shared.streams.want_key(stream);
    }

    /// A destination shows who comes late what described the tracks of the publisher before. Where
    /// the next one sends others, the publication begins anew.
    pub(super) fn check_tracks(&mut self, shared: &mut Shared) {
        let Some(stream) = self.client.out.stream.and_then(|id| shared.streams.get(id)) else {
            return;
        };
        let (tracks, age) = (SourceTracks::of(&stream.log), stream.log.source_age());
        let last = stream.last_tracks;
        if self.told.source != tracks.source && self.told.source == last.source {
            self.told = last;
        }
        if self.told.source == tracks.source || age.is_none_or(|age| age < TRACKS_KNOWN) {
            return;
        }
        let before = std::mem::replace(&mut self.told, tracks);
        if before.has_others_than(&tracks) {
            self.close(shared, End::Left);
        }
    }

    pub(super) fn close(&mut self, shared: &mut Shared, end: End) {
        shared.streams.remove_reader(&shared.cx, &mut self.client.out);
        self.client.close(end, shared.cx.now);
    }
}
