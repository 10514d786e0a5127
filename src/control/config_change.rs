//! Configuration changes of control requests, and the requests that lead to a configuration.

use crate::command::{Ask, Document};
use crate::config::{
    Becomes, ChangedPart, OutputConfig, Part, PullConfig, PushConfig, RecordConfig,
};
use crate::control::config_store::Change;

/// What is to be kept of a wish that came true; nothing of one that changes nothing.
pub(crate) fn of(ask: &Ask) -> Option<Change> {
    let output = |channel: &str, name: &str| Part::Output(channel.to_owned(), name.to_owned());
    Some(match ask {
        Ask::AddOutput { channel, document: Document(document) } => {
            let output = OutputConfig::from_document(document).ok()?;
            Change::Becomes(Box::new(Becomes::Output(channel.clone(), output)))
        }
        Ask::RemoveOutput { channel, name } => {
            Change::Becomes(Box::new(Becomes::Gone(output(channel, name))))
        }
        Ask::StartOutput { channel, name } => Change::Switched(output(channel, name), true),
        Ask::StopOutput { channel, name } => Change::Switched(output(channel, name), false),
        Ask::AddRecording { document } => {
            Change::Becomes(Box::new(Becomes::Record(RecordConfig::from_document(document).ok()?)))
        }
        Ask::RemoveRecording { name } => {
            Change::Becomes(Box::new(Becomes::Gone(Part::Record(name.clone()))))
        }
        Ask::StartRecording { name } => Change::Switched(Part::Record(name.clone()), true),
        Ask::StopRecording { name } => Change::Switched(Part::Record(name.clone()), false),
        Ask::AddPull { document: Document(document) } => {
            Change::Becomes(Box::new(Becomes::Pull(PullConfig::from_document(document).ok()?)))
        }
        Ask::RemovePull { name } => {
            Change::Becomes(Box::new(Becomes::Gone(Part::Pull(name.clone()))))
        }
        Ask::StartPull { name } => Change::Switched(Part::Pull(name.clone()), true),
        Ask::StopPull { name } => Change::Switched(Part::Pull(name.clone()), false),
        Ask::AddPush { document: Document(document) } => {
            Change::Becomes(Box::new(Becomes::Push(PushConfig::from_document(document).ok()?)))
        }
        Ask::RemovePush { name } => {
            Change::Becomes(Box::new(Becomes::Gone(Part::Push(name.clone()))))
        }
        Ask::StartPush { name } => Change::Switched(Part::Push(name.clone()), true),
        Ask::StopPush { name } => Change::Switched(Part::Push(name.clone()), false),
        _ => return None,
    })
}

/// The wish that makes this of a pull.
pub(crate) fn of_pull(part: ChangedPart<PullConfig>) -> Ask {
    match part {
        ChangedPart::Gone(name) => Ask::RemovePull { name },
        ChangedPart::New(config) => Ask::AddPull { document: Document(config.to_document()) },
        ChangedPart::Switched(name, true) => Ask::StartPull { name },
        ChangedPart::Switched(name, false) => Ask::StopPull { name },
    }
}

/// The wish that makes this of a push.
pub(crate) fn of_push(part: ChangedPart<PushConfig>) -> Ask {
    match part {
        ChangedPart::Gone(name) => Ask::RemovePush { name },
        ChangedPart::New(config) => Ask::AddPush { document: Document(config.to_document()) },
        ChangedPart::Switched(name, true) => Ask::StartPush { name },
        ChangedPart::Switched(name, false) => Ask::StopPush { name },
    }
}

/// The wish that makes this of a recording.
pub(crate) fn of_record(part: ChangedPart<RecordConfig>) -> Ask {
    match part {
        ChangedPart::Gone(name) => Ask::RemoveRecording { name },
        ChangedPart::New(config) => Ask::AddRecording { document: config.to_document() },
        ChangedPart::Switched(name, true) => Ask::StartRecording { name },
        ChangedPart::Switched(name, false) => Ask::StopRecording { name },
    }
}

/// The wish that makes this of an output.
pub(crate) fn of_output(channel: String, part: ChangedPart<OutputConfig>) -> Ask {
    match part {
        ChangedPart::Gone(name) => Ask::RemoveOutput { channel, name },
        ChangedPart::New(config) => {
            Ask::AddOutput { channel, document: Document(config.to_document()) }
        }
        ChangedPart::Switched(name, true) => Ask::StartOutput { channel, name },
        ChangedPart::Switched(name, false) => Ask::StopOutput { channel, name },
    }
}
