//! Origins of published and pulled streams: what their sources say of when a frame was made.

use super::stream::Stream;
use crate::media::{Kind, OriginStamp};
use crate::rtmp::flv::Video;
use crate::rtmp::read_origin;
use crate::shard::context::Context;
use crate::stream::Flags;

impl Stream {
    /// Looks for an origin stamp in a message of its source: in keyframes of track 0, of which no
    /// more is read than SEI and the lengths of some units, and in data.
    pub(super) fn note_origin(&self, cx: &Context, kind: Kind, flags: Flags, body: &[u8]) {
        let stamp = match kind {
            Kind::Video if flags.is_key() && flags.track() == 0 => in_keyframe(body),
            Kind::Data if !flags.is_header() => read_origin(body),
            _ => None,
        };
        if let Some(stamp) = stamp {
            self.delivery.came_from(&stamp, cx);
        }
    }
}

fn in_keyframe(body: &[u8]) -> Option<OriginStamp> {
    let (codec, picture) = Video::parse(body)?.main_picture(body)?;
    OriginStamp::in_picture(codec, picture)
}
