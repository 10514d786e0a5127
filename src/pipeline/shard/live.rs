//! Control requests of a shard: it lists its streams and connections, ends some, and takes more
//! outputs and taps.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::{Mail, OutputTask, Shard, Source, TapEvent, push, spawn};
use crate::command::{
    CLIENTS_MAX, FromShard, OutputSpec, STREAMS_MAX, Scope, StreamPart, StreamSource, Survey,
    SurveyOrder,
};
use crate::event::NodeEvent;
use crate::media::Micros;
use crate::pipeline::connection::Connection;
use crate::pipeline::hub::Hub;
use crate::ring::Sender;
use crate::stream::Health;

/// Connections or streams that a survey looks at before it lets others run.
const SURVEY_STEP: usize = 64;

/// Answers an order in a task of its own that lets the data plane run in between.
pub(super) async fn survey(shard: Rc<Shard>, order: SurveyOrder) {
    let mut survey = Survey { number: order.number, ..Survey::default() };
    let connections: Vec<_> = shard.connections.borrow().values().cloned().collect();
    let mut publishers = HashMap::new();
    for (index, connection) in connections.iter().enumerate() {
        if index % SURVEY_STEP == SURVEY_STEP - 1 {
            glommio::yield_if_needed().await;
        }
        match &order.scope {
            Scope::Streams => publishers.extend(connection.publishes()),
            Scope::Clients(stream) => {
                if survey.clients.len() == CLIENTS_MAX {
                    break;
                }
                let view = connection.view();
                if stream.as_ref().is_none_or(|stream| **stream == view.stream) {
                    survey.clients.push(view);
                }
            }
            Scope::Kick { client, actor } => {
                survey.kicked += kick(connection, connection.id() == *client, actor);
            }
            Scope::KickPublisher { stream, actor } => {
                survey.kicked += kick(connection, connection.publishes_as(stream), actor);
            }
        }
    }
    if matches!(order.scope, Scope::Streams) {
        let hubs: Vec<_> = shard.hubs.borrow().values().take(STREAMS_MAX).cloned().collect();
        for (index, hub) in hubs.iter().enumerate() {
            if index % SURVEY_STEP == SURVEY_STEP - 1 {
                glommio::yield_if_needed().await;
            }
            let publisher = publishers.get(&hub.name).cloned();
            survey.streams.push(StreamPart { publisher, ..part(hub) });
        }
    }
    if let Scope::KickPublisher { stream, actor } = &order.scope {
        survey.kicked += shard.relay.kick(&shard, stream, actor);
    }
    shard.report(FromShard::Survey(Box::new(survey)));
}

/// Ends the connection if it is meant; how many were ended.
fn kick(connection: &Connection, is_meant: bool, actor: &Arc<str>) -> usize {
    if is_meant {
        connection.mail(Mail::Kicked(Arc::clone(actor)));
    }
    usize::from(is_meant)
}

fn part(hub: &Hub) -> StreamPart {
    let health = hub.health.borrow();
    StreamPart {
        name: Arc::clone(&hub.name),
        source: match hub.source() {
            Source::Channel(_) => StreamSource::Channel,
            Source::Publisher => StreamSource::Publisher,
            Source::Pull => StreamSource::Pull,
            Source::Shard(_) => StreamSource::Shard,
            Source::Nobody(_) => StreamSource::Nobody,
        },
        publisher: None,
        since: hub.figures.since(),
        viewers: hub.viewers(),
        other_readers: hub.other_readers(),
        bytes_in: hub.figures.bytes_in(),
        bytes_out: hub.figures.bytes_out(),
        bitrate_bps: hub.figures.bitrate_bps(),
        keyframe_interval: health.keyframe_interval(),
        av_offset_ms: health.av_offset_ms(),
        out_bps: hub.figures.out_bps(),
        audio: hub.figures.audio(),
        video: hub.figures.video(),
        headers: hub.log.borrow().headers().cloned().collect(),
    }
}

impl Shard {
    /// Starts an output.
    pub(super) fn add_output(self: &Rc<Self>, spec: OutputSpec) {
        let id = spec.id;
        let task = OutputTask::new(spec);
        self.outputs.borrow_mut().insert(id, Rc::clone(&task));
        let shard = Rc::clone(self);
        spawn(self, async move {
            push::run(Rc::clone(&shard), id, task).await;
            shard.outputs.borrow_mut().remove(&id);
        });
    }

    /// All outputs of this shard.
    pub(in crate::pipeline) fn all_outputs(&self) -> Vec<Rc<OutputTask>> {
        self.outputs.borrow().values().cloned().collect()
    }

    /// Whether an output of this shard is to push the stream `name`.
    pub(in crate::pipeline) fn is_pushed(&self, name: &str) -> bool {
        self.outputs.borrow().values().any(|output| output.wants(name))
    }

    /// Whether a decoder or a recording of this shard waits for the stream `name`.
    pub(in crate::pipeline) fn is_wanted(&self, name: &str) -> bool {
        let tapped = self.idle_taps.borrow().iter().any(|(wanted, _)| **wanted == *name);
        tapped || self.relay.records(name)
    }

    /// The source of `hub` has left, or another one comes.
    pub(in crate::pipeline) fn end_source(&self, hub: &Hub) {
        self.outputs.borrow().values().for_each(|output| output.end_source());
        hub.end_source();
    }

    pub(super) fn output(&self, id: usize) -> Option<Rc<OutputTask>> {
        self.outputs.borrow().get(&id).cloned()
    }

    /// One more decoder for a stream. If the stream is there, it is sent what a late viewer would
    /// be, as if it had come when it did.
    pub(super) fn add_tap(&self, name: Arc<str>, mut tap: Sender<TapEvent>) {
        let Some(hub) = self.find(&name) else {
            self.idle_taps.borrow_mut().push((name, tap));
            return;
        };
        let (now, log) = (self.clock.now(), hub.log.borrow());
        let newest = log.newest_time();
        for message in log.catch_up().filter(|_| hub.is_live()) {
            let age = newest.wrapping_sub(message.time()).min(AGE_MS_MAX);
            let arrived = Micros(now.0.saturating_sub(Micros::from_millis(age.into()).0));
            // A tap that is too small for all of it starts at the next keyframe.
            drop(tap.push(TapEvent::Message(message.clone(), arrived)));
        }
        drop(log);
        hub.add_tap(tap);
    }

    /// Lets go of taps whose decoders have ended, and measures what flows.
    pub(super) fn tend_streams(&self, now: Micros) {
        self.idle_taps.borrow_mut().retain(|(_, tap)| !tap.is_closed());
        self.relay.drop_closed_records();
        for hub in self.hubs.borrow().values() {
            hub.drop_closed_taps();
            hub.drop_closed_records();
            hub.figures.measure(now);
            self.pace_viewers(hub);
            self.warn_of(hub, now);
        }
    }

    /// A source has come: what is known of the one before it says nothing about it.
    pub(super) fn begin_figures(&self, hub: &Hub) {
        let now = self.clock.now();
        hub.figures.begin(now);
        let kept = Micros::from_millis(self.spec().log.millis.into());
        *hub.health.borrow_mut() = Health::new(kept, now);
    }

    /// Tells the operator what keeps viewers, or scenes, from showing a stream well.
    fn warn_of(&self, hub: &Hub, now: Micros) {
        let warn = |code, text| {
            let stream = hub.name.to_string();
            self.report_node(NodeEvent::StreamWarning { stream, code, text });
        };
        if matches!(hub.source(), Source::Publisher | Source::Pull)
            && let Some(warning) = hub.health.borrow_mut().check(now)
        {
            warn(warning.code(), warning.to_string());
        }
        if let Some(text) = hub.undecodable.take() {
            warn("codec", text);
        }
    }
}

/// Age that a message in a log is believed to have at most: headers say 0.
const AGE_MS_MAX: u32 = 120_000;
