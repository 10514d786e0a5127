//! Chunks to messages: cut anywhere, the same messages come out, within the limit on unfinished
//! ones; and what was read is written and read back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_manager_fuzz::rtmp::Error;
use stream_manager_fuzz::rtmp::chunk::{MessageHeader, Reader, Writer};
use stream_manager_fuzz::rtmp::type_id::{ABORT, SET_CHUNK_SIZE};
use stream_manager_fuzz::with_pool;

type Plain = (u8, u32, u32, Vec<u8>);

fn read(bytes: &[u8], step: usize) -> (Vec<Plain>, Option<Error>) {
    let (mut reader, mut messages) = (Reader::default(), Vec::new());
    let result = with_pool(|pool| {
        for mut piece in bytes.chunks(step) {
            while let Some(message) = reader.read(&mut piece, pool)? {
                match (message.type_id, message.body.first_chunk()) {
                    (SET_CHUNK_SIZE, Some(n)) => reader.set_chunk_size(u32::from_be_bytes(*n)),
                    (ABORT, Some(n)) => reader.abort(u32::from_be_bytes(*n)),
                    _ => {}
                }
                let body = message.body.to_vec();
                messages.push((message.type_id, message.time, message.stream_id, body));
            }
        }
        Ok(())
    });
    (messages, result.err())
}

fuzz_target!(|data: &[u8]| {
    let [step, size, bytes @ ..] = data else { return };
    let (messages, error) = read(bytes, usize::MAX);
    assert_eq!((messages.clone(), error), read(bytes, usize::from(*step).max(1)));

    let mut writer = Writer::default();
    let mut written = Vec::new();
    let size = u32::from(*size) * 64 + 1;
    let announce = |size: u32| (SET_CHUNK_SIZE, 0, 0, size.to_be_bytes().to_vec());
    let own = messages.into_iter().filter(|m| !matches!(m.0, SET_CHUNK_SIZE | ABORT));
    let all: Vec<Plain> = std::iter::once(announce(size)).chain(own).collect();
    for (type_id, time, stream_id, body) in &all {
        let (type_id, time, stream_id) = (*type_id, *time, *stream_id);
        let header = MessageHeader { chunk_stream: 6, time, length: 0, type_id, stream_id };
        writer.write(header, body, &mut written);
        writer.set_chunk_size(size);
    }
    assert_eq!(read(&written, usize::MAX), (all, None));
});
