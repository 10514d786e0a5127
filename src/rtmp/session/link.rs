//! Session parts of both roles: chunks in and out, acknowledgements, pings, counters. The same
//! bytes give the same items and acknowledgements, however they are cut.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::frame::{Budget, PacketPool};
use crate::media::{KeepAlive, Kind, Micros, Pings};
use crate::rtmp::amf0::Value;
use crate::rtmp::chunk::{Message, MessageHeader, Reader, Writer, stream_of};
use crate::rtmp::limits::{
    ACK_WINDOW, ACK_WINDOW_MIN, ANSWERS_BYTES_MAX, CONTROLS_PER_SECOND_MAX, CONTROLS_WINDOW,
    MESSAGE_BYTES_MAX, OUTPUT_BYTES_MAX, PARSE_BYTES_MAX,
};
use crate::rtmp::message::{Command, Control, event, type_id};
use crate::rtmp::{Error, media};

use super::inbox::{Answer, Inbox, Item};

/// Bytes of empty output that are kept for the next acknowledgement or ping. What a handshake took
/// is given back.
const OUT_BYTES_KEPT: usize = 32;

/// One connection below its role.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Link {
    reader: Reader,
    writer: Writer,
    pub(super) inbox: Inbox,
    /// Why the connection has to be closed, once it has.
    #[serde(with = "super::fault")]
    fault: Option<Error>,
    /// Bytes to send: `out[sent..]`.
    out: Vec<u8>,
    sent: usize,
    /// How many of them, at most, are answers to what the peer did.
    answers: usize,
    received: u64,
    acknowledged: u64,
    ack_window: u32,
    /// The peer's newest acknowledgement, modulo 2^32.
    peer_acknowledged: Option<u32>,
    /// The window we announced last, so that it is not announced again and again.
    announced_window: u32,
    /// Newest time seen.
    #[serde(with = "crate::media::instants")]
    now: Micros,
    life: KeepAlive,
    /// Commands, pings and so on since `controls_since`.
    controls: u32,
    #[serde(with = "crate::media::instants")]
    controls_since: Micros,
}

impl Link {
    pub(super) fn new(now: Micros) -> Self {
        Self {
            reader: Reader::default(),
            writer: Writer::default(),
            inbox: Inbox::default(),
            fault: None,
            out: Vec::new(),
            sent: 0,
            answers: 0,
            received: 0,
            acknowledged: 0,
            ack_window: ACK_WINDOW,
            peer_acknowledged: None,
            announced_window: 0,
            now,
            life: KeepAlive::new(now),
            controls: 0,
            controls_since: now,
        }
    }

    /// How many bytes the peer's unfinished messages may take up, and whether it was let in.
    pub(super) fn set_buffer(&mut self, bytes: usize, is_let_in: bool) {
        self.reader.set_reserved_max(bytes);
        self.reader.let_in(is_let_in);
    }

    /// It was read from a snapshot: its unfinished messages come from this budget, if any. `false`
    /// if it contradicts itself.
    #[must_use]
    pub(super) fn resume(&mut self, budget: Option<&Arc<Budget>>) -> bool {
        let is_whole = self.sent <= self.out.len()
            && self.answers <= self.out.len()
            && self.inbox.is_whole()
            && self.writer.is_whole();
        is_whole && self.acknowledged <= self.received && self.reader.resume(budget)
    }

    /// They come from a budget that connections share, from here on.
    pub(super) fn join(&mut self, budget: Arc<Budget>) {
        self.reader.join(budget);
    }

    pub(super) const fn now(&self) -> Micros {
        self.now
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) const fn is_between_messages(&self) -> bool {
        self.reader.is_between_messages()
    }

    /// The peer's newest acknowledgement, modulo 2^32; `None` if it has sent none.
    pub(super) const fn peer_acknowledged(&self) -> Option<u32> {
        self.peer_acknowledged
    }

    /// Notes that `bytes` have come; before anything else is done with them.
    pub(super) fn receive(&mut self, bytes: usize, now: Micros) {
        self.advance(now);
        self.reader.set_now(self.now);
        if bytes > 0 {
            self.life.receive(self.now);
            self.received += bytes as u64;
        }
    }

    /// Time only goes forward.
    pub(super) fn advance(&mut self, now: Micros) {
        self.now = self.now.max(now);
    }

    /// Takes a message off `input`, or an acknowledgement that is due, into the inbox; `false` if
    /// `input` holds no more. What only the chunk stream needs to know is dealt with here.
    ///
    /// # Errors
    /// If the connection has to be closed; what is in the inbox came before that.
    pub(super) fn take(&mut self, input: &mut &[u8], pool: &PacketPool) -> Result<bool, Error> {
        // Once per half window: peers that wait for it never stop. At a byte that the peer can
        // count to as well, whatever was read at once.
        let taken = self.received - input.len() as u64;
        let due = self.acknowledged + u64::from(self.ack_window / 2);
        if taken >= due {
            self.acknowledged = taken;
            // The sequence number wraps at 2^32.
            let [_, _, _, _, sequence @ ..] = taken.to_be_bytes();
            let answer = Answer::Acknowledgement(u32::from_be_bytes(sequence));
            return self.inbox.push(Item::Answer(answer)).map(|()| true);
        }
        let until_due = usize::try_from(due - taken).unwrap_or(usize::MAX).min(input.len());
        let mut piece = &input[..until_due];
        let message = self.reader.read(&mut piece, pool)?;
        *input = &input[until_due - piece.len()..];
        let Some(message) = message else { return Ok(until_due > 0) };
        match Control::parse(message.type_id, &message.body)? {
            Some(control) => self.control(control)?,
            None => self.message(message, pool)?,
        }
        Ok(true)
    }

    fn control(&mut self, control: Control) -> Result<(), Error> {
        match control {
            // As many as there are windows: not counted, a fast peer may send thousands.
            Control::Acknowledgement(sequence) => {
                self.peer_acknowledged = Some(sequence);
                return Ok(());
            }
            Control::SetChunkSize(bytes) => self.reader.set_chunk_size(bytes),
            Control::Abort(chunk_stream) => self.reader.abort(chunk_stream),
            Control::WindowAck(0) | Control::OtherEvent => {}
            Control::WindowAck(bytes) => {
                self.ack_window = bytes.clamp(ACK_WINDOW_MIN, i32::MAX.unsigned_abs());
            }
            Control::PeerBandwidth(bytes) => {
                self.inbox.push(Item::Answer(Answer::Window(bytes)))?;
            }
            Control::Ping(stamp) => self.inbox.push(Item::Answer(Answer::Pong(stamp)))?,
        }
        self.count_control()
    }

    fn message(&mut self, message: Message, pool: &PacketPool) -> Result<(), Error> {
        let inbox = &mut self.inbox;
        if !matches!(message.type_id, type_id::COMMAND | type_id::COMMAND_AMF3) {
            return media::each(message, pool, |kind, time, body| {
                inbox.push(Item::Media { kind, time, body })
            });
        }
        self.count_control()?;
        let (stream_id, bytes) = (message.stream_id, message.body.len());
        if bytes > PARSE_BYTES_MAX {
            return Err(Error::Limit("command is too long"));
        }
        // One that is not readable is no reason to close.
        let Some(command) = Command::parse(&message.body) else { return Ok(()) };
        self.inbox.push(Item::Command { command, stream_id, bytes })
    }

    /// Gives an answer that the chunk protocol owes.
    pub(super) fn answer(&mut self, answer: Answer) {
        let before = self.output().len();
        match answer {
            Answer::Pong(stamp) => self.user_control(event::PONG, &stamp),
            Answer::Window(bytes) if bytes > 0 && bytes != self.announced_window => {
                self.announce_window(bytes);
            }
            Answer::Window(_) => {}
            Answer::Acknowledgement(sequence) => {
                self.send(type_id::ACKNOWLEDGEMENT, 0, &sequence.to_be_bytes());
            }
        }
        self.charge(before);
    }

    /// The next item of the inbox waits.
    pub(super) fn hold_next(&mut self) {
        let held = self.inbox.hold_next().and_then(|bytes| self.reader.hold(bytes));
        if let Err(error) = held {
            self.fail(error);
        }
    }

    /// What was held is next.
    pub(super) fn let_go(&mut self) {
        if self.inbox.holds_any() {
            self.inbox.let_go();
            self.reader.let_go();
        }
    }

    /// Whether more may come although a decision is open.
    pub(super) const fn has_room(&self) -> bool {
        self.inbox.has_room(self.reader.reserved())
    }

    /// Nobody reads what the peer sends: it does not count as silent.
    pub(super) const fn pardon_silence(&mut self) {
        self.life.receive(self.now);
    }

    /// The connection has to be closed.
    pub(super) fn fail(&mut self, error: Error) {
        self.fault.get_or_insert(error);
    }

    /// # Errors
    /// Why the connection has to be closed, if it has.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.fault.map_or(Ok(()), Err)
    }

    /// Counts something that costs the peer little and us more.
    fn count_control(&mut self) -> Result<(), Error> {
        if self.now.since(self.controls_since) >= CONTROLS_WINDOW {
            self.controls_since = self.now;
            self.controls = 0;
        }
        self.controls += 1;
        if self.controls > CONTROLS_PER_SECOND_MAX {
            return Err(Error::Limit("too many commands in one second"));
        }
        Ok(())
    }

    /// Counts the output beyond `before` bytes as caused by the peer.
    pub(super) fn charge(&mut self, before: usize) {
        self.answers += self.output().len().saturating_sub(before);
        if self.answers > ANSWERS_BYTES_MAX {
            self.fail(Error::Limit("too many answers that the peer does not read"));
        }
    }

    /// Pings a peer when it is time to.
    ///
    /// # Errors
    /// [`Error::Silent`] if it has answered nothing for too long.
    pub(super) fn keep_alive(&mut self, pings: Pings) -> Result<(), Error> {
        if self.life.is_due(self.now, pings) {
            let stamp = self.now.millis().to_be_bytes();
            self.user_control(event::PING, &stamp[4..]);
        }
        if self.life.is_gone(self.now, pings) { Err(Error::Silent) } else { Ok(()) }
    }

    /// What was said still waits to be sent: the peer cannot have answered.
    pub(super) fn hold_back(&mut self, now: Micros) {
        self.advance(now);
        self.life.hold_back(self.now);
    }

    /// # Errors
    /// [`Error::Silent`] if no byte has come for `timeout`.
    pub(super) fn check_silence(&self, timeout: Micros) -> Result<(), Error> {
        if self.life.is_silent(self.now, timeout) { Err(Error::Silent) } else { Ok(()) }
    }

    pub(super) fn announce_window(&mut self, bytes: u32) {
        self.announced_window = bytes;
        self.send(type_id::WINDOW_ACK, 0, &bytes.to_be_bytes());
    }

    /// Announces a chunk size and uses it from then on.
    pub(super) fn announce_chunk_size(&mut self, bytes: u32) {
        self.send(type_id::SET_CHUNK_SIZE, 0, &bytes.to_be_bytes());
        self.writer.set_chunk_size(bytes);
    }

    pub(super) fn user_control(&mut self, event: u16, data: &[u8]) {
        let [high, low] = event.to_be_bytes();
        let mut body = [high, low, 0, 0, 0, 0, 0, 0, 0, 0];
        body[2..2 + data.len()].copy_from_slice(data);
        self.send(type_id::USER_CONTROL, 0, &body[..2 + data.len()]);
    }

    pub(super) fn command(&mut self, stream_id: u32, name: &str, txn: f64, values: &[Value]) {
        self.send(type_id::COMMAND, stream_id, &Command::encode(name, txn, values));
    }

    /// Queues a message without a time.
    pub(super) fn send(&mut self, type_id: u8, stream_id: u32, body: &[u8]) {
        self.write(type_id, stream_id, 0, body);
    }

    /// Queues a media message.
    pub(super) fn media(
        &mut self,
        kind: Kind,
        stream_id: u32,
        time: u32,
        body: &[u8],
    ) -> Result<(), Error> {
        if body.len() > MESSAGE_BYTES_MAX {
            return Err(Error::Limit("message is longer than RTMP allows"));
        }
        if self.output().len() > OUTPUT_BYTES_MAX {
            return Err(Error::Limit("too much output that the peer does not read"));
        }
        let type_id = match kind {
            Kind::Audio => type_id::AUDIO,
            Kind::Video => type_id::VIDEO,
            Kind::Data => type_id::DATA,
        };
        self.write(type_id, stream_id, time, body);
        Ok(())
    }

    fn write(&mut self, type_id: u8, stream_id: u32, time: u32, body: &[u8]) {
        let chunk_stream = stream_of(type_id);
        let header = MessageHeader { chunk_stream, time, length: 0, type_id, stream_id };
        self.writer.write(header, body, &mut self.out);
    }

    /// Where the handshake writes.
    pub(super) const fn raw_output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    pub(super) fn output(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    pub(super) fn consume_output(&mut self, n: usize) {
        self.sent = self.out.len().min(self.sent.saturating_add(n));
        if self.sent == self.out.len() {
            self.out.clear();
            self.out.shrink_to(OUT_BYTES_KEPT);
            self.sent = 0;
        }
        self.answers = self.answers.min(self.out.len() - self.sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketPoolSpec;

    #[test]
    fn the_number_in_an_acknowledgement_wraps_at_2_to_the_32() {
        let mut link = Link::new(Micros(0));
        link.received = (1 << 32) + 5 - u64::from(ACK_WINDOW);
        link.acknowledged = link.received;
        link.receive(usize::try_from(ACK_WINDOW).unwrap(), Micros(0));
        let pool = PacketPool::new(PacketPoolSpec { bytes_max: 0 }).unwrap();
        assert_eq!(link.take(&mut &[][..], &pool), Ok(true));
        let Some(Item::Answer(answer)) = link.inbox.take_next() else { panic!("nothing is due") };
        assert_eq!(answer, Answer::Acknowledgement(5));
    }
}
