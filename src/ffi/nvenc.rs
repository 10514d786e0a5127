//! NVENC's interface, as the installed header declares it.

use std::mem::offset_of;

pub use bound::*;

super::bound!("/nvenc.rs");

// The same from interface version 11.1 to 13.0: a driver that speaks a later one than the header
// reads them at these places.
const _: () = {
    assert!(size_of::<NV_ENCODE_API_FUNCTION_LIST>() == 2_552);
    assert!(size_of::<NV_ENC_CAPS_PARAM>() == 256);
    assert!(size_of::<NV_ENC_CONFIG>() == 3_584);
    assert!(size_of::<NV_ENC_CONFIG_H264>() == 1_792);
    assert!(size_of::<NV_ENC_PRESET_CONFIG>() == 5_128);
    assert!(size_of::<NV_ENC_RC_PARAMS>() == 128);
    assert!(offset_of!(NV_ENC_CONFIG, rcParams) == 40);
    assert!(offset_of!(NV_ENC_CONFIG, encodeCodecConfig) == 168);
    assert!(offset_of!(NV_ENC_INITIALIZE_PARAMS, encodeConfig) == 88);
    assert!(offset_of!(NV_ENC_LOCK_BITSTREAM, bitstreamBufferPtr) == 56);
};
