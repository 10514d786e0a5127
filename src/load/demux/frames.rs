//! `WebSocket` frame reader of a client (RFC 6455 section 5): payloads of what a server sends,
//! which is not masked.

/// Opcode of a ping.
pub(super) const PING: u8 = 9;

/// Longest payload of a control frame, such as a ping.
const CONTROL_BYTES_MAX: usize = 125;

/// One connection's place in its server's frames.
#[derive(Debug, Default)]
pub(in crate::load) struct FrameReader {
    head: Vec<u8>,
    opcode: u8,
    left: u64,
}

impl FrameReader {
    /// Takes bytes; tells opcode and bytes of each piece of a payload, and whether it is the
    /// frame's last. An empty frame has one piece.
    pub(in crate::load) fn take<E>(
        &mut self,
        mut bytes: &[u8],
        mut piece: impl FnMut(u8, &[u8], bool) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.head.push(*first);
                bytes = rest;
                let Some(length) = length_of(&self.head) else { continue };
                self.opcode = self.head[0] & 0x0f;
                self.head.clear();
                self.left = length;
                if length == 0 {
                    piece(self.opcode, &[], true)?;
                }
                continue;
            }
            let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, rest) = bytes.split_at(count);
            self.left -= count as u64;
            bytes = rest;
            piece(self.opcode, payload, self.left == 0)?;
        }
        Ok(())
    }
}

/// The payload's length, once the head is complete.
fn length_of(head: &[u8]) -> Option<u64> {
    let (short, more) = (*head.get(1)? & 0x7f, &head[2..]);
    match short {
        126 => Some(u16::from_be_bytes(more.try_into().ok()?).into()),
        127 => Some(u64::from_be_bytes(more.try_into().ok()?)),
        short => Some(short.into()),
    }
}

/// The frame that answers a ping with this payload. Its mask is zero: what it hides from proxies
/// is nothing here.
pub(super) fn pong(payload: &[u8]) -> Vec<u8> {
    const WHOLE_PONG: u8 = 0x8a;
    const MASKED: u8 = 0x80;
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let len = u8::try_from(payload.len()).unwrap_or(0);
    [&[WHOLE_PONG, MASKED | len, 0, 0, 0, 0][..], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn payloads_come_out_however_the_bytes_are_cut() {
        let mut bytes = vec![0x82, 3, b'a', b'b', b'c', 0x89, 0, 0x82, 126, 1, 0];
        bytes.extend([1; 256]);
        bytes.extend([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 2, b'd', b'e', 0x89, 1, 7]);
        let payload = [&b"abc"[..], &[1; 256], b"de"].concat();
        for size in 1..=bytes.len() {
            let mut frames = FrameReader::default();
            let (mut data, mut pings, mut ends) = (Vec::new(), Vec::new(), 0);
            for part in bytes.chunks(size) {
                let taken = frames.take(part, |opcode, piece, is_last| {
                    let to = if opcode == PING { &mut pings } else { &mut data };
                    to.extend_from_slice(piece);
                    ends += u32::from(is_last);
                    Ok::<_, Infallible>(())
                });
                taken.unwrap();
            }
            assert_eq!((&data, &pings[..], ends), (&payload, &[7][..], 5), "cut at {size}");
        }
    }

    #[test]
    fn a_pong_says_what_the_ping_said() {
        assert_eq!(pong(b"ab"), [0x8a, 0x82, 0, 0, 0, 0, b'a', b'b']);
    }
}
