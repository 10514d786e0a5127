//! Origin stamps of a channel's video: put into its keyframes behind every encoder, and said in a
//! message each second.

use std::sync::Arc;

use crate::frame::{HEADROOM, PacketBuf};
use crate::media::{Micros, USER_DATA_UNIT_MAX, VideoCodec, place_of_user_data};
use crate::rtmp::origin_message;
use crate::stats::OriginClock;

/// From one message to the next.
const MESSAGE_EVERY: Micros = Micros::from_secs(1);

/// Bytes before the first slice that are moved to make room: parameter sets and SEI. A keyframe
/// with more goes without a stamp; the picture itself is never moved.
const MOVED_BYTES_MAX: usize = 4 << 10;

/// Headers of RTMP and of the codec's track, which need their room as well.
const HEADERS_MAX: usize = 40;

const _: () = assert!(USER_DATA_UNIT_MAX + HEADERS_MAX <= HEADROOM);

/// Stamps the pictures of one encoder.
#[derive(Debug)]
pub(super) struct OriginStamps {
    clock: Arc<OriginClock>,
    codec: VideoCodec,
    /// When the next message is due.
    next: Micros,
}

impl OriginStamps {
    /// Of an encoder of this codec.
    pub(super) const fn new(clock: Arc<OriginClock>, codec: VideoCodec) -> Self {
        Self { clock, codec, next: Micros(0) }
    }

    /// Puts a stamp into a picture that is a keyframe: the frame of tick `pts`, which was due at
    /// `due`. Gives the body of the message that goes before the picture, if it is time for one.
    pub(super) fn put(
        &mut self,
        body: &mut PacketBuf,
        (pts, due): (i64, Micros),
        key: bool,
    ) -> Option<Vec<u8>> {
        let says = due >= self.next;
        if !key && !says {
            return None;
        }
        let stamp = self.clock.stamp(u64::try_from(pts).unwrap_or(0), due)?;
        if key
            && let Some(at) = place_of_user_data(self.codec, body)
            && at <= MOVED_BYTES_MAX
        {
            body.insert(at, &stamp.unit(self.codec));
        }
        if !says {
            return None;
        }
        self.next = due + MESSAGE_EVERY;
        Some(origin_message(&stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{NodeId, OriginStamp};

    #[test]
    fn a_keyframe_whose_slice_comes_late_goes_as_it_is() {
        let clock = Arc::new(OriginClock::new(NodeId::new(1, 2)));
        let slice: &[u8] = &[0, 0, 0, 2, 0x65, 1];
        let sei = |bytes: usize| {
            let len = u32::try_from(bytes).unwrap().to_be_bytes();
            [&len[..], &[6], &vec![0x80; bytes - 1]].concat()
        };
        let mut stamps = OriginStamps::new(Arc::clone(&clock), VideoCodec::H264);
        let mut put = |before: &[u8]| {
            let mut body = PacketBuf::copy_of(&[before, slice].concat());
            stamps.put(&mut body, (7, Micros(9)), true);
            let end = body.len() - slice.len();
            assert_eq!(body[end..], *slice);
            (body[..end] == *before, OriginStamp::in_picture(VideoCodec::H264, &body))
        };
        assert_eq!(put(&[]), (true, None), "the time of day is not known");
        clock.set(1_000, None);
        let stamp = OriginStamp { unix_us: 1_009, node: NodeId::new(1, 2), frame: 7 };
        assert_eq!(put(&[]), (false, Some(stamp)));
        assert_eq!(put(&sei(700)), (false, Some(stamp)));
        assert_eq!(put(&sei(MOVED_BYTES_MAX)), (true, None));
    }
}
