//! Stingers: the videos of transitions, decoded ahead of their scenes.

use std::path::{Path, PathBuf};

use crate::control::channels::error::ChannelError;
use crate::control::channels::sources::{DECODE_THREADS, DecoderContext};
use crate::control::threads::{ThreadPlace, ThreadRole};
use crate::decode::{File, FileSpec, Step};
use crate::ffi::set_log_subject;
use crate::frame::PictureEvent;
use crate::media::{Micros, Size};
use crate::pipeline::{self, DecodeOut, LockstepFile, Retry};
use crate::ring::{Bell, Receiver, channel};
use crate::stats::CoreRole;

/// Pictures of a stinger that may wait for the composer: with their alpha they are large.
const QUEUE: u32 = 8;

/// The pictures of a stinger, due from 0 on, as large as the canvas. They are decoded on a thread
/// of their own until nobody takes them.
pub(super) fn decode_stinger(
    context: &DecoderContext,
    path: PathBuf,
    size: Size,
) -> Result<Receiver<PictureEvent>, ChannelError> {
    let bell = Bell::new();
    let (sender, pictures) = channel(QUEUE as usize, Bell::new());
    let out = DecodeOut::new(Some(sender), Vec::new());
    let subject = path.display().to_string();
    let open = move || {
        let mut file = open(&path, size)?;
        Ok(move |out: &mut DecodeOut| if out.is_full() { Ok(Step::Full) } else { file.step(out) })
    };
    let run = move || {
        set_log_subject(&subject);
        pipeline::decode_file(open, &bell, out, Retry::default(), |news| {
            tracing::debug!("stinger: {news:?}");
        });
    };
    let role = ThreadRole { role: CoreRole::Decoder, of: context.channel.clone() };
    let place = ThreadPlace::below("stinger", &context.cpus);
    context.threads.spawn(role, place, None, run).map_err(ChannelError::Thread)?;
    Ok(pictures)
}

/// The same on the thread of whoever shows it.
pub(super) fn stinger_in_lockstep(
    path: &Path,
    size: Size,
) -> Result<(LockstepFile, Receiver<PictureEvent>), crate::decode::Error> {
    let (sender, pictures) = channel(QUEUE as usize, Bell::new());
    let out = DecodeOut::new(Some(sender), Vec::new());
    Ok((LockstepFile::new(open(path, size)?, out), pictures))
}

fn open(path: &Path, size: Size) -> Result<File, crate::decode::Error> {
    let spec = FileSpec {
        looped: false,
        want_audio: false,
        threads: DECODE_THREADS,
        queue: QUEUE,
        keeps_alpha: true,
        ..FileSpec::new(Box::new(move |_| size), Micros(0))
    };
    File::open(path, spec)
}
