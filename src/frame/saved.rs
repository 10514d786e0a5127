//! Packets in snapshots: their bytes, in memory of the reader's pool again. What several handles
//! share is written once, and shared again.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::packet::{HEADROOM, Packet, PacketBuf};
use super::packet_pool::PacketPool;

/// What is known of the snapshot that this thread writes or reads.
#[derive(Default)]
enum Known {
    /// There is none: every packet stands for itself, and is read into memory of the heap.
    #[default]
    Nothing,
    /// The numbers of the packets that were written.
    Written(HashMap<(usize, u32, u32), u32>),
    /// The packets that were read, by their numbers, and where further ones come from.
    Read(PacketPool, Vec<Packet>),
}

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new(Known::Nothing) };
}

/// Forgets the snapshot, also after a panic.
struct Over;

impl Drop for Over {
    fn drop(&mut self) {
        KNOWN.take();
    }
}

/// Runs `work`, which writes one snapshot.
pub fn writing<R>(work: impl FnOnce() -> R) -> R {
    KNOWN.set(Known::Written(HashMap::new()));
    let _over = Over;
    work()
}

/// Runs `work`, which reads one snapshot; its packets come from `pool`.
pub fn reading<R>(pool: &PacketPool, work: impl FnOnce() -> R) -> R {
    KNOWN.set(Known::Read(pool.clone(), Vec::new()));
    let _over = Over;
    work()
}

/// A packet as it stands in a snapshot.
#[derive(Deserialize, Serialize)]
enum Saved<'a> {
    /// One that was written before, by its number.
    Known(u32),
    /// How many bytes lie in the headroom, and all bytes.
    New(u8, #[serde(borrow)] Bytes<'a>),
}

/// Bytes that are written, and read, in one piece.
#[derive(Deserialize)]
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Packet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = KNOWN.with_borrow_mut(|known| match known {
            Known::Written(numbers) => {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                let number = *numbers.entry(self.identity()).or_insert(next);
                (number != next).then_some(number)
            }
            Known::Nothing | Known::Read(..) => None,
        });
        let in_headroom = u8::try_from(self.in_headroom()).unwrap_or(0);
        let saved = known.map_or_else(|| Saved::New(in_headroom, Bytes(self)), Saved::Known);
        saved.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Packet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        KNOWN.with_borrow_mut(|known| match (saved, known) {
            (Saved::Known(number), Known::Read(_, packets)) => {
                let packet = packets.get(number as usize).cloned();
                packet.ok_or_else(|| D::Error::custom("a packet that was not written"))
            }
            (Saved::Known(_), _) => Err(D::Error::custom("a packet out of its snapshot")),
            (Saved::New(in_headroom, bytes), known) => {
                let packet = filled(known, in_headroom, bytes.0);
                let packet = packet.ok_or_else(|| D::Error::custom(TOO_SHORT))?.freeze();
                if let Known::Read(_, packets) = known {
                    packets.push(packet.clone());
                }
                Ok(packet)
            }
        })
    }
}

impl Serialize for PacketBuf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Nobody shares it.
        (u8::try_from(self.in_headroom()).unwrap_or(0), Bytes(self)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PacketBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (in_headroom, bytes) = <(u8, Bytes<'de>)>::deserialize(deserializer)?;
        let packet = KNOWN.with_borrow(|known| filled(known, in_headroom, bytes.0));
        packet.ok_or_else(|| D::Error::custom(TOO_SHORT))
    }
}

const TOO_SHORT: &str = "a packet with more in its headroom than there is";

/// A packet of these bytes, of which so many lie in the headroom; `None` if they cannot.
fn filled(known: &Known, in_headroom: u8, bytes: &[u8]) -> Option<PacketBuf> {
    let in_headroom = usize::from(in_headroom);
    if in_headroom > HEADROOM {
        return None;
    }
    let (headers, payload) = bytes.split_at_checked(in_headroom)?;
    let mut packet = match known {
        Known::Read(pool, _) => pool.take(payload.len()),
        Known::Nothing | Known::Written(_) => PacketBuf::on_heap(payload.len()),
    };
    packet.extend(payload);
    packet.prepend(headers);
    Some(packet)
}
