//! The binding of whichever FFmpeg major is linked, with the same names for all.

#[cfg(not(feature = "ffmpeg5"))]
pub use rsmpeg::ffi::*;
#[cfg(feature = "ffmpeg5")]
pub use rsmpeg5::ffi::*;

// The older binding puts the type in front of each value of an enumeration.
#[cfg(feature = "ffmpeg5")]
pub use rsmpeg5::ffi::{
    AVChannelOrder_AV_CHANNEL_ORDER_NATIVE as AV_CHANNEL_ORDER_NATIVE,
    AVChannelOrder_AV_CHANNEL_ORDER_UNSPEC as AV_CHANNEL_ORDER_UNSPEC,
    AVChromaLocation_AVCHROMA_LOC_LEFT as AVCHROMA_LOC_LEFT,
    AVCodecID_AV_CODEC_ID_AAC as AV_CODEC_ID_AAC, AVCodecID_AV_CODEC_ID_H264 as AV_CODEC_ID_H264,
    AVColorPrimaries_AVCOL_PRI_BT709 as AVCOL_PRI_BT709,
    AVColorRange_AVCOL_RANGE_JPEG as AVCOL_RANGE_JPEG,
    AVColorRange_AVCOL_RANGE_MPEG as AVCOL_RANGE_MPEG,
    AVColorSpace_AVCOL_SPC_BT470BG as AVCOL_SPC_BT470BG,
    AVColorSpace_AVCOL_SPC_BT709 as AVCOL_SPC_BT709,
    AVColorSpace_AVCOL_SPC_BT2020_CL as AVCOL_SPC_BT2020_CL,
    AVColorSpace_AVCOL_SPC_BT2020_NCL as AVCOL_SPC_BT2020_NCL,
    AVColorSpace_AVCOL_SPC_FCC as AVCOL_SPC_FCC,
    AVColorSpace_AVCOL_SPC_SMPTE170M as AVCOL_SPC_SMPTE170M,
    AVColorSpace_AVCOL_SPC_SMPTE240M as AVCOL_SPC_SMPTE240M,
    AVColorTransferCharacteristic_AVCOL_TRC_BT709 as AVCOL_TRC_BT709,
    AVMediaType_AVMEDIA_TYPE_AUDIO as AVMEDIA_TYPE_AUDIO,
    AVMediaType_AVMEDIA_TYPE_VIDEO as AVMEDIA_TYPE_VIDEO,
    AVPictureType_AV_PICTURE_TYPE_I as AV_PICTURE_TYPE_I,
    AVPictureType_AV_PICTURE_TYPE_NONE as AV_PICTURE_TYPE_NONE,
    AVPixelFormat_AV_PIX_FMT_NV12 as AV_PIX_FMT_NV12,
    AVPixelFormat_AV_PIX_FMT_YUV411P as AV_PIX_FMT_YUV411P,
    AVPixelFormat_AV_PIX_FMT_YUV420P as AV_PIX_FMT_YUV420P,
    AVPixelFormat_AV_PIX_FMT_YUV422P as AV_PIX_FMT_YUV422P,
    AVPixelFormat_AV_PIX_FMT_YUV440P as AV_PIX_FMT_YUV440P,
    AVPixelFormat_AV_PIX_FMT_YUV444P as AV_PIX_FMT_YUV444P,
    AVPixelFormat_AV_PIX_FMT_YUVJ411P as AV_PIX_FMT_YUVJ411P,
    AVPixelFormat_AV_PIX_FMT_YUVJ420P as AV_PIX_FMT_YUVJ420P,
    AVPixelFormat_AV_PIX_FMT_YUVJ422P as AV_PIX_FMT_YUVJ422P,
    AVPixelFormat_AV_PIX_FMT_YUVJ440P as AV_PIX_FMT_YUVJ440P,
    AVPixelFormat_AV_PIX_FMT_YUVJ444P as AV_PIX_FMT_YUVJ444P,
    AVSampleFormat_AV_SAMPLE_FMT_FLT as AV_SAMPLE_FMT_FLT,
    AVSampleFormat_AV_SAMPLE_FMT_FLTP as AV_SAMPLE_FMT_FLTP,
};
