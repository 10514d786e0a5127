//! Media bodies out of messages: aggregates are split, data is brought into the form players read.

use crate::flv::Tags;
use crate::frame::{PacketBuf, PacketPool};
use crate::media::Kind;

use super::Error;
use super::amf0::{Decoder, Value};
use super::chunk::Message;
use super::limits::{METADATA_NAME_BYTES_MAX, PARSE_BYTES_MAX};
use super::message::{strip_amf3_byte, type_id};

/// Gives every media body of a message to `sink`; other messages give none. Empty bodies and data
/// that nobody could read are left out: they are legal, and no reason to close.
pub(super) fn each(
    message: Message,
    pool: &PacketPool,
    mut sink: impl FnMut(Kind, u32, PacketBuf) -> Result<(), Error>,
) -> Result<(), Error> {
    let Message { type_id, time, body, .. } = message;
    if body.is_empty() {
        return Ok(());
    }
    match type_id {
        type_id::AUDIO => sink(Kind::Audio, time, body),
        type_id::VIDEO => sink(Kind::Video, time, body),
        type_id::DATA | type_id::DATA_AMF3 => match script(body, pool) {
            Some(body) => sink(Kind::Data, time, body),
            None => Ok(()),
        },
        type_id::AGGREGATE => {
            let mut first = None;
            for tag in Tags::new(&body) {
                let time = time.wrapping_add(tag.time.wrapping_sub(*first.get_or_insert(tag.time)));
                // An aggregate in an aggregate would be a way to make much out of little.
                if tag.type_id == type_id::AGGREGATE {
                    continue;
                }
                let body = copy(tag.body, pool);
                let part = Message { type_id: tag.type_id, time, stream_id: 0, body };
                match part.type_id {
                    type_id::AUDIO if !part.body.is_empty() => sink(Kind::Audio, time, part.body)?,
                    type_id::VIDEO if !part.body.is_empty() => sink(Kind::Video, time, part.body)?,
                    type_id::DATA => {
                        if let Some(body) = script(part.body, pool) {
                            sink(Kind::Data, time, body)?;
                        }
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Brings a data body into the form players read: without `@setDataFrame`, and `onMetaData` as an
/// ECMA array, which is the only form that FFmpeg counts. `None` if it is not AMF0 with a name.
fn script(body: PacketBuf, pool: &PacketPool) -> Option<PacketBuf> {
    let bytes = strip_amf3_byte(&body);
    let mut values = Decoder::new(bytes);
    let mut from = bytes;
    let mut name = values.string()?;
    if name == "@setDataFrame" {
        from = values.rest();
        name = values.string()?;
    }
    if name == "@clearDataFrame" {
        return None;
    }
    if name != "onMetaData" {
        return Some(if from.len() == body.len() { body } else { copy(from, pool) });
    }
    if values.rest().len() > PARSE_BYTES_MAX {
        return None;
    }
    let (Value::Object(mut members) | Value::EcmaArray(mut members)) = values.value().ok()?? else {
        return None;
    };
    let is_live = |name: &str| FILE_FACTS.iter().all(|fact| !fact.eq_ignore_ascii_case(name));
    members.retain(|(name, _)| name.len() <= METADATA_NAME_BYTES_MAX && is_live(name));
    let mut out = Vec::new();
    Value::String(name).encode(&mut out);
    Value::EcmaArray(members).encode(&mut out);
    Some(copy(&out, pool))
}

/// What metadata says about a file that the publisher reads. A live stream has no length: players
/// would show how much of it has passed, and call it incomplete at its end.
const FILE_FACTS: [&str; 10] = [
    "audiosize",
    "canSeekToEnd",
    "datasize",
    "duration",
    "filesize",
    "keyframes",
    "lastkeyframelocation",
    "lastkeyframetimestamp",
    "lasttimestamp",
    "videosize",
];

fn copy(bytes: &[u8], pool: &PacketPool) -> PacketBuf {
    let mut packet = pool.take(bytes.len());
    packet.extend(bytes);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketPoolSpec;

    fn pool() -> PacketPool {
        PacketPool::new(PacketPoolSpec { bytes_max: 16 << 20 }).unwrap()
    }

    fn bodies(type_id: u8, time: u32, body: &[u8]) -> Vec<(Kind, u32, Vec<u8>)> {
        let message = Message { type_id, time, stream_id: 1, body: PacketBuf::copy_of(body) };
        let mut all = Vec::new();
        each(message, &pool(), |kind, time, body| {
            all.push((kind, time, body.to_vec()));
            Ok(())
        })
        .unwrap();
        all
    }

    fn values(values: &[Value]) -> Vec<u8> {
        let mut out = Vec::new();
        values.iter().for_each(|value| value.encode(&mut out));
        out
    }

    fn metadata() -> Vec<(String, Value)> {
        vec![("width".to_owned(), 1280.0.into()), ("videocodecid".to_owned(), "av01".into())]
    }

    fn tag(type_id: u8, time: u32, body: &[u8]) -> Vec<u8> {
        let [t3, t2, t1, t0] = time.to_be_bytes();
        let size = u8::try_from(body.len()).unwrap();
        let header = [type_id, 0, 0, size, t2, t1, t0, t3, 0, 0, 0];
        [&header[..], body, &(11 + u32::from(size)).to_be_bytes()].concat()
    }

    #[test]
    fn set_data_frame_is_stripped_and_metadata_becomes_an_ecma_array() {
        let want = values(&["onMetaData".into(), Value::EcmaArray(metadata())]);
        assert!(want.ends_with(&[0, 0, 9]));
        for object in [Value::Object(metadata()), Value::EcmaArray(metadata())] {
            let bare = values(&["onMetaData".into(), object.clone()]);
            let framed = values(&["@setDataFrame".into(), "onMetaData".into(), object]);
            let wrapped = [&[0], &framed[..]].concat();
            for (type_id, body) in [(18, &bare), (18, &framed), (15, &wrapped), (18, &wrapped)] {
                assert_eq!(bodies(type_id, 5, body), [(Kind::Data, 5, want.clone())]);
            }
            let unended = &bare[..bare.len() - 3];
            assert_eq!(bodies(18, 5, unended), [(Kind::Data, 5, want.clone())]);
        }
    }

    #[test]
    fn what_metadata_says_about_a_file_is_left_out() {
        let file = ["duration", "filesize", "keyframes", "lasttimestamp", "Duration"];
        let mut members: Vec<_> = file.map(|name| (name.to_owned(), 60.0.into())).into();
        members.extend(metadata());
        let body = values(&["onMetaData".into(), Value::EcmaArray(members)]);
        let want = values(&["onMetaData".into(), Value::EcmaArray(metadata())]);
        assert_eq!(bodies(18, 5, &body), [(Kind::Data, 5, want)]);
    }

    #[test]
    fn other_named_data_passes_as_it_is() {
        let cue = values(&["onTextData".into(), Value::Date { millis: 1.0, zone: 0 }]);
        assert_eq!(bodies(18, 1, &cue), [(Kind::Data, 1, cue.clone())]);
        let framed = [values(&["@setDataFrame".into()]), cue.clone()].concat();
        assert_eq!(bodies(18, 1, &framed), [(Kind::Data, 1, cue)]);
    }

    #[test]
    fn data_that_is_not_amf_is_left_out() {
        let audio_in_data = [0xaf, 1, 0x21, 0x10, 4, 0x60];
        let timecode = [0, 0, 0, 1, 9, 9];
        let number = values(&[1.0.into()]);
        let cut = &values(&["onMetaData".into(), Value::object([("a", 1.0.into())])])[..20];
        let cleared = values(&["@clearDataFrame".into(), "onMetaData".into()]);
        for body in [&audio_in_data[..], &timecode, &number, cut, &cleared, &[0], &[2], &[]] {
            assert!(bodies(18, 0, body).is_empty(), "{body:x?}");
            assert!(bodies(15, 0, body).is_empty(), "{body:x?}");
        }
    }

    #[test]
    fn an_aggregate_is_split_and_its_times_are_relative_to_its_first_tag() {
        let time = 0x0123_4567;
        let body = [tag(8, time, b"a"), tag(9, time + 40, b"vv"), tag(22, time, b"x")].concat();
        let parts = [(Kind::Audio, 1_000, b"a".to_vec()), (Kind::Video, 1_040, b"vv".to_vec())];
        assert_eq!(bodies(22, 1_000, &body), parts);
        let without_last_pointer = [tag(8, 7, b"a"), tag(9, 6, b"vv")].concat();
        let cut = &without_last_pointer[..without_last_pointer.len() - 4];
        assert_eq!(bodies(22, 0, cut)[1].1, u32::MAX);
    }

    #[test]
    fn a_broken_aggregate_gives_what_was_whole() {
        let body = [tag(8, 0, b"abc"), tag(9, 0, b"video")].concat();
        for at in 0..body.len() {
            assert!(bodies(22, 0, &body[..at]).len() <= 2);
        }
        let mut lying = tag(9, 0, b"video");
        lying[1] = 0xff;
        assert!(bodies(22, 0, &lying).is_empty());
    }

    #[test]
    fn empty_messages_are_left_out() {
        for type_id in [8, 9, 15, 18, 22] {
            assert!(bodies(type_id, 0, &[]).is_empty());
        }
        assert!(bodies(22, 0, &tag(9, 0, &[])).is_empty());
    }
}
