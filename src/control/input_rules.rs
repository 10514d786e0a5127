//! Input rules of channels: a thread watches each stream that one names, another scene is shown
//! while that is faulty, and the one before comes back once it is good.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::command::{Answer, Ask, SubscriptionEvent};
use crate::config::{ChannelConfig, InputRuleConfig};
use crate::control::channels::context::ChannelContext;
use crate::control::handle::Reply;
use crate::control::threads::{Thread, ThreadPlace, ThreadRole};
use crate::event::{InputEvent, InputEventKind, NodeEvent};
use crate::ffi::set_log_subject;
use crate::media::Micros;
use crate::pipeline::{SUBSCRIPTION_QUEUE, monitor_input};
use crate::ring::{Bell, Sender, channel};
use crate::runtime::StopFlag;
use crate::stats::{CoreRole, InputRuleEntry, Registry};
use crate::stream::{InputFault, InputNews};

/// News of the threads that may wait for the controller.
const NEWS_MAX: usize = 64;

/// How long it is until what has failed is tried again.
const RETRY_WAIT: Micros = Micros::from_secs(5);

/// What the controller is to do.
pub(crate) enum Action {
    /// Tell this.
    Tell(NodeEvent),
    /// Subscribe to a stream.
    Subscribe(Arc<str>, Sender<SubscriptionEvent>),
    /// Ask this of the scenes.
    Scenes(Ask, Reply),
}

/// News of the thread with this number.
pub(crate) type Report = (u64, InputNews);

/// What a channel shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnAir {
    /// The scene.
    pub(crate) scene: String,
    /// The published streams in it.
    pub(crate) streams: HashSet<String>,
}

/// The rules of all channels.
pub(crate) struct InputRules {
    context: ChannelContext,
    known: Vec<Known>,
    tell: mpsc::Sender<Report>,
    /// What threads say.
    pub(crate) news: mpsc::Receiver<Report>,
    runs: u64,
}

/// A rule of a channel.
struct Known {
    config: InputRuleConfig,
    run: Option<(u64, Arc<Thread>)>,
    /// Its thread is not started before this: a subscription may end at once, again and again.
    start_at: Micros,
    /// When another scene is tried again.
    retry_at: Micros,
    switch: Switch,
    /// The answer to what was asked of the scenes.
    asked: Option<(oneshot::Receiver<Answer>, Option<String>)>,
    entry: InputRuleEntry,
}

/// What a rule has done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    /// Nothing: its input is good, or is not shown.
    Idle,
    /// Another scene is shown. Whoever takes a third one meanwhile is not interfered with.
    Done,
}

impl Known {
    fn new(channel: &str, config: &InputRuleConfig, now: Micros) -> Self {
        let entry = InputRuleEntry {
            channel: channel.to_owned(),
            stream: config.stream.clone(),
            scene: config.scene.clone(),
            since: Some(now),
            ..InputRuleEntry::default()
        };
        let config = config.clone();
        let (run, switch) = (None, Switch::Idle);
        Self { config, run, start_at: now, retry_at: now, switch, asked: None, entry }
    }

    fn event(&self, what: InputEventKind, reason: String) -> Action {
        let InputRuleEntry { channel, stream, fault, .. } = &self.entry;
        Action::Tell(NodeEvent::Input(Box::new(InputEvent {
            channel: channel.clone(),
            stream: stream.clone(),
            what,
            code: fault.unwrap_or_default(),
            reason,
        })))
    }

    /// What the thread says.
    fn news(&mut self, news: InputNews, now: Micros) -> Action {
        match news {
            InputNews::Faulty(fault, lasts) => {
                self.entry.faults += 1;
                (self.entry.fault, self.entry.since) = (Some(fault.code()), Some(now));
                self.event(InputEventKind::Faulty, self.sentence(fault, lasts))
            }
            InputNews::Healthy(lasted) => {
                (self.entry.fault, self.entry.since) = (None, Some(now));
                let (good, lasted) = (self.config.rules.back_after.secs_f64(), lasted.secs_f64());
                let reason = format!("has been good for {good:.1} s; it was not for {lasted:.1} s");
                self.event(InputEventKind::Healthy, reason)
            }
        }
    }

    /// What is wrong, and what can be done about it.
    fn sentence(&self, fault: InputFault, lasts: Micros) -> String {
        let lasts = format!("{:.1} s", lasts.secs_f64());
        match fault {
            InputFault::Lost => format!(
                "has not been published for {lasts}: its publisher's connection was lost, or it \
                 was stopped; start it again"
            ),
            InputFault::Stalled => format!(
                "has sent nothing for {lasts}: its publisher is connected; look at its encoder and \
                 its uplink"
            ),
            InputFault::NoPictures => format!(
                "has sent no picture for {lasts}: its audio comes; look at its camera and its \
                 encoder"
            ),
            InputFault::LowBitrate => {
                let least = self.config.rules.bitrate.map_or(0, |(bps, _)| bps / 1_000);
                format!(
                    "has been below {least} kb/s for {lasts}: look at its uplink, or lower \
                     `bitrate_min`"
                )
            }
            InputFault::Black => format!(
                "has been black for {lasts}: its publisher sends; look at its camera, its lens cap \
                 and its scene"
            ),
            InputFault::Frozen => format!(
                "has been frozen for {lasts}: its publisher sends, the picture does not change"
            ),
            InputFault::Silent => format!(
                "has been silent for {lasts}: its pictures come; look at its microphone and its \
                 mixer"
            ),
            InputFault::Clipping => format!(
                "has been too loud for {lasts}: its audio clips; lower its gain where it is sent"
            ),
        }
    }

    /// What is to be shown in the place of what is, if that is another.
    fn wanted(&mut self, on_air: &OnAir, others: &[String]) -> Option<String> {
        match (self.entry.fault, self.switch) {
            (Some(_), Switch::Idle) => {
                let is_seen = on_air.streams.contains(&self.config.stream);
                let is_other = on_air.scene != self.config.scene;
                (is_seen && is_other).then(|| self.config.scene.clone())
            }
            (None, Switch::Done) => {
                let is_shown = on_air.scene == self.config.scene;
                // The scene of another rule is shown now: it gives this one back first.
                if !is_shown && others.contains(&on_air.scene) {
                    return None;
                }
                if !is_shown {
                    (self.switch, self.entry.replaced) = (Switch::Idle, None);
                    return None;
                }
                self.entry.replaced.clone()
            }
            _ => None,
        }
    }

    /// Takes the answer of the scenes, if it has come.
    fn take_answer(&mut self, now: Micros) -> Option<Action> {
        let (answer, replaces) = self.asked.as_mut()?;
        let answer = match answer.try_recv() {
            Ok(answer) => answer,
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => {
                Answer::Unavailable("the node is stopping".to_owned())
            }
        };
        let replaces = replaces.take();
        self.asked = None;
        let fault = match answer {
            Answer::NotFound(text) | Answer::Conflict(text) | Answer::Unavailable(text) => text,
            Answer::Invalid(faults) => faults.join("; "),
            _ => {
                self.switch = if replaces.is_some() { Switch::Done } else { Switch::Idle };
                self.entry.replaced = replaces;
                return None;
            }
        };
        self.retry_at = now + RETRY_WAIT;
        let reason = format!("is not replaced: {fault}");
        Some(self.event(InputEventKind::Failed, reason))
    }
}

impl InputRules {
    /// No rules yet.
    pub(crate) fn new(context: &ChannelContext) -> Self {
        let (tell, news) = mpsc::channel(NEWS_MAX);
        Self { context: context.clone(), known: Vec::new(), tell, news, runs: 0 }
    }

    /// Several times a second: the rules of these channels hold, of which `on_air` says what they
    /// show.
    pub(crate) fn tick(
        &mut self,
        channels: &[ChannelConfig],
        on_air: impl Fn(&str) -> Option<OnAir>,
        registry: &Registry,
    ) -> Vec<Action> {
        let now = self.context.clock.now();
        self.settle(channels, registry, now);
        let mut actions = Vec::new();
        for at in 0..self.known.len() {
            let before = self.known[at].entry.clone();
            actions.extend(self.known[at].take_answer(now));
            let known = &self.known[at];
            let is_over = known.run.as_ref().is_none_or(|(_, thread)| thread.is_over());
            if is_over && now >= known.start_at {
                actions.extend(self.start(at, now));
            }
            let known = &self.known[at];
            if now >= known.retry_at {
                let may_switch = known.entry.fault.is_some() != (known.switch == Switch::Done);
                if may_switch && let Some(on_air) = on_air(&known.entry.channel) {
                    actions.extend(self.switch(at, &on_air));
                }
            }
            let entry = &self.known[at].entry;
            if before != *entry {
                registry.put_input_rule(entry);
            }
        }
        actions
    }

    /// What a thread says.
    pub(crate) fn handle(&mut self, (number, news): Report, registry: &Registry) -> Option<Action> {
        let now = self.context.clock.now();
        let is_of = |known: &&mut Known| known.run.as_ref().is_some_and(|(run, _)| *run == number);
        let known = self.known.iter_mut().find(is_of)?;
        let action = known.news(news, now);
        registry.put_input_rule(&known.entry);
        Some(action)
    }

    /// Ends the threads of rules that are gone, and takes new ones.
    fn settle(&mut self, channels: &[ChannelConfig], registry: &Registry, now: Micros) {
        let of = |channel: &str| channels.iter().find(|it| it.name == channel);
        self.known.retain(|known| {
            let rules = of(&known.entry.channel).map(|channel| &channel.input_rules);
            let stays = rules.is_some_and(|rules| rules.contains(&known.config));
            if !stays {
                known.run.iter().for_each(|(_, thread)| thread.stop());
                registry.remove_input_rule(&known.entry.channel, &known.entry.stream);
            }
            stays
        });
        for channel in channels {
            for rule in &channel.input_rules {
                let is_it =
                    |known: &Known| known.entry.channel == channel.name && known.config == *rule;
                if !self.known.iter().any(is_it) {
                    let known = Known::new(&channel.name, rule, now);
                    registry.put_input_rule(&known.entry);
                    self.known.push(known);
                }
            }
        }
    }

    /// Starts the thread of a rule.
    fn start(&mut self, at: usize, now: Micros) -> Option<Action> {
        self.runs += 1;
        let (number, known, context) = (self.runs, &mut self.known[at], &self.context);
        known.start_at = now + RETRY_WAIT;
        let bell = Bell::new();
        let stop = StopFlag::new(Arc::clone(&bell));
        let (subscription, messages) = channel(SUBSCRIPTION_QUEUE, Arc::clone(&bell));
        let (rules, clock) = (known.config.rules, context.clock);
        let (tell, stopping) = (self.tell.clone(), stop.clone());
        let stream: Arc<str> = Arc::from(known.config.stream.as_str());
        let subject = format!("input rule {stream}");
        let role = ThreadRole { role: CoreRole::Decoder, of: subject.clone() };
        let run = move || {
            set_log_subject(&subject);
            // Control is gone only when the node stops.
            let tell = |news| _ = tell.blocking_send((number, news));
            monitor_input(&rules, messages, (&bell, &stopping), clock, tell);
        };
        let place = ThreadPlace::below("input-rule", &context.encode_cpus);
        match context.threads.spawn(role, place, Some(stop), run) {
            Ok(thread) => {
                known.run = Some((number, thread));
                Some(Action::Subscribe(stream, subscription))
            }
            Err(error) => {
                let reason = format!("is not watched: no thread: {error}; raise `ulimit -u`");
                Some(known.event(InputEventKind::Failed, reason))
            }
        }
    }

    /// Asks for another scene, where one is wanted.
    fn switch(&mut self, at: usize, on_air: &OnAir) -> Option<Action> {
        if self.known[at].asked.is_some() {
            return None;
        }
        let channel = self.known[at].entry.channel.clone();
        let is_other = |(other, it): &(usize, &Known)| {
            *other != at && it.entry.channel == channel && it.switch == Switch::Done
        };
        let others = self.known.iter().enumerate().filter(is_other);
        let others: Vec<_> = others.map(|(_, it)| it.config.scene.clone()).collect();
        let known = &mut self.known[at];
        let scene = known.wanted(on_air, &others)?;
        let replaces = known.entry.fault.map(|_| on_air.scene.clone());
        let (reply, answer) = oneshot::channel();
        known.asked = Some((answer, replaces));
        Some(Action::Scenes(Ask::Activate { channel, scene, transition: None }, reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::channels::build::tests::context;
    use crate::media::Size;
    use crate::stream::InputRules as Rules;

    fn config() -> InputRuleConfig {
        let rules = Rules {
            after: Micros::from_millis(800),
            bitrate: Some((500_000, Micros::from_secs(5))),
            frozen: None,
            black: None,
            silent: None,
            clipping: None,
            back_after: Micros::from_secs(2),
        };
        let (stream, scene) = ("live/cam".to_owned(), "slate".to_owned());
        InputRuleConfig { stream, scene, rules }
    }

    fn known() -> Known {
        Known::new("show", &config(), Micros(0))
    }

    fn on_air(scene: &str, streams: &[&str]) -> OnAir {
        let streams = streams.iter().map(|it| (*it).to_owned()).collect();
        OnAir { scene: scene.to_owned(), streams }
    }

    fn answered(known: &mut Known, answer: Answer, replaces: Option<&str>) -> Option<Action> {
        let (reply, asked) = oneshot::channel();
        drop(reply.send(answer));
        known.asked = Some((asked, replaces.map(str::to_owned)));
        known.take_answer(Micros(0))
    }

    const FAULTY: InputNews = InputNews::Faulty(InputFault::Frozen, Micros::from_secs(5));
    const HEALTHY: InputNews = InputNews::Healthy(Micros::from_secs(9));

    #[test]
    fn a_scene_that_shows_a_faulty_input_is_replaced_and_comes_back() {
        let (mut known, main) = (known(), on_air("main", &["live/cam"]));
        assert_eq!(known.wanted(&main, &[]), None);
        known.news(FAULTY, Micros(1));
        assert_eq!(known.wanted(&on_air("talk", &["live/b"]), &[]), None, "it does not show it");
        assert_eq!(known.wanted(&main, &[]).as_deref(), Some("slate"));
        assert!(answered(&mut known, Answer::Done, Some("main")).is_none());
        let slate = on_air("slate", &[]);
        assert_eq!(known.wanted(&slate, &[]), None);
        known.news(HEALTHY, Micros(2));
        assert_eq!(known.wanted(&slate, &[]).as_deref(), Some("main"));
        assert!(answered(&mut known, Answer::Done, None).is_none());
        assert_eq!(known.wanted(&main, &[]), None);
        assert_eq!((known.entry.faults, &known.entry.replaced), (1, &None));
    }

    #[test]
    fn what_an_operator_takes_meanwhile_stays() {
        let (mut known, main) = (known(), on_air("main", &["live/cam"]));
        known.news(FAULTY, Micros(1));
        answered(&mut known, Answer::Done, Some("main"));
        assert_eq!(known.wanted(&main, &[]), None, "taken again, faulty as it is");
        known.news(HEALTHY, Micros(2));
        assert_eq!(known.wanted(&on_air("talk", &[]), &[]), None);
        assert_eq!(known.wanted(&on_air("slate", &[]), &[]), None, "it is forgotten");
    }

    #[test]
    fn a_rule_waits_for_that_of_the_scene_that_it_shows() {
        let mut known = known();
        known.news(FAULTY, Micros(1));
        answered(&mut known, Answer::Done, Some("main"));
        known.news(HEALTHY, Micros(2));
        let others = ["black".to_owned()];
        assert_eq!(known.wanted(&on_air("black", &[]), &others), None);
        let slate = on_air("slate", &[]);
        assert_eq!(known.wanted(&slate, &[]).as_deref(), Some("main"), "the other is back");
    }

    #[test]
    fn a_scene_that_cannot_be_shown_is_told_and_tried_again() {
        let (mut known, main) = (known(), on_air("main", &["live/cam"]));
        known.news(FAULTY, Micros(1));
        let told = answered(&mut known, Answer::NotFound("no scene slate".into()), Some("main"));
        let Some(Action::Tell(event)) = told else { panic!() };
        assert_eq!(event.name(), "input_rule_failed");
        assert_eq!(known.retry_at, RETRY_WAIT);
        assert_eq!(known.wanted(&main, &[]).as_deref(), Some("slate"));
    }

    #[test]
    fn a_thread_whose_subscription_ends_at_once_is_started_again_after_a_while() {
        let size = Size::new(64, 64).unwrap();
        let input_rules = vec![config()];
        let channel = ChannelConfig { input_rules, ..ChannelConfig::plain("a", "live/a", size) };
        let (mut rules, registry) = (InputRules::new(&context()), Registry::default());
        let starts = |rules: &mut InputRules| {
            let actions = rules.tick(std::slice::from_ref(&channel), |_| None, &registry);
            actions.iter().filter(|it| matches!(it, Action::Subscribe(..))).count()
        };
        assert_eq!(starts(&mut rules), 1);
        let is_over = |rules: &InputRules| rules.known[0].run.as_ref().unwrap().1.is_over();
        while !is_over(&rules) {
            std::thread::yield_now();
        }
        assert_eq!(starts(&mut rules), 0, "its subscription has ended a moment ago");
        rules.known[0].start_at = Micros(0);
        assert_eq!(starts(&mut rules), 1);
    }

    #[test]
    fn each_fault_is_a_sentence_that_says_what_can_be_done() {
        let known = known();
        let said = known.sentence(InputFault::Frozen, Micros::from_secs(5));
        assert_eq!(
            said,
            "has been frozen for 5.0 s: its publisher sends, the picture does not change"
        );
        let said = known.sentence(InputFault::LowBitrate, Micros::from_secs(5));
        assert!(said.contains("below 500 kb/s for 5.0 s"), "{said}");
    }
}
