//! WebSocket frames of a client (RFC 6455 section 5): pings are answered, a close is obeyed, the
//! rest is read and forgotten.

use serde::{Deserialize, Serialize};

/// Longest message frame of a client. Players say nothing, so a larger one is an error: close.
const FRAME_BYTES_MAX: u64 = 64 << 10;

/// Longest payload of a control frame (section 5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// Codes of section 7.4.1.
pub(super) const NORMAL: u16 = 1_000;
const PROTOCOL_ERROR: u16 = 1_002;
const TOO_BIG: u16 = 1_009;

/// Reads the frames of one client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Frames {
    header: [u8; 14],
    have: usize,
    /// Bytes of the present payload that are still to come.
    left: u64,
    /// The payload of a control frame, so far.
    #[serde(with = "control_bytes")]
    control: [u8; CONTROL_BYTES_MAX],
    control_len: usize,
}

/// A payload in a snapshot.
mod control_bytes {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::CONTROL_BYTES_MAX;

    pub(super) fn serialize<S: Serializer>(
        bytes: &[u8; CONTROL_BYTES_MAX],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes[..].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; CONTROL_BYTES_MAX], D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        bytes.try_into().map_err(|_wrong_length| D::Error::custom("a payload of another length"))
    }
}

impl Default for Frames {
    fn default() -> Self {
        let control = [0; CONTROL_BYTES_MAX];
        Self { header: [0; 14], have: 0, left: 0, control, control_len: 0 }
    }
}

impl Frames {
    /// Reads what the client sent and writes the answers to its pings to `output`. Gives the code
    /// to close with once the client wants to close or has made a mistake; nothing is to be fed
    /// after that.
    pub(super) fn feed(&mut self, mut input: &[u8], output: &mut Vec<u8>) -> Option<u16> {
        while let Some(&byte) = input.first() {
            if self.have < self.header_len() {
                self.header[self.have] = byte;
                self.have += 1;
                input = &input[1..];
                if let Err(code) = self.check() {
                    return Some(code);
                }
            } else {
                input = self.take(input);
            }
            if self.have == self.header_len() && self.left == 0 {
                let code = self.end(output);
                (self.have, self.control_len) = (0, 0);
                if code.is_some() {
                    return code;
                }
            }
        }
        None
    }

    /// Whether it does not contradict itself, as what is read from a snapshot may.
    pub(super) const fn is_whole(&self) -> bool {
        self.have <= self.header_len()
            && self.control_len <= CONTROL_BYTES_MAX
            && self.left <= FRAME_BYTES_MAX
    }

    /// Length of the present header, as far as it can be told.
    const fn header_len(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        2 + 4
            + match self.header[1] & 0x7f {
                126 => 2,
                127 => 8,
                _ => 0,
            }
    }

    /// Looks at the header as soon as there is enough of it.
    fn check(&mut self) -> Result<(), u16> {
        let [first, second, ..] = self.header;
        let is_control = first & 8 != 0;
        if self.have == 2 {
            let known = matches!(first & 0xf, 0 | 1 | 2 | CLOSE | PING | PONG);
            let is_short = second & 0x7f <= 125 && first & WHOLE != 0;
            if first & RESERVED != 0 || second & MASKED == 0 || !known || is_control && !is_short {
                return Err(PROTOCOL_ERROR);
            }
        }
        if self.have == self.header_len() {
            self.left = match (second & 0x7f, &self.header) {
                (126, [_, _, a, b, ..]) => u16::from_be_bytes([*a, *b]).into(),
                (127, [_, _, rest @ ..]) => {
                    rest.first_chunk().map_or(u64::MAX, |len| u64::from_be_bytes(*len))
                }
                (short, _) => short.into(),
            };
            if self.left > FRAME_BYTES_MAX {
                return Err(TOO_BIG);
            }
        }
        Ok(())
    }

    /// Takes what is there of the payload.
    fn take<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        let (payload, rest) = input.split_at(count);
        self.left -= count as u64;
        if self.header[0] & 8 != 0 {
            let mask = self.have - 4;
            for &byte in payload {
                let key = self.header[mask + self.control_len % 4];
                if let Some(place) = self.control.get_mut(self.control_len) {
                    *place = byte ^ key;
                    self.control_len += 1;
                }
            }
        }
        rest
    }

    /// A frame is complete.
    fn end(&self, output: &mut Vec<u8>) -> Option<u16> {
        let payload = &self.control[..self.control_len];
        match self.header[0] & 0xf {
            PING => {
                output.extend([WHOLE | PONG, u8::try_from(payload.len()).unwrap_or(0)]);
                output.extend(payload);
                None
            }
            CLOSE => Some(match payload {
                [] => NORMAL,
                [high, low, ..] => match u16::from_be_bytes([*high, *low]) {
                    code @ (1_000..=1_003 | 1_007..=1_011 | 3_000..=4_999) => code,
                    _ => PROTOCOL_ERROR,
                },
                [_] => PROTOCOL_ERROR,
            }),
            _ => None,
        }
    }
}

/// A frame that the client answers by itself.
pub(super) const fn ping() -> [u8; 2] {
    [WHOLE | PING, 0]
}

/// A frame that says we close, and why.
pub(super) fn close(code: u16) -> [u8; 4] {
    let [high, low] = code.to_be_bytes();
    [WHOLE | CLOSE, 2, high, low]
}

const WHOLE: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut out = vec![first];
        match payload.len() {
            len @ 0..=125 => out.push(0x80 | u8::try_from(len).unwrap()),
            len => {
                out.push(0x80 | 126);
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
        }
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        out
    }

    fn feed(bytes: &[u8], step: usize) -> (Vec<u8>, Option<u16>) {
        let (mut frames, mut output) = (Frames::default(), Vec::new());
        let code = bytes.chunks(step).find_map(|part| frames.feed(part, &mut output));
        (output, code)
    }

    #[test]
    fn pings_are_answered_with_what_they_said_and_other_frames_are_not() {
        let long = vec![9; 1_000];
        let bytes = [
            frame(0x82, &long),
            frame(0x89, b"hello"),
            frame(0x01, b"part"),
            frame(0x89, b""),
            frame(0x80, b"end"),
            frame(0x8a, b"pong"),
        ];
        let bytes = bytes.concat();
        for step in [1, 2, 3, 7, bytes.len()] {
            assert_eq!(feed(&bytes, step), (b"\x8a\x05hello\x8a\x00".to_vec(), None), "{step}");
        }
    }

    #[test]
    fn a_close_is_answered_with_its_own_code() {
        for (payload, code) in [
            (&[][..], NORMAL),
            (&[3, 233], 1_001),
            (&[15, 160, b'x'], 4_000),
            (&[3, 237], PROTOCOL_ERROR),
            (&[3], PROTOCOL_ERROR),
        ] {
            assert_eq!(feed(&frame(0x88, payload), 1), (Vec::new(), Some(code)));
        }
        assert_eq!(close(NORMAL), [0x88, 2, 3, 232]);
    }

    #[test]
    fn mistakes_close_the_connection() {
        let unmasked = [0x82, 1, 7];
        let reserved_bit = frame(0xc2, b"");
        let reserved_code = frame(0x83, b"");
        let split_ping = frame(0x09, b"");
        let long_ping = frame(0x89, &[0; 126]);
        for bytes in [&unmasked[..], &reserved_bit, &reserved_code, &split_ping, &long_ping] {
            assert_eq!(feed(bytes, bytes.len()).1, Some(PROTOCOL_ERROR), "{bytes:?}");
        }
        let huge = [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0];
        assert_eq!(feed(&huge, 14).1, Some(TOO_BIG));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            step in 1..50_usize,
        ) {
            prop_assert_eq!(feed(&bytes, step), feed(&bytes, bytes.len().max(1)));
        }

        #[test]
        fn any_pings_in_any_pieces_are_answered(
            payloads in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..126), 0..6),
            step in 1..50_usize,
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|one| frame(0x89, one)).collect();
            let pongs: Vec<u8> = payloads
                .iter()
                .flat_map(|one| [&[0x8a, u8::try_from(one.len()).unwrap()], &one[..]].concat())
                .collect();
            prop_assert_eq!(feed(&bytes, step), (pongs, None));
        }
    }
}
