//! The size of a stream's pictures, as libavcodec's parsers find it. All `unsafe` about it is here.

use std::ffi::c_int;
use std::ptr::NonNull;

use super::sys;

/// Largest codec header accepted, bytes. A larger one is broken.
pub const HEADER_BYTES_MAX: usize = 1 << 16;

/// Codecs whose pictures can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureCodec {
    /// H.264 with an `avcC`.
    H264,
    /// H.265 with an `hvcC`.
    Hevc,
    /// AV1 with an `av1C`.
    Av1,
}

impl PictureCodec {
    pub(super) const fn id(self) -> sys::AVCodecID {
        match self {
            Self::H264 => sys::AV_CODEC_ID_H264,
            Self::Hevc => sys::AV_CODEC_ID_HEVC,
            Self::Av1 => sys::AV_CODEC_ID_AV1,
        }
    }
}

/// Width and height of the pictures in pixels, as libavcodec's parser reads them from the codec's
/// `header` and a `keyframe`; `None` if it does not find them.
#[must_use]
pub fn picture_size(codec: PictureCodec, header: &[u8], keyframe: &[u8]) -> Option<(u32, u32)> {
    let codec = codec.id();
    let mut padding = keyframe.to_vec();
    padding.resize(padding.len() + sys::AV_INPUT_BUFFER_PADDING_SIZE as usize, 0);
    let size = c_int::try_from(keyframe.len()).ok()?;
    let (extradata, extradata_size) = padded(header)?;
    // SAFETY: parser and context are ours and freed here; the context frees the extradata. The
    // input has its padding behind it and outlives the call; the output only points into it.
    unsafe {
        let mut context = sys::avcodec_alloc_context3(std::ptr::null());
        if context.is_null() {
            sys::av_free(extradata.as_ptr().cast());
            return None;
        }
        (*context).codec_id = codec;
        (*context).extradata = extradata.as_ptr();
        (*context).extradata_size = extradata_size;
        let parser = sys::av_parser_init(c_int::try_from(codec).unwrap_or(0));
        let mut found = None;
        if !parser.is_null() {
            (*parser).flags |= sys::PARSER_FLAG_COMPLETE_FRAMES.cast_signed();
            let (mut out, mut out_size) = (std::ptr::null_mut(), 0);
            let input = padding.as_ptr();
            sys::av_parser_parse2(
                parser,
                context,
                &raw mut out,
                &raw mut out_size,
                input,
                size,
                i64::MIN,
                i64::MIN,
                0,
            );
            let of_parser = ((*parser).width, (*parser).height);
            let of_context = ((*context).width, (*context).height);
            found = [of_parser, of_context].into_iter().find_map(positive);
            sys::av_parser_close(parser);
        }
        sys::avcodec_free_context(&raw mut context);
        found
    }
}

fn positive((width, height): (c_int, c_int)) -> Option<(u32, u32)> {
    let side = |side| u32::try_from(side).ok().filter(|side| *side > 0);
    Some((side(width)?, side(height)?))
}

/// A copy of a codec's header in libavutil's memory, with zeros behind it.
pub(super) fn padded(header: &[u8]) -> Option<(NonNull<u8>, c_int)> {
    let size = c_int::try_from(header.len()).ok().filter(|_| header.len() <= HEADER_BYTES_MAX)?;
    // SAFETY: null is an error; otherwise that many zeroed bytes are ours.
    let memory =
        unsafe { sys::av_mallocz(header.len() + sys::AV_INPUT_BUFFER_PADDING_SIZE as usize) };
    let memory = NonNull::new(memory.cast::<u8>())?;
    // SAFETY: just allocated, large enough, and apart from `header`.
    unsafe { std::ptr::copy_nonoverlapping(header.as_ptr(), memory.as_ptr(), header.len()) };
    Some((memory, size))
}
