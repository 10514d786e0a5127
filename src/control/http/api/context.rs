//! API context: what its handlers work with, and how they ask the node and tell what was done.

use std::sync::Arc;

use super::actor::actor;
use super::problem::Problem;
use crate::command::{Answer, Ask};
use crate::control::ControlHandle;
use crate::control::asset_folder::AssetFolder;
use crate::control::auth::Tokens;
use crate::control::clip_folder::ClipFolder;
use crate::control::keystore::Keys;
use crate::control::log::LogLevel;
use crate::control::state::{Board, Event};
use crate::control::stream_snapshots::StreamSnapshots;
use crate::control::time::Time;
use crate::control::traces::Traces;
use crate::event::{NodeEvent, Operated, Severity};

/// What the API is made of.
#[derive(Debug)]
pub struct Api {
    /// Where the running node is asked.
    pub handle: ControlHandle,
    /// The state, as it was looked at last.
    pub board: Arc<Board>,
    /// The stream keys; `None` if anybody may publish.
    pub keys: Option<Keys>,
    /// Who may ask.
    pub tokens: Tokens,
    /// Files for scenes.
    pub assets: Arc<AssetFolder>,
    /// Clips of streams.
    pub clips: Arc<ClipFolder>,
    /// Traces of the last seconds.
    pub traces: Arc<Traces>,
    /// Pictures of streams.
    pub snapshots: Arc<StreamSnapshots>,
    /// What is logged.
    pub log: Arc<LogLevel>,
    /// The node's time.
    pub time: Time,
    /// `rtmp://HOST:PORT/live`: where publishers are sent.
    pub publish_url: String,
    /// Where streams are played over HTTP.
    pub flv_base: String,
}

impl Api {
    /// Asks for something to be done, and for it to be on the disk if it is to be kept.
    pub(super) async fn done(&self, ask: Ask) -> Result<(), Problem> {
        match self.handle.ask(ask).await {
            Answer::Done => {
                self.kept().await;
                Ok(())
            }
            other => Err(other.into()),
        }
    }

    /// Waits until what was done is on the disk, if it is to be kept. A disk that is full is the
    /// node's trouble, which tells of it.
    pub(super) async fn kept(&self) {
        drop(self.handle.ask(Ask::Kept).await);
    }

    /// Tells those who follow what was done through the API.
    pub(super) async fn note(
        &self,
        name: &'static str,
        text: String,
        about: impl FnOnce(Event) -> Event,
    ) {
        match actor() {
            Some(actor) => tracing::info!("{text} ({actor})"),
            None => tracing::info!("{text}"),
        }
        let (at, kind) = (self.time.now_ms(), name.to_owned());
        let actor = actor();
        let level = Severity::Info.name().to_owned();
        let event = about(Event { at, kind, text, level, actor, ..Event::default() });
        let Event { text, channel, output, pull, record, stream, client, actor, .. } =
            event.clone();
        self.board.event(event).await;
        let operated =
            Operated { name, text, channel, output, pull, record, stream, client, actor };
        // A node that stops tells nobody any more.
        drop(self.handle.ask(Ask::Tell(NodeEvent::Operated(Box::new(operated)))).await);
    }
}
