//! Colours in the parameter sets of a stream, written by libavcodec's filters for them.

use std::ffi::{CStr, c_int};

use super::picture::{PictureCodec, padded};
use super::sys;

/// BT.709 as both codecs number its primaries, transfer and matrix (ITU-T H.264 tables E-3 to E-5).
const BT709: i64 = 1;

/// The parameter sets of `header` with BT.709 in limited range said in them, in Annex B. `None` if
/// libavcodec does not take them, or has no such filter.
#[must_use]
pub fn with_bt709(codec: PictureCodec, header: &[u8]) -> Option<Vec<u8>> {
    let (name, options): (_, [(&CStr, i64); 4]) = (
        match codec {
            PictureCodec::H264 => c"h264_metadata",
            PictureCodec::Hevc => c"hevc_metadata",
            PictureCodec::Av1 => return None,
        },
        [
            (c"colour_primaries", BT709),
            (c"transfer_characteristics", BT709),
            (c"matrix_coefficients", BT709),
            (c"video_full_range_flag", 0),
        ],
    );
    let mut context = std::ptr::null_mut();
    // SAFETY: the usual order of libavcodec's calls: the filter is found, allocated, set up,
    // initialised and freed; it frees the extradata. Its output is read before that.
    unsafe {
        let filter = sys::av_bsf_get_by_name(name.as_ptr());
        if filter.is_null() || sys::av_bsf_alloc(filter, &raw mut context) < 0 {
            return None;
        }
        let parameters = &mut *(*context).par_in;
        parameters.codec_type = sys::AVMEDIA_TYPE_VIDEO;
        parameters.codec_id = codec.id();
        if let Some((bytes, size)) = padded(header) {
            (parameters.extradata, parameters.extradata_size) = (bytes.as_ptr(), size);
        }
        let set = |(key, value): &(&CStr, i64)| {
            sys::av_opt_set_int((*context).priv_data, key.as_ptr(), *value, 0)
        };
        let is_set_up = options.iter().all(|option| set(option) >= 0);
        let changed = (is_set_up && sys::av_bsf_init(context) >= 0)
            .then(|| copied((*(*context).par_out).extradata, (*(*context).par_out).extradata_size));
        sys::av_bsf_free(&raw mut context);
        changed.filter(|bytes| !bytes.is_empty())
    }
}

/// # Safety
/// `bytes` must be null, or `size` bytes that can be read.
unsafe fn copied(bytes: *const u8, size: c_int) -> Vec<u8> {
    if bytes.is_null() {
        return Vec::new();
    }
    // SAFETY: by the caller.
    unsafe { std::slice::from_raw_parts(bytes, size.unsigned_abs() as usize) }.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_header_is_not_changed() {
        let sps_without_an_end = [1, 100, 0, 31, 0xff, 0xe1, 0, 40, 0x67];
        for header in [&[][..], &[1, 2, 3], &sps_without_an_end] {
            assert_eq!(with_bt709(PictureCodec::H264, header), None, "{header:?}");
        }
        assert_eq!(with_bt709(PictureCodec::Av1, &[0x81, 0, 0, 0]), None);
    }
}
