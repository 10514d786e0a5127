//! Takes a configuration that has changed into use: one step after the other, each done by the
//! controller, whoever is on the air meanwhile.

use tokio::sync::{mpsc, oneshot};

use crate::command::{Answer, ReloadView};
use crate::config::{Config, Step};
use crate::control::config_store::{ConfigStore, Load};

/// Steps that wait for the controller: one at a time.
const STEPS_MAX: usize = 1;

/// What the controller is to do for a reload.
pub(crate) enum Work {
    /// Take a step towards this configuration, and say what came of it.
    Step(Box<Step>, Box<Config>, oneshot::Sender<Answer>),
    /// It is over: tell everybody what was done, and who asked for it.
    Done(Answer, oneshot::Sender<Answer>),
}

/// A way to the controller, and its end.
pub(crate) fn line() -> (mpsc::Sender<Work>, mpsc::Receiver<Work>) {
    mpsc::channel(STEPS_MAX)
}

/// Reads the file and applies what differs. A file that is wrong changes nothing.
pub(crate) async fn run(
    load: Load,
    config_store: ConfigStore,
    controller: mpsc::Sender<Work>,
    reply: oneshot::Sender<Answer>,
) {
    let answer = apply(load, &config_store, &controller).await;
    // The controller is gone only when the node stops.
    drop(controller.send(Work::Done(answer, reply)).await);
}

async fn apply(load: Load, config_store: &ConfigStore, controller: &mpsc::Sender<Work>) -> Answer {
    let stopping = || Answer::Unavailable("the node is stopping".to_owned());
    let plan = match config_store.plan(load).await {
        Ok(Ok(plan)) => plan,
        Ok(Err(errors)) => {
            let faults = errors.to_string();
            return Answer::Invalid(faults.lines().map(str::to_owned).collect());
        }
        Err(_gone) => return stopping(),
    };
    let mut view = ReloadView {
        done: Vec::new(),
        restart: plan.difference.restart.clone(),
        failed: plan.told.clone(),
    };
    let mut failed: Vec<Step> = Vec::new();
    for step in &plan.difference.steps {
        if failed.iter().any(|other| step.depends_on(other)) {
            failed.push(step.clone());
            continue;
        }
        let (say, heard) = oneshot::channel();
        let work = Work::Step(Box::new(step.clone()), Box::new(plan.wanted().clone()), say);
        if controller.send(work).await.is_err() {
            return stopping();
        }
        let why = match heard.await {
            Ok(Answer::Done | Answer::Named(_)) => None,
            Ok(Answer::NotFound(text) | Answer::Conflict(text) | Answer::Unavailable(text)) => {
                Some(text)
            }
            Ok(Answer::Invalid(faults)) => Some(faults.join("; ")),
            Ok(_) | Err(_) => Some("the node does not answer".to_owned()),
        };
        match why {
            None => view.done.push(step.to_string()),
            Some(why) => {
                view.failed.push(format!("not so, that {step}: {why}"));
                failed.push(step.clone());
            }
        }
    }
    match config_store.settle(plan, failed).await {
        Ok(()) => Answer::Reloaded(view),
        Err(_gone) => stopping(),
    }
}

/// What a reload has come to, in a line for the log and the events.
pub(crate) fn words(answer: &Answer) -> String {
    match answer {
        Answer::Reloaded(view) => view.to_string(),
        Answer::Invalid(faults) => {
            format!("the configuration is wrong, so nothing was changed: {}", faults.join("; "))
        }
        Answer::Conflict(text) | Answer::Unavailable(text) | Answer::NotFound(text) => {
            format!("the configuration was not read again: {text}")
        }
        _ => "the configuration was not read again".to_owned(),
    }
}
