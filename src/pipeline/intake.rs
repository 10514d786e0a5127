//! Stream intake: messages of a source on their way into its stream are told apart, their times
//! repaired, and missing headers made.

use std::rc::Rc;

use super::hub::Hub;
use super::shard::Shard;
use crate::event::NodeEvent;
use crate::frame::PacketBuf;
use crate::media::{Kind, Micros};
use crate::rtmp::flv::Facts;
use crate::stream::{Flags, Heard, Message};

impl Shard {
    /// Takes a message of the source of `hub`, with the time that it stamped it with. False if the
    /// stream feeds itself: the source is to be ended.
    #[must_use]
    pub(super) fn take_in(
        &self,
        hub: &Rc<Hub>,
        flags: Flags,
        message: (Kind, u32, PacketBuf),
    ) -> bool {
        let (kind, time, body) = message;
        let now = self.clock.now();
        // Of further tracks it counts that they come.
        let told = if flags.track() == 0 { flags } else { Flags::HEADER };
        hub.health.borrow_mut().message(kind, time, told, now);
        let heard = hub.in_band.borrow_mut().hear(kind, flags, &body);
        match heard {
            Heard::Usual => {}
            Heard::Less => return true,
            Heard::Header(header) => {
                let made = (kind, time, PacketBuf::copy_of(&header));
                let _no_media = self.pass_in(hub, Flags::header_of(flags.track()), made, now);
            }
            Heard::Missing => self.report_node(missing(hub, kind, &body)),
        }
        self.pass_in(hub, flags, (kind, time, body), now)
    }

    fn pass_in(
        &self,
        hub: &Rc<Hub>,
        flags: Flags,
        message: (Kind, u32, PacketBuf),
        now: Micros,
    ) -> bool {
        let (kind, came, body) = message;
        let time = match flags {
            flags if flags.is_header() => hub.repair.borrow_mut().repair_header(kind, came),
            _ => hub.repair.borrow_mut().repair(kind, came),
        };
        let is_media = kind != Kind::Data && !flags.is_header();
        if is_media && hub.loops.borrow_mut().passes(came, time, &body) {
            return false;
        }
        let message = Message::new(kind, time, flags, body, self.spec().chunk_size);
        self.publish(hub, message, now);
        true
    }
}

/// That a track cannot be decoded.
fn missing(hub: &Hub, kind: Kind, body: &[u8]) -> NodeEvent {
    let codec = Facts::of(kind, body).and_then(|facts| facts.format);
    let codec = codec.map_or_else(|| "unknown codec".to_owned(), |codec| codec.to_string());
    NodeEvent::StreamWarning {
        stream: hub.name.to_string(),
        code: "sequence_header",
        text: format!(
            "its {codec} comes without a sequence header, and none can be made of its frames: \
             players and recordings cannot decode it; restart the encoder, or let it send its \
             headers before its frames"
        ),
    }
}
