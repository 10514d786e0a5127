//! Hooks of a program that embeds the node: it is asked before somebody connects, publishes or
//! plays.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::command::Params;
use crate::config::OnHookFailure;
use crate::event::{Event, Stage};
use crate::media::Micros;

/// How long a hook may take if nobody says otherwise.
const DEADLINE: Duration = Duration::from_secs(2);

/// The longest and the shortest time that it may be given.
const DEADLINES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(30)];

/// What a hook is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The `pre` event: who asks, from where, for what. Never holds a key.
    pub event: Event,
    /// Parameters of the peer's query, of those that [`Hooks::params`] names.
    pub params: Params,
}

/// What a hook answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The peer may go on, if all other hooks agree.
    Allow,
    /// It may not. The text says why to its user, and stands in events: it is no place for secrets.
    Refuse(String),
}

type Answer = Pin<Box<dyn Future<Output = Verdict> + Send>>;
type Decide = Arc<dyn Fn(Asked) -> Answer + Send + Sync>;

/// The hooks of one program. They run on the control plane's thread, where they may await but not
/// block; one that takes too long, or panics, has not answered.
///
/// ```no_run
/// use stream_manager::{Hooks, LiveNode, Verdict, config::Config, event::Stage};
///
/// let hooks = Hooks::new().before(Stage::Publish, |asked| async move {
///     match asked.event.path.starts_with("live/") {
///         true => Verdict::Allow,
///         false => Verdict::Refuse("publish below live/".to_owned()),
///     }
/// });
/// let node = LiveNode::start_with(&Config::default(), hooks)?;
/// # Ok::<(), stream_manager::StartError>(())
/// ```
#[derive(Clone)]
pub struct Hooks {
    deciders: Vec<(Stage, Decide)>,
    params: Vec<Arc<str>>,
    deadline: Duration,
    when_silent: OnHookFailure,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            deciders: Vec::new(),
            params: Vec::new(),
            deadline: DEADLINE,
            when_silent: OnHookFailure::Closed,
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.deciders.len())
    }
}

impl Hooks {
    /// No hooks: nobody is asked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `decide` before anybody enters `stage`. All that are asked have to allow it.
    #[must_use]
    pub fn before<D, A>(mut self, stage: Stage, decide: D) -> Self
    where
        D: Fn(Asked) -> A + Send + Sync + 'static,
        A: Future<Output = Verdict> + Send + 'static,
    {
        let boxed = move |asked: Asked| -> Answer { Box::pin(decide(asked)) };
        self.deciders.push((stage, Arc::new(boxed)));
        self
    }

    /// Shows the hooks these parameters of the peer's query, such as `token`; never `key`.
    #[must_use]
    pub fn params(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.params.extend(names.into_iter().filter(|name| *name != "key").map(Arc::from));
        self
    }

    /// How long a hook may take, 10 ms to 30 s; 2 s by default.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(DEADLINES[0], DEADLINES[1]);
        self
    }

    /// What no answer in time means; by default that the peer is refused.
    #[must_use]
    pub const fn when_silent(mut self, then: OnHookFailure) -> Self {
        self.when_silent = then;
        self
    }

    pub(super) fn stages(&self) -> impl Iterator<Item = Stage> {
        self.deciders.iter().map(|(stage, _)| *stage)
    }

    pub(super) fn shown(&self) -> &[Arc<str>] {
        &self.params
    }

    pub(super) fn longest(&self) -> Micros {
        Micros(u64::try_from(self.deadline.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.when_silent, OnHookFailure::Open)
    }

    /// The answers of those who are asked before `stage`, each in a future of its own: why not.
    pub(super) fn ask(&self, asked: &Asked) -> Vec<impl Future<Output = Option<Arc<str>>> + use<>> {
        let stage = asked.event.kind.stage;
        let deciders = self.deciders.iter().filter(|(at, _)| *at == stage);
        let (deadline, open) = (self.deadline, self.is_open());
        let shown: Vec<_> = self.params.clone();
        deciders
            .map(|(_, decide)| {
                let decide = Arc::clone(decide);
                let event = asked.event.clone();
                let value = |name: &str| {
                    let mut found = asked.params.expose().filter(|(key, _)| *key == name);
                    found.next().map(|(_, value)| value.to_owned())
                };
                let params = Params::of(&shown, value);
                async move {
                    // A task of its own: a panic ends nothing else.
                    let task = tokio::spawn(async move { decide(Asked { event, params }).await });
                    match timeout(deadline, AbortOnDrop(task)).await {
                        Ok(Ok(Verdict::Allow)) => None,
                        Ok(Ok(Verdict::Refuse(text))) => Some(Arc::from(text)),
                        Ok(Err(_)) | Err(_) if open => None,
                        Ok(Err(_)) => Some(Arc::from("a hook of this server failed")),
                        Err(_) => Some(Arc::from("a hook of this server did not answer in time")),
                    }
                }
            })
            .collect()
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<Verdict>);

impl Future for AbortOnDrop {
    type Output = Result<Verdict, tokio::task::JoinError>;

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
