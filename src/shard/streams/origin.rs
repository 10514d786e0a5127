//! Origins of published and pulled streams: what their sources say of when a frame was made, and of
//! how they get on.

use super::stream::Stream;
use crate::media::{Kind, OriginStamp, PublisherMetrics, each_user_data};
use crate::rtmp::flv::Video;
use crate::rtmp::read_origin;
use crate::shard::context::Context;
use crate::stream::Flags;

impl Stream {
    /// Looks for an origin stamp in a message of its source: in keyframes of track 0, of which no
    /// more is read than SEI and the lengths of some units, and in data. Keyframes may have metrics
    /// of their publisher as well.
    pub(super) fn note_origin(&self, cx: &Context, kind: Kind, flags: Flags, body: &[u8]) {
        match kind {
            Kind::Video if flags.is_key() && flags.track() == 0 => {
                let (stamp, metrics) = in_keyframe(body);
                let metrics = Some(&metrics).filter(|metrics| metrics.is_some());
                self.delivery.came_from(stamp.as_ref(), metrics, cx);
            }
            Kind::Data if !flags.is_header() => {
                if let Some(stamp) = read_origin(body) {
                    self.delivery.came_from(Some(&stamp), None, cx);
                }
            }
            _ => {}
        }
    }
}

fn in_keyframe(body: &[u8]) -> (Option<OriginStamp>, PublisherMetrics) {
    let (mut stamp, mut metrics) = (None, PublisherMetrics::default());
    if let Some((codec, picture)) = Video::parse(body).and_then(|it| it.main_picture(body)) {
        each_user_data(codec, picture, |uuid, message| {
            stamp = stamp.or_else(|| OriginStamp::of_user_data(uuid, message));
            metrics.take(uuid, message);
        });
    }
    (stamp, metrics)
}
