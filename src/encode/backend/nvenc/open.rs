//! Choice of a GPU for a task: the first that can do it, and why the others cannot.

use super::codecs;
use super::driver::{Device, Driver};
use super::session::Session;
use super::settings::Choice;
use super::status::Stage;
use crate::encode::backend::watched::Opened;
use crate::encode::{Error, VideoSpec};
use crate::ffi::nvenc::{
    GUID, NV_ENC_CAPS_HEIGHT_MAX, NV_ENC_CAPS_HEIGHT_MIN, NV_ENC_CAPS_NUM_MAX_BFRAMES,
    NV_ENC_CAPS_SUPPORT_DYN_BITRATE_CHANGE, NV_ENC_CAPS_WIDTH_MAX, NV_ENC_CAPS_WIDTH_MIN,
};

/// What a GPU makes of a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) width: (i32, i32),
    pub(super) height: (i32, i32),
    pub(super) b_frames: i32,
    pub(super) can_change_rate: bool,
}

impl Abilities {
    pub(super) fn of(session: &Session, codec: GUID) -> Self {
        let ability = |ability| session.ability(codec, ability);
        Self {
            width: (ability(NV_ENC_CAPS_WIDTH_MIN), ability(NV_ENC_CAPS_WIDTH_MAX)),
            height: (ability(NV_ENC_CAPS_HEIGHT_MIN), ability(NV_ENC_CAPS_HEIGHT_MAX)),
            b_frames: ability(NV_ENC_CAPS_NUM_MAX_BFRAMES),
            can_change_rate: ability(NV_ENC_CAPS_SUPPORT_DYN_BITRATE_CHANGE) != 0,
        }
    }

    /// Why the GPU does not do a task.
    fn refusal(&self, spec: &VideoSpec) -> Option<String> {
        let ((least_w, most_w), (least_h, most_h)) = (self.width, self.height);
        let (width, height) = (spec.size.width(), spec.size.height());
        let is_within = |side: u32, least: i32, most: i32| {
            i32::try_from(side).is_ok_and(|side| (least..=most).contains(&side))
        };
        if !is_within(width, least_w, most_w) || !is_within(height, least_h, most_h) {
            return Some(format!(
                "it encodes {least_w}x{least_h} to {most_w}x{most_h}, not {width}x{height}"
            ));
        }
        let most = self.b_frames;
        let wanted = spec.b_frames;
        (i32::from(wanted) > most)
            .then(|| format!("it makes {most} B-pictures in a row, not {wanted}"))
    }
}

/// Opens a session on the first GPU that takes the task.
pub(super) fn open(
    driver: &'static Driver,
    spec: &VideoSpec,
    slots: usize,
) -> Result<(Session, Opened), Error> {
    let choice = Choice::of(spec)?;
    let mut refusals = Vec::new();
    for device in &driver.devices {
        let opened = session_on(driver, device).and_then(|mut session| {
            let opened = start(&mut session, spec, choice, slots)?;
            Ok((session, opened))
        });
        match opened {
            Ok(opened) => return Ok(opened),
            Err(Error::Config(text)) => return Err(Error::Config(text)),
            Err(error) => refusals.push(format!("{} ({}): {error}", device.name, device.bus_id)),
        }
    }
    Err(Error::Unavailable(refusals.join("; ")))
}

/// A session on a GPU.
pub(super) fn session_on(driver: &'static Driver, device: &Device) -> Result<Session, Error> {
    driver.sessions.ask().map_err(Error::Unavailable)?;
    let context = driver.enter(device).map_err(Error::Unavailable)?;
    Session::open(driver, context).map_err(|failure| {
        if failure.is_out_of_sessions() {
            driver.sessions.note_refusal();
        }
        failure.error(Stage::Opening)
    })
}

fn start(
    session: &mut Session,
    spec: &VideoSpec,
    choice: Choice,
    slots: usize,
) -> Result<Opened, Error> {
    let while_opening = |failure: super::status::Failure| failure.error(Stage::Opening);
    if !session.makes(&choice.codec).map_err(while_opening)? {
        return Err(Error::Unavailable(format!("it does not make {}", spec.codec.name())));
    }
    let abilities = Abilities::of(session, choice.codec);
    if let Some(refusal) = abilities.refusal(spec) {
        return Err(Error::Unavailable(refusal));
    }
    session.start(spec, choice, slots).map_err(while_opening)?;
    let headers = session.headers().map_err(while_opening)?;
    let header = codecs::header(spec.codec, &headers)
        .ok_or_else(|| Error::Unavailable("the driver gave no parameter sets".to_owned()))?;
    let fixed_rate = (!abilities.can_change_rate)
        .then_some("this GPU does not change the bitrate of a running encoder");
    Ok(Opened { header, fixed_rate })
}
