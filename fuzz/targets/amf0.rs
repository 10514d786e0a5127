//! AMF0 values: what is read is written and read back alike.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_manager_fuzz::rtmp::amf0::{Decoder, Value};

fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| value.encode(&mut out));
    out
}

fn decode(bytes: &[u8]) -> Vec<Value> {
    let mut decoder = Decoder::new(bytes);
    std::iter::from_fn(|| decoder.value().ok().flatten()).collect()
}

fuzz_target!(|data: &[u8]| {
    let values = decode(data);
    let bytes = encode(&values);
    // Compared as bytes, because a number may be none.
    assert_eq!(encode(&decode(&bytes)), bytes);
});
