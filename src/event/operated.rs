//! Operations over the API: what somebody has done.

/// What somebody has done over the API, and to which part of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operated {
    /// The event's name, one of [`NodeEvent::NAMES`](super::NodeEvent::NAMES).
    pub name: &'static str,
    /// One line for people.
    pub text: String,
    /// The channel.
    pub channel: Option<String>,
    /// The output, or the push where there is no `channel`.
    pub output: Option<String>,
    /// The pull.
    pub pull: Option<String>,
    /// The recording.
    pub record: Option<String>,
    /// Public name of the stream.
    pub stream: Option<String>,
    /// The client's id.
    pub client: Option<String>,
    /// Who has done it: `token:NAME`, `cli:NAME` by the command line, or `anybody` where no token
    /// is asked for; `signal` for SIGHUP.
    pub actor: Option<String>,
}
