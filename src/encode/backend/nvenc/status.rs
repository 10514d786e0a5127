//! NVENC's status codes in words: what each means, what to do about it, and which error it is.

use crate::encode::Error;
use crate::ffi::nvenc::{
    NV_ENC_ERR_DEVICE_NOT_EXIST, NV_ENC_ERR_ENCODER_BUSY, NV_ENC_ERR_ENCODER_NOT_INITIALIZED,
    NV_ENC_ERR_EVENT_NOT_REGISTERD, NV_ENC_ERR_GENERIC, NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY,
    NV_ENC_ERR_INVALID_CALL, NV_ENC_ERR_INVALID_DEVICE, NV_ENC_ERR_INVALID_ENCODERDEVICE,
    NV_ENC_ERR_INVALID_EVENT, NV_ENC_ERR_INVALID_PARAM, NV_ENC_ERR_INVALID_PTR,
    NV_ENC_ERR_INVALID_VERSION, NV_ENC_ERR_LOCK_BUSY, NV_ENC_ERR_MAP_FAILED,
    NV_ENC_ERR_NEED_MORE_INPUT, NV_ENC_ERR_NO_ENCODE_DEVICE, NV_ENC_ERR_NOT_ENOUGH_BUFFER,
    NV_ENC_ERR_OUT_OF_MEMORY, NV_ENC_ERR_RESOURCE_NOT_MAPPED, NV_ENC_ERR_RESOURCE_NOT_REGISTERED,
    NV_ENC_ERR_RESOURCE_REGISTER_FAILED, NV_ENC_ERR_UNIMPLEMENTED, NV_ENC_ERR_UNSUPPORTED_DEVICE,
    NV_ENC_ERR_UNSUPPORTED_PARAM, NV_ENC_SUCCESS, NVENCSTATUS,
};

/// A call that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Name of the call, without its prefix.
    pub(super) call: &'static str,
    /// What the driver answered.
    pub(super) status: NVENCSTATUS,
}

/// When a call failed, which decides what its owner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The encoder is being opened.
    Opening,
    /// It encodes.
    Encoding,
    /// It is asked to change while it encodes.
    Changing,
}

impl Failure {
    /// `Ok` for success.
    pub(super) const fn check(call: &'static str, status: NVENCSTATUS) -> Result<(), Self> {
        if status == NV_ENC_SUCCESS { Ok(()) } else { Err(Self { call, status }) }
    }

    /// Whether the driver has no encoding session left: consumer boards have a few, for all
    /// programs of the machine.
    pub(super) const fn is_out_of_sessions(self) -> bool {
        matches!(self.status, NV_ENC_ERR_OUT_OF_MEMORY | NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY)
    }

    /// The error of an encoder.
    pub(super) fn error(self, stage: Stage) -> Error {
        let (call, status) = (self.call, self.status);
        let text = format!("{call} failed: {} (NVENC status {status})", meaning(status));
        let is_setting = matches!(status, NV_ENC_ERR_INVALID_PARAM | NV_ENC_ERR_UNSUPPORTED_PARAM);
        match stage {
            Stage::Opening | Stage::Changing if is_setting => Error::Config(text),
            Stage::Opening => Error::Unavailable(text),
            Stage::Encoding | Stage::Changing => Error::Device(text),
        }
    }
}

/// What a code means, and what to do.
const fn meaning(status: NVENCSTATUS) -> &'static str {
    match status {
        NV_ENC_SUCCESS => "nothing is wrong",
        NV_ENC_ERR_NO_ENCODE_DEVICE => {
            "no GPU here encodes video; data-centre boards such as A100 and H100 have no NVENC, \
             and a container needs the driver capability `video`"
        }
        NV_ENC_ERR_UNSUPPORTED_DEVICE => {
            "this GPU does not encode video, or the container lacks the driver capability `video`"
        }
        NV_ENC_ERR_INVALID_ENCODERDEVICE => "the driver does not take the session any more",
        NV_ENC_ERR_INVALID_DEVICE => {
            "the driver does not take the device: is it in use exclusively?"
        }
        NV_ENC_ERR_DEVICE_NOT_EXIST => {
            "the GPU is gone: look for \"Xid\" in the kernel's log; it may need a reset"
        }
        NV_ENC_ERR_INVALID_PTR => "the driver does not take a pointer; please report this",
        NV_ENC_ERR_INVALID_EVENT => "the driver does not take an event; please report this",
        NV_ENC_ERR_INVALID_PARAM => {
            "the driver does not take these settings: try another preset, size or bitrate"
        }
        NV_ENC_ERR_INVALID_CALL => "the driver did not expect the call; please report this",
        NV_ENC_ERR_OUT_OF_MEMORY => {
            "no encoding session or no memory is left on the GPU: end other encoders, or let fewer \
             channels use NVENC"
        }
        NV_ENC_ERR_ENCODER_NOT_INITIALIZED => "the encoder was not set up; please report this",
        NV_ENC_ERR_UNSUPPORTED_PARAM => {
            "this GPU does not do what the settings ask for: try another preset, size or profile"
        }
        NV_ENC_ERR_LOCK_BUSY => "the output was not ready",
        NV_ENC_ERR_NOT_ENOUGH_BUFFER => "the driver wanted more room; please report this",
        NV_ENC_ERR_INVALID_VERSION => {
            "the driver is for another version of the interface: update the driver"
        }
        NV_ENC_ERR_MAP_FAILED => "the driver cannot map the picture",
        NV_ENC_ERR_NEED_MORE_INPUT => "the driver wanted another picture first",
        NV_ENC_ERR_ENCODER_BUSY => "the encoder stayed busy: let fewer channels use this GPU",
        NV_ENC_ERR_EVENT_NOT_REGISTERD => "the driver does not know an event; please report this",
        NV_ENC_ERR_GENERIC => "the driver gives no reason: look for \"NVRM\" in the kernel's log",
        NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY => {
            "no encoding session is left that this GPU's licence allows: end other encoders, or \
             let fewer channels use NVENC"
        }
        NV_ENC_ERR_UNIMPLEMENTED => "the driver does not have this call: update the driver",
        NV_ENC_ERR_RESOURCE_REGISTER_FAILED => "the driver cannot register the picture",
        NV_ENC_ERR_RESOURCE_NOT_REGISTERED => "the picture was not registered; please report this",
        NV_ENC_ERR_RESOURCE_NOT_MAPPED => "the picture was not mapped; please report this",
        _ => "a code that this release does not know: please report it with the driver's version",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_interface_has_a_meaning_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        let unknown = meaning(NVENCSTATUS::MAX);
        for status in NV_ENC_SUCCESS..=NV_ENC_ERR_RESOURCE_NOT_MAPPED {
            assert_ne!(meaning(status), unknown, "{status}");
            assert!(seen.insert(meaning(status)), "{status} says what another says");
        }
    }

    #[test]
    fn an_error_says_who_has_to_do_something() {
        let failure = |status| Failure { call: "InitializeEncoder", status };
        let kinds = [
            (NV_ENC_ERR_NO_ENCODE_DEVICE, Stage::Opening, "Unavailable"),
            (NV_ENC_ERR_OUT_OF_MEMORY, Stage::Opening, "Unavailable"),
            (NV_ENC_ERR_UNSUPPORTED_PARAM, Stage::Opening, "Config"),
            (NV_ENC_ERR_INVALID_PARAM, Stage::Changing, "Config"),
            (NV_ENC_ERR_INVALID_PARAM, Stage::Encoding, "Device"),
            (NV_ENC_ERR_DEVICE_NOT_EXIST, Stage::Changing, "Device"),
        ];
        for (status, stage, kind) in kinds {
            let error = failure(status).error(stage);
            assert!(format!("{error:?}").starts_with(kind), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("InitializeEncoder") && text.contains(&status.to_string()));
        }
    }
}
