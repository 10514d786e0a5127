//! AV1 still: the one picture of an AVIF file, decoded by libavcodec. All `unsafe` is here.

use std::ffi::c_int;
use std::ptr::NonNull;

use super::av::error_text;
use super::sys;

/// A decoded still.
#[derive(Debug)]
pub struct Still {
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Its samples, row after row without gaps.
    pub samples: Vec<u8>,
}

/// What samples a still is wanted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillFormat {
    /// Red, green, blue and 255, a byte each.
    Rgba,
    /// One byte, of full range: alpha is a picture of its own.
    Gray,
}

impl StillFormat {
    const fn id(self) -> sys::AVPixelFormat {
        match self {
            Self::Rgba => sys::AV_PIX_FMT_RGBA,
            Self::Gray => sys::AV_PIX_FMT_GRAY8,
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Rgba => 4,
            Self::Gray => 1,
        }
    }
}

/// Decodes the picture in `data`, which are the OBUs of AV1. One of more pixels than `pixels_max`
/// is not decoded.
///
/// # Errors
/// Why there is no picture.
pub fn decode_av1_still(
    data: &[u8],
    format: StillFormat,
    pixels_max: i64,
) -> Result<Still, String> {
    let decoder = Decoder::open(pixels_max)?;
    let packet = Packet::of(data)?;
    let picture = Picture::new()?;
    // SAFETY: an open decoder and a packet of ours; null says that no other follows. Then a frame
    // of ours, which the call fills.
    unsafe {
        let decoder = decoder.0.as_ptr();
        check(sys::avcodec_send_packet(decoder, packet.0.as_ptr()))?;
        check(sys::avcodec_send_packet(decoder, std::ptr::null()))?;
        check(sys::avcodec_receive_frame(decoder, picture.0.as_ptr()))?;
    }
    picture.converted(format)
}

struct Decoder(NonNull<sys::AVCodecContext>);

impl Decoder {
    fn open(pixels_max: i64) -> Result<Self, String> {
        // SAFETY: a number of a codec; the answer is static or null.
        let codec = unsafe { sys::avcodec_find_decoder(sys::AV_CODEC_ID_AV1) };
        if codec.is_null() {
            return Err("the FFmpeg libraries here have no decoder of AV1".to_owned());
        }
        // SAFETY: one of the library's static codecs.
        let context = unsafe { sys::avcodec_alloc_context3(codec) };
        let decoder = Self(NonNull::new(context).ok_or_else(no_memory)?);
        // SAFETY: a context of ours that is not open yet; no options.
        unsafe {
            (*context).max_pixels = pixels_max;
            check(sys::avcodec_open2(context, codec, std::ptr::null_mut()))?;
        }
        Ok(decoder)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let mut context = self.0.as_ptr();
        // SAFETY: owned; freed once.
        unsafe { sys::avcodec_free_context(&raw mut context) };
    }
}

struct Packet(NonNull<sys::AVPacket>);

impl Packet {
    /// With a padded copy of `data`.
    fn of(data: &[u8]) -> Result<Self, String> {
        let size = c_int::try_from(data.len()).map_err(|_| "it is too large".to_owned())?;
        // SAFETY: no arguments; a null answer is an error.
        let packet = Self(NonNull::new(unsafe { sys::av_packet_alloc() }).ok_or_else(no_memory)?);
        // SAFETY: an empty packet of ours, which gets `size` bytes and padding; the new memory does
        // not overlap `data`.
        unsafe {
            check(sys::av_new_packet(packet.0.as_ptr(), size))?;
            std::ptr::copy_nonoverlapping(data.as_ptr(), (*packet.0.as_ptr()).data, data.len());
        }
        Ok(packet)
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut packet = self.0.as_ptr();
        // SAFETY: owned; freed once.
        unsafe { sys::av_packet_free(&raw mut packet) };
    }
}

struct Picture(NonNull<sys::AVFrame>);

impl Picture {
    fn new() -> Result<Self, String> {
        // SAFETY: no arguments; a null answer is an error.
        NonNull::new(unsafe { sys::av_frame_alloc() }).map(Self).ok_or_else(no_memory)
    }

    fn converted(&self, format: StillFormat) -> Result<Still, String> {
        // SAFETY: owned, never null, and nobody writes it meanwhile.
        let raw = unsafe { self.0.as_ref() };
        let side = |side: c_int| u32::try_from(side).map_err(|_| "it has no size".to_owned());
        let (width, height) = (side(raw.width)?, side(raw.height)?);
        let scaler = Scaler::new(raw, format)?;
        let row = width as usize * format.bytes();
        let mut samples = vec![0; row * height as usize];
        let stride = c_int::try_from(row).map_err(|_| "it is too wide".to_owned())?;
        let data = [samples.as_mut_ptr(), std::ptr::null_mut(), std::ptr::null_mut()];
        let strides = [stride, 0, 0];
        // SAFETY: the scaler was made for this picture and format; the target has so many rows of
        // that length, and a format of one plane.
        let rows = unsafe {
            sys::sws_scale(
                scaler.0.as_ptr(),
                raw.data.as_ptr().cast(),
                raw.linesize.as_ptr(),
                0,
                raw.height,
                data.as_ptr(),
                strides.as_ptr(),
            )
        };
        check(rows)?;
        Ok(Still { width, height, samples })
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        let mut frame = self.0.as_ptr();
        // SAFETY: owned; freed once.
        unsafe { sys::av_frame_free(&raw mut frame) };
    }
}

struct Scaler(NonNull<sys::SwsContext>);

impl Scaler {
    fn new(from: &sys::AVFrame, to: StillFormat) -> Result<Self, String> {
        let flags = sys::SWS_BICUBIC | sys::SWS_FULL_CHR_H_INT | sys::SWS_ACCURATE_RND;
        let (none, default) = (std::ptr::null_mut(), std::ptr::null());
        // SAFETY: plain numbers, which the call checks; null asks for defaults.
        let context = unsafe {
            sys::sws_getContext(
                from.width,
                from.height,
                from.format,
                from.width,
                from.height,
                to.id(),
                flags.cast_signed(),
                none,
                none,
                default,
            )
        };
        let scaler = Self(NonNull::new(context).ok_or("its pixels cannot be converted")?);
        // What is not said is BT.601, as other readers of AVIF have it.
        let matrix = match from.colorspace {
            sys::AVCOL_SPC_BT709 => sys::SWS_CS_ITU709,
            sys::AVCOL_SPC_BT2020_NCL | sys::AVCOL_SPC_BT2020_CL => sys::SWS_CS_BT2020,
            _ => sys::SWS_CS_ITU601,
        };
        let (is_full, one) = (c_int::from(from.color_range == sys::AVCOL_RANGE_JPEG), 1 << 16);
        // SAFETY: the tables are static data of the library; the context is ours. A negative answer
        // means that there is no matrix to choose.
        unsafe {
            let table = sys::sws_getCoefficients(matrix.cast_signed());
            let context = scaler.0.as_ptr();
            sys::sws_setColorspaceDetails(context, table, is_full, table, 1, 0, one, one);
        }
        Ok(scaler)
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: owned; freed once.
        unsafe { sys::sws_freeContext(self.0.as_ptr()) };
    }
}

fn check(code: c_int) -> Result<(), String> {
    if code < 0 { Err(error_text(code)) } else { Ok(()) }
}

fn no_memory() -> String {
    "there is no memory for it".to_owned()
}
