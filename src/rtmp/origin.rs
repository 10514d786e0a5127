//! Origin stamp as a data message: `onFI`, in which encoders of Flash's time say their system's
//! date and time (`sd`, `st`), with the stamp's numbers beside them.

use jiff::Timestamp;

use super::amf0::{Decoder, Value};
use super::limits::ORIGIN_BYTES_MAX;
use crate::media::{NodeId, OriginStamp};

/// The message's name.
const NAME: &str = "onFI";

/// How a body with that name begins: the marker of a string, its length, its bytes.
const BEGINNING: &[u8] = b"\x02\x00\x04onFI";

/// Members beside those that are the convention: microseconds since 1970, the node in hexadecimal
/// digits, the number of the frame that follows.
const UNIX_US: &str = "unixMicros";
const NODE: &str = "node";
const FRAME: &str = "frame";

/// The body of the message.
#[must_use]
pub fn origin_message(stamp: &OriginStamp) -> Vec<u8> {
    let micros = i64::try_from(stamp.unix_us).unwrap_or_default();
    let at = Timestamp::from_microsecond(micros).unwrap_or_default();
    let text = |format: &str| Value::String(at.strftime(format).to_string());
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    let number = |number: u64| Value::Number(number as f64);
    let members = [
        ("sd", text("%d-%m-%Y")),
        ("st", text("%H:%M:%S%.3f")),
        (UNIX_US, number(stamp.unix_us)),
        (NODE, Value::String(stamp.node.to_string())),
        (FRAME, number(stamp.frame)),
    ];
    let mut body = Vec::new();
    Value::String(NAME.to_owned()).encode(&mut body);
    Value::object(members).encode(&mut body);
    body
}

/// The stamp in the body of a data message; `None` of any other, and of one longer than
/// [`ORIGIN_BYTES_MAX`].
#[must_use]
pub fn read_origin(body: &[u8]) -> Option<OriginStamp> {
    if !body.starts_with(BEGINNING) || body.len() > ORIGIN_BYTES_MAX {
        return None;
    }
    let mut values = Decoder::new(&body[BEGINNING.len()..]);
    let members = values.value().ok()??;
    let number = |name| members.get(name).and_then(Value::as_number).and_then(whole);
    let node = NodeId::parse(members.get(NODE)?.as_str()?)?;
    OriginStamp::checked(number(UNIX_US)?, node, number(FRAME)?)
}

/// A number without a fraction, not negative, that a double holds exactly.
fn whole(number: f64) -> Option<u64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just checked")]
    (number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number)).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAMP: OriginStamp = OriginStamp {
        unix_us: 1_780_000_000_123_456,
        node: NodeId::from_bits(0x0123_4567_89ab_cdef),
        frame: 90_000,
    };

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_says_date_and_time_as_others_do() {
        let body = origin_message(&STAMP);
        assert!(body.len() <= ORIGIN_BYTES_MAX);
        assert_eq!(read_origin(&body), Some(STAMP));
        let mut values = Decoder::new(&body);
        assert_eq!(values.string().as_deref(), Some("onFI"));
        let members = values.value().unwrap().unwrap();
        let text = |name| members.get(name).and_then(Value::as_str).map(str::to_owned);
        assert_eq!(text("sd").as_deref(), Some("28-05-2026"));
        assert_eq!(text("st").as_deref(), Some("20:26:40.123"));
    }

    #[test]
    fn messages_of_other_encoders_are_no_stamps() {
        let of = |members: &[(&str, Value)]| {
            let mut body = Vec::new();
            Value::String(NAME.to_owned()).encode(&mut body);
            let members = members.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            Value::Object(members.collect()).encode(&mut body);
            read_origin(&body)
        };
        let number = Value::Number;
        let node = (NODE, "0123456789abcdef".into());
        let good = [(UNIX_US, number(1e15)), node, (FRAME, number(2.0))];
        assert!(of(&good).is_some());
        assert_eq!(of(&[("sd", "01-01-2026".into()), ("st", "00:00:00".into())]), None);
        for wrong in [-1.0, 0.0, 0.5, 1e15 + 0.5, 1e17, f64::NAN, f64::INFINITY] {
            assert_eq!(of(&[(UNIX_US, number(wrong)), good[1].clone(), good[2].clone()]), None);
        }
        assert_eq!(of(&[good[0].clone(), (NODE, "12".into()), good[2].clone()]), None);
        let mut long = origin_message(&STAMP);
        long.resize(ORIGIN_BYTES_MAX + 1, 0);
        assert_eq!(read_origin(&long), None);
        assert_eq!(read_origin(b"\x02\x00\x0aonMetaData\x05"), None);
    }

    proptest! {
        #[test]
        fn cut_and_broken_messages_do_no_harm(at in 0_usize..150, byte: u8, end in 0_usize..150) {
            let mut body = origin_message(&STAMP);
            if let Some(broken) = body.get_mut(at) {
                *broken = byte;
            }
            body.truncate(end);
            let _any = read_origin(&body);
        }
    }
}
