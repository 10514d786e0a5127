//! Snapshots over HTTP: a connection that may play a stream is sent its newest keyframe as a JPEG,
//! which control decodes.

use std::sync::Arc;

use super::request::SnapshotWait;
use super::{Connection, Role};
use crate::command::{
    HookRequestId, ShardReport, SnapshotFault, SnapshotRequest, SnapshotWidth, StreamSnapshot,
};
use crate::event::Stage;
use crate::media::Micros;
use crate::rtmp::{PlayRefusal, Query};
use crate::shard::shared::Shared;
use crate::stats::Attempt;

/// How long control may take. Then the peer is told to ask again.
const ANSWER_WAIT: Micros = Micros::from_secs(10);

/// How long a peer may take to read its snapshot. One that has not read it then is cut off.
const READ_WAIT: Micros = Micros::from_secs(10);

const GIVEN: &str = "given a snapshot";

impl Connection {
    /// The stream is there, with room for a viewer: asks control for its picture.
    pub(super) fn await_snapshot(&mut self, shared: &mut Shared, stream: Arc<str>) {
        self.stop_waiting(shared);
        let query = Query::new(self.protocol.web_query());
        let Ok(width) = SnapshotWidth::of(query.get("width").as_deref()) else { return };
        self.questions = self.questions.wrapping_add(1);
        let (question, until) = (self.questions, shared.cx.now + ANSWER_WAIT);
        self.role = Role::AwaitsSnapshot(Box::new(SnapshotWait { stream, width, question, until }));
        self.ask_for_snapshot(shared);
    }

    /// Puts the question that it waits for, if it does. Control counts as silent once its time is
    /// over.
    pub(super) fn ask_for_snapshot(&self, shared: &mut Shared) {
        let Role::AwaitsSnapshot(wait) = &self.role else { return };
        let ticket = HookRequestId { connection: self.out.id.raw(), question: wait.question };
        let (stream, width) = (Arc::clone(&wait.stream), wait.width);
        let request = SnapshotRequest { ticket, stream, width };
        if shared.cx.reports.push(ShardReport::SnapshotWanted(request)).is_err() {
            shared.cx.stats.report_lost();
        }
    }

    /// Control's answer. One to another question is no answer any more.
    pub(in crate::shard) fn on_snapshot(
        &mut self,
        shared: &mut Shared,
        question: u32,
        snapshot: Result<StreamSnapshot, SnapshotFault>,
    ) {
        if !matches!(&self.role, Role::AwaitsSnapshot(wait) if wait.question == question) {
            return;
        }
        match snapshot {
            Ok(snapshot) => {
                shared.cx.stats.play_attempt(Attempt::Ok);
                self.protocol.give_picture(&snapshot);
                self.begun(shared, Stage::Play);
                self.leave_stream(shared, GIVEN);
                self.close_within(shared.cx.now, GIVEN, READ_WAIT);
            }
            Err(fault) => self.refuse_snapshot(shared, &fault),
        }
    }

    /// Control has had its time.
    pub(super) fn check_snapshot(&mut self, shared: &mut Shared) {
        let now = shared.cx.now;
        if matches!(&self.role, Role::AwaitsSnapshot(wait) if now >= wait.until) {
            let text = "no snapshot was made in time; try again".to_owned();
            self.refuse_snapshot(shared, &SnapshotFault::Busy(text));
        }
    }

    fn refuse_snapshot(&mut self, shared: &mut Shared, fault: &SnapshotFault) {
        let (refusal, text) = match fault {
            SnapshotFault::Missing(text) => (PlayRefusal::StreamNotFound, text),
            SnapshotFault::Busy(text) => (PlayRefusal::Full, text),
        };
        self.refuse_play(shared, refusal, text);
    }
}
