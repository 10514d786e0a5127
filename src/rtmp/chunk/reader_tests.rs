//! Chunk layer rules, one by one, from bytes written by hand.

use proptest::prelude::*;

use super::*;
use crate::frame::PacketPoolSpec;
use crate::rtmp::chunk::{MessageHeader, Writer};

fn pool() -> PacketPool {
    thread_local! {
        static POOL: PacketPool =
            PacketPool::new(PacketPoolSpec { bytes_max: 16 << 20 }).unwrap();
    }
    POOL.with(PacketPool::clone)
}

type Plain = (u8, u32, u32, Vec<u8>);

fn plain(message: &Message) -> Plain {
    (message.type_id, message.time, message.stream_id, message.body.to_vec())
}

/// Feeds `bytes` cut into pieces of `step`, applying chunk sizes and aborts as a session does.
fn read_by(bytes: &[u8], step: usize) -> Result<Vec<Plain>, Error> {
    let (mut reader, pool) = (Reader::default(), pool());
    let mut messages = Vec::new();
    for mut piece in bytes.chunks(step.max(1)) {
        while let Some(message) = reader.read(&mut piece, &pool)? {
            if let (1 | 2, Some(number)) = (message.type_id, message.body.first_chunk()) {
                let number = u32::from_be_bytes(*number);
                match message.type_id {
                    1 => reader.set_chunk_size(number),
                    _ => reader.abort(number),
                }
            }
            messages.push(plain(&message));
        }
    }
    Ok(messages)
}

/// Reads `bytes` whole and byte by byte, which must be the same.
fn read(bytes: &[u8]) -> Result<Vec<Plain>, Error> {
    let whole = read_by(bytes, usize::MAX);
    assert_eq!(whole, read_by(bytes, 1));
    whole
}

fn ok(bytes: &[u8]) -> Vec<Plain> {
    read(bytes).unwrap()
}

/// Type 0 header on a one-byte chunk stream.
fn first(csid: u8, time: u32, length: u32, type_id: u8) -> Vec<u8> {
    let header = MessageHeader { chunk_stream: csid, time, length, type_id, stream_id: 1 }.first();
    header.to_vec()
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn the_message_stream_id_is_little_endian_and_the_rest_is_not() {
    let bytes = [4, 0, 0, 5, 0, 0, 1, 8, 0x04, 0x03, 0x02, 0x01, 0xaa];
    assert_eq!(ok(&bytes), [(8, 5, 0x0102_0304, vec![0xaa])]);
}

#[test]
fn chunk_stream_ids_have_three_forms() {
    for (basic, id) in [
        (vec![2], 2),
        (vec![63], 63),
        (vec![0, 0], 64),
        (vec![0, 255], 319),
        (vec![1, 0, 0], 64),
        (vec![1, 255, 0], 319),
        (vec![1, 0, 1], 320),
        (vec![1, 255, 255], 65_599),
    ] {
        let rest = [0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, 0xaa];
        let bytes = cat(&[&basic, &rest]);
        let (mut reader, pool) = (Reader::default(), pool());
        assert!(reader.read(&mut &bytes[..], &pool).unwrap().is_some());
        assert_eq!(reader.streams[0].id, id, "{basic:?}");
        ok(&bytes);
    }
}

#[test]
fn an_extended_time_is_absolute_after_type_0_and_a_delta_after_types_1_and_2() {
    let start = first(6, 0x0100_0000, 1, 9);
    assert_eq!(start[1..4], [0xff; 3]);
    let delta = [0x46, 0xff, 0xff, 0xff, 0, 0, 1, 9, 0x01, 0, 0, 5];
    let same = [0x86, 0xff, 0xff, 0xff, 0x01, 0, 0, 6];
    let bytes = cat(&[&start, b"a", &delta, b"b", &same, b"c"]);
    let times: Vec<_> = ok(&bytes).into_iter().map(|m| m.1).collect();
    assert_eq!(times, [0x0100_0000, 0x0200_0005, 0x0300_000b]);
}

#[test]
fn a_time_of_ffffff_exactly_is_extended() {
    let bytes = cat(&[&first(6, 0xff_ffff, 1, 9), b"a"]);
    assert_eq!(bytes.len(), 17);
    assert_eq!(ok(&bytes)[0].1, 0xff_ffff);
    let below = cat(&[&first(6, 0xff_fffe, 1, 9), b"a"]);
    assert_eq!(below.len(), 13);
    assert_eq!(ok(&below)[0].1, 0xff_fffe);
}

#[test]
fn a_continuation_may_repeat_the_extended_time_or_leave_it_out() {
    let body: Vec<u8> = (0..130).collect();
    let header = first(6, 0x0100_0000, 130, 9);
    let repeated = cat(&[&header, &body[..128], &[0xc6, 1, 0, 0, 0], &body[128..]]);
    let left_out = cat(&[&header, &body[..128], &[0xc6], &body[128..]]);
    assert_eq!(ok(&repeated), [(9, 0x0100_0000, 1, body.clone())]);
    assert_eq!(ok(&left_out), [(9, 0x0100_0000, 1, body)]);
}

#[test]
fn a_left_out_extended_time_is_noticed_after_a_false_start() {
    // The payload begins like the time and then differs; the next chunk's header follows at once.
    let mut body = vec![7; 130];
    body[128..].copy_from_slice(&[1, 9]);
    let header = first(6, 0x0100_0000, 130, 9);
    let next = first(4, 0x0100_0001, 1, 8);
    let bytes = cat(&[&header, &body[..128], &[0xc6], &body[128..], &next, b"s"]);
    assert_eq!(ok(&bytes), [(9, 0x0100_0000, 1, body), (8, 0x0100_0001, 1, b"s".to_vec())]);
    // The same where the false start runs into another continuation of the same kind.
    let mut body = vec![7; 257];
    body[128..131].copy_from_slice(&[1, 0, 0]);
    body[256] = 1;
    let bytes = cat(&[
        &header[..4],
        &[0, 1, 1],
        &header[7..],
        &body[..128],
        &[0xc6],
        &body[128..256],
        &[0xc6],
        &body[256..],
        &next,
        b"s",
    ]);
    assert_eq!(ok(&bytes), [(9, 0x0100_0000, 1, body), (8, 0x0100_0001, 1, b"s".to_vec())]);
}

#[test]
fn a_continuation_may_repeat_the_absolute_time_where_the_field_was_a_delta() {
    let body = vec![5; 129];
    let start = cat(&[&first(6, 16, 1, 9), b"a"]);
    let delta = [0x46, 0xff, 0xff, 0xff, 0, 0, 129, 9, 0x01, 0, 0, 0];
    for repeated in [[1, 0, 0, 0], [1, 0, 0, 16]] {
        let bytes = cat(&[&start, &delta, &body[..128], &[0xc6], &repeated, &body[128..]]);
        assert_eq!(ok(&bytes)[1], (9, 0x0100_0010, 1, body.clone()));
    }
}

#[test]
fn a_type_3_chunk_that_starts_a_message_repeats_the_delta() {
    let bytes =
        cat(&[&first(4, 1_000, 1, 8), b"a", &[0x84, 0, 0, 20], b"b", &[0xc4], b"c", &[0xc4], b"d"]);
    let times: Vec<_> = ok(&bytes).into_iter().map(|m| m.1).collect();
    assert_eq!(times, [1_000, 1_020, 1_040, 1_060]);
    // After type 0 its timestamp is the delta (section 5.3.1.2.4).
    let bytes = cat(&[&first(4, 1_000, 1, 8), b"a", &[0xc4], b"b"]);
    assert_eq!(ok(&bytes)[1].1, 2_000);
}

#[test]
fn times_wrap_at_2_to_the_32() {
    let bytes = cat(&[&first(4, u32::MAX, 1, 8), b"a", &[0x84, 0, 0, 20], b"b"]);
    assert_eq!(ok(&bytes)[1].1, 19);
}

#[test]
fn a_chunk_stream_may_begin_with_type_1_but_not_with_2_or_3() {
    let bytes = [0x44, 0, 0, 5, 0, 0, 1, 8, 0xaa];
    assert_eq!(ok(&bytes), [(8, 5, 0, vec![0xaa])]);
    assert!(matches!(read(&[0x84, 0, 0, 5, 0xaa]), Err(Error::Protocol(_))));
    assert!(matches!(read(&[0xc4, 0xaa]), Err(Error::Protocol(_))));
}

#[test]
fn a_message_cannot_change_its_length_midway() {
    let start = cat(&[&first(6, 0, 200, 9), &[1; 128]]);
    for length in [0, 100, 199, 201, 0xff_ffff_u32] {
        let [_, a, b, c] = length.to_be_bytes();
        let bytes = cat(&[&start, &[0x46, 0, 0, 0, a, b, c, 9], &[1; 72]]);
        assert!(matches!(read(&bytes), Err(Error::Protocol(_))), "{length}");
    }
    let other_type = cat(&[&start, &[0x46, 0, 0, 0, 0, 0, 200, 8], &[1; 72]]);
    assert!(matches!(read(&other_type), Err(Error::Protocol(_))));
    let restarted = cat(&[&start, &first(6, 0, 200, 9), &[1; 200]]);
    assert!(matches!(read(&restarted), Err(Error::Protocol(_))));
    let harmless = cat(&[&start, &[0x46, 0, 0, 9, 0, 0, 200, 9], &[1; 72]]);
    assert_eq!(ok(&harmless), [(9, 0, 1, vec![1; 200])]);
}

#[test]
fn messages_of_different_chunk_streams_interleave() {
    let video: Vec<u8> = (0..=255).collect();
    let audio = vec![9; 129];
    let bytes = cat(&[
        &first(6, 1, 256, 9),
        &video[..128],
        &first(4, 2, 129, 8),
        &audio[..128],
        &[0xc6],
        &video[128..],
        &[0xc4],
        &audio[128..],
    ]);
    assert_eq!(ok(&bytes), [(9, 1, 1, video), (8, 2, 1, audio)]);
}

#[test]
fn a_new_chunk_size_counts_from_the_next_chunk_even_within_a_message() {
    let body: Vec<u8> = (0..=255).collect();
    let size = cat(&[&first(2, 0, 4, 1), &64_u32.to_be_bytes()]);
    let bytes = cat(&[
        &first(6, 1, 256, 9),
        &body[..128],
        &size,
        &[0xc6],
        &body[128..192],
        &[0xc6],
        &body[192..],
    ]);
    assert_eq!(ok(&bytes)[1], (9, 1, 1, body));
}

#[test]
fn every_chunk_size_works_and_none_is_allocated_by() {
    for announced in [1, 2, 127, 128, 4_096, 0xff_ffff, 0x100_0000, 0x7fff_ffff, 0x8000_0001_u32] {
        let size = cat(&[&first(2, 0, 4, 1), &announced.to_be_bytes()]);
        let mut writer = Writer::default();
        writer.set_chunk_size(announced & 0x7fff_ffff);
        let header =
            MessageHeader { chunk_stream: 6, time: 1, length: 0, type_id: 9, stream_id: 1 };
        let mut bytes = size;
        writer.write(header, &[3; 300], &mut bytes);
        assert_eq!(ok(&bytes)[1], (9, 1, 1, vec![3; 300]), "{announced:#x}");
    }
    let zero = cat(&[&first(2, 0, 4, 1), &[0; 4], &first(6, 1, 128, 9), &[3; 128]]);
    assert_eq!(ok(&zero)[1].3.len(), 128);
}

#[test]
fn empty_messages_are_messages() {
    let bytes = cat(&[&first(4, 1, 0, 8), &first(4, 2, 1, 8), b"a", &[0x44, 0, 0, 3, 0, 0, 0, 8]]);
    assert_eq!(ok(&bytes), [(8, 1, 1, vec![]), (8, 2, 1, vec![b'a']), (8, 5, 1, vec![])]);
}

#[test]
fn abort_drops_the_unfinished_message_and_gives_its_bytes_back() {
    let abort = cat(&[&first(2, 0, 4, 2), &6_u32.to_be_bytes()]);
    let bytes = cat(&[&first(6, 1, 200, 9), &[1; 128], &abort, &first(6, 2, 1, 9), b"b"]);
    assert_eq!(ok(&bytes)[1], (9, 2, 1, b"b".to_vec()));

    let (mut reader, pool) = (Reader::default(), pool());
    let begun = cat(&[&first(6, 1, 200, 9), &[1; 50]]);
    assert!(reader.read(&mut &begun[..], &pool).unwrap().is_none());
    assert_eq!(reader.reserved, 200);
    reader.abort(6);
    reader.abort(7);
    assert_eq!((reader.reserved, reader.payload), (0, None));
}

#[test]
fn a_header_alone_reserves_little_and_the_body_grows_as_it_comes() {
    let (mut reader, pool) = (Reader::default(), pool());
    reader.set_chunk_size(0xff_ffff);
    let header = first(6, 1, 0xff_ffff, 9);
    assert!(reader.read(&mut &header[..], &pool).unwrap().is_none());
    assert_eq!(reader.reserved, FIRST_RESERVE_BYTES);
    let piece = vec![4; 1 << 20];
    let mut got = None;
    for _ in 0..16 {
        got = reader.read(&mut &piece[..], &pool).unwrap();
        assert!(reader.reserved <= PARTIAL_BYTES_MAX);
    }
    assert_eq!(got.unwrap().body.len(), 0xff_ffff);
    assert_eq!(reader.reserved, 0);
}

#[test]
fn unfinished_messages_of_a_connection_share_one_limit() {
    let (mut reader, pool) = (Reader::default(), pool());
    reader.set_chunk_size(5 << 20);
    let mut result = Ok(());
    for csid in 3..10 {
        let bytes = cat(&[&first(csid, 1, 0xff_ffff, 9), &vec![0; 5 << 20]]);
        result = result.and_then(|()| reader.read(&mut &bytes[..], &pool).map(|_| ()));
        assert!(reader.reserved <= PARTIAL_BYTES_MAX);
    }
    assert_eq!(result, Err(Error::Limit("too many bytes in unfinished messages")));
}

#[test]
fn unfinished_messages_of_all_connections_share_a_budget_and_give_it_back() {
    const MB: usize = 1 << 20;
    let budget = Arc::new(Budget::new(4 * MB));
    let pool = pool();
    let join = || {
        let mut reader = Reader::default();
        reader.set_chunk_size(0xff_ffff);
        reader.join(Arc::clone(&budget));
        reader.let_in(true);
        reader
    };
    let half = cat(&[&first(3, 1, 4_000_000, 9), &vec![0; MB]]);
    let mut readers = [(); 5].map(|()| join());
    let feed =
        |reader: &mut Reader, mut bytes: &[u8]| reader.read(&mut bytes, &pool).map(|m| m.is_some());
    let mut results = Vec::new();
    for reader in &mut readers {
        results.push(feed(reader, &half));
        assert!(budget.held() <= 4 * MB);
    }
    assert!(results.contains(&Err(Error::Full("unfinished messages of all peers"))), "{results:?}");
    drop(readers);
    let mut last = join();
    assert_eq!(feed(&mut last, &cat(&[&first(3, 1, 1_000_000, 9), &vec![0; 1_000_000]])), Ok(true));
    assert_eq!(budget.held(), 0, "a finished message holds nothing");
}

#[test]
fn the_number_of_chunk_streams_is_limited() {
    let mut bytes = Vec::new();
    for n in 0..=u16::try_from(CHUNK_STREAMS_MAX).unwrap() {
        let [low, high] = n.to_le_bytes();
        bytes.extend([1, low, high, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 7]);
    }
    assert!(matches!(read(&bytes), Err(Error::Limit(_))));
    assert!(read(&bytes[..bytes.len() - 15]).is_ok());
}

#[test]
fn what_is_written_is_read_back() {
    for (size, length) in [(128, 0), (128, 128), (128, 129), (1, 300), (60_000, 200_000)] {
        for time in [0, 0xff_fffe, 0xff_ffff, u32::MAX] {
            let body: Vec<u8> = (0..=250).cycle().take(length).collect();
            let (mut writer, mut bytes) = (Writer::default(), Vec::new());
            writer.set_chunk_size(size);
            let header =
                MessageHeader { chunk_stream: 6, time, length: 0, type_id: 9, stream_id: 1 };
            writer.write(header, &body, &mut bytes);
            let (mut reader, pool) = (Reader::default(), pool());
            reader.set_chunk_size(size);
            let message = reader.read(&mut &bytes[..], &pool).unwrap().unwrap();
            assert_eq!(plain(&message), (9, time, 1, body));
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_in_any_pieces_are_read_alike_and_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        step in 1_usize..50,
    ) {
        prop_assert_eq!(read_by(&bytes, usize::MAX), read_by(&bytes, step));
    }

    #[test]
    fn headers_out_of_order_are_read_alike_and_never_panic(
        parts in proptest::collection::vec((0_u8..4, 2_u8..5, any::<bool>(), 0_u8..200), 0..30),
        step in 1_usize..9,
    ) {
        let mut bytes = Vec::new();
        for (format, csid, extended, length) in parts {
            bytes.push(format << 6 | csid);
            let time = if extended { [0xff; 3] } else { [0, 0, 9] };
            let header = [&time[..], &[0, 0, length, 9], &[1, 0, 0, 0]].concat();
            bytes.extend(&header[..[11, 7, 3, 0][usize::from(format)]]);
            if extended {
                bytes.extend([1, 0, 0, 0]);
            }
            bytes.extend(std::iter::repeat_n(1, usize::from(length.min(128))));
        }
        prop_assert_eq!(read_by(&bytes, usize::MAX), read_by(&bytes, step));
    }
}
