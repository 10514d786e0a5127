//! Request channel from the control plane's front (API, dashboard, command line) to the running
//! node; the controller reads its other end.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::command::{Answer, Ask};

/// Requests that may wait for the controller; who asks beyond that waits for a place, within the
/// same deadline.
pub const REQUESTS_MAX: usize = 64;

/// Longest wait for an answer. Loading a scene is what takes longest.
pub const ASK_LIMIT: Duration = Duration::from_secs(15);

/// The way back to whoever asked.
pub(crate) type Reply = oneshot::Sender<Answer>;

/// A request with the way back.
pub type Request = (Ask, oneshot::Sender<Answer>);

/// Whoever asked may have gone; then nobody misses the answer.
pub(crate) fn say(reply: Reply, answer: Answer) {
    drop(reply.send(answer));
}

/// The asking end. Clones ask the same controller.
#[derive(Clone, Debug)]
pub struct ControlHandle(mpsc::Sender<Request>);

/// A handle, and what the controller reads. The receiving end may also be a test's, which answers
/// as it likes.
#[must_use]
pub fn control_channel() -> (ControlHandle, mpsc::Receiver<Request>) {
    let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
    (ControlHandle(sender), receiver)
}

impl ControlHandle {
    /// Asks, and waits for the answer at most [`ASK_LIMIT`]; then, and if the controller is gone,
    /// the answer is [`Answer::Unavailable`].
    pub async fn ask(&self, ask: Ask) -> Answer {
        let answer = tokio::time::timeout(ASK_LIMIT, self.ask_patiently(ask)).await;
        answer.unwrap_or_else(|_| {
            Answer::Unavailable("the node does not answer; try again".to_owned())
        })
    }

    /// The same without a clock, for programs that have no timer here: the controller gives up by
    /// itself what takes too long. On any executor.
    pub async fn ask_patiently(&self, ask: Ask) -> Answer {
        let (answer, answered) = oneshot::channel();
        let asked = match self.0.send((ask, answer)).await {
            Ok(()) => answered.await.ok(),
            Err(_closed) => None,
        };
        asked.unwrap_or_else(|| Answer::Unavailable("the node is stopping".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test)
    }

    #[test]
    fn what_the_desk_says_is_the_answer() {
        let answer = run(async {
            let (handle, mut controller) = control_channel();
            let serve = async {
                let (ask, answer) = controller.recv().await.unwrap();
                assert!(matches!(ask, Ask::Streams));
                answer.send(Answer::Streams(Vec::new())).unwrap();
            };
            tokio::join!(handle.ask(Ask::Streams), serve).0
        });
        assert!(matches!(answer, Answer::Streams(list) if list.is_empty()));
    }

    #[test]
    fn a_desk_that_is_gone_or_drops_the_question_is_unavailable() {
        run(async {
            let (first, mut controller) = control_channel();
            let drops = async { drop(controller.recv().await) };
            let (answer, ()) = tokio::join!(first.ask(Ask::Streams), drops);
            assert!(matches!(answer, Answer::Unavailable(_)));
            drop(controller);
            assert!(matches!(first.ask(Ask::Streams).await, Answer::Unavailable(_)));
        });
    }
}
