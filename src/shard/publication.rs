//! Publications: an output's connection in use, from the destination's consent to its end.

use serde::{Deserialize, Serialize};

use super::client::{ClientConnection, End};
use super::io::TcpInfo;
use super::shared::Shared;
use super::stall::{Progress, Seen};
use super::stream_id::StreamId;
use super::streams::{SourceTracks, Stream};
use crate::command::{OutputSpec, SentTracks};
use crate::media::Micros;
use crate::stats::ViewerDrop;
use crate::stream::Drops;

/// Time from the TCP connection to the destination's consent.
const START_LIMIT: Micros = Micros::from_secs(10);

/// For how long a publisher's messages have come when its tracks are taken for known.
const TRACKS_KNOWN: Micros = Micros::from_secs(1);

/// An output that has taken nothing for this long is gone.
const BLOCKED_MAX: Micros = Micros::from_secs(10);

/// A connection in use.
#[derive(Serialize, Deserialize)]
pub(super) struct Publication {
    pub(super) client: ClientConnection,
    #[serde(with = "crate::media::instants")]
    since: Micros,
    pub(super) is_started: bool,
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

    /// The destination takes the stream: reads its log from the next keyframe on. Says whether
    /// tracks of it are left out because the destination has not said that it takes several.
    pub(super) fn begin(
        &mut self,
        shared: &mut Shared,
        stream: Option<StreamId>,
        (stream_id, tracks): (u32, SentTracks),
    ) -> bool {
        self.is_started = true;
        self.progress = Progress::new(shared.cx.now);
        self.client.pass_on();
        let Some(id) = stream.filter(|id| !shared.streams.is_over(*id)) else { return false };
        let takes_all = self.client.session.capabilities().has_multitrack();
        let takes_first = tracks == SentTracks::Auto && !takes_all;
        shared.streams.add_output(id, &mut self.client.out, stream_id, takes_first);
        let Some(stream) = shared.streams.get(id) else { return false };
        self.told = SourceTracks::of(&stream.log);
        takes_first && stream.log.has_further_tracks()
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

    /// Ends a connection that has stalled, and one whose stream is over.
    pub(super) fn check_progress(
        &mut self,
        shared: &mut Shared,
        spec: &OutputSpec,
        tcp: Option<TcpInfo>,
        is_over: bool,
    ) {
        if self.client.is_closing() || !self.is_started {
            return;
        }
        let (acknowledged, sent) = (self.client.session.acknowledged(), self.client.out.bytes());
        let seen = Seen { tcp, acknowledged, sent };
        if is_over {
            self.close(shared, End::Failed("the stream ended".to_owned()));
        } else if let Some(reason) =
            self.progress.look(shared.cx.now, spec.rules.stall_timeout, seen)
        {
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
