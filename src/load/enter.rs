//! A publisher's way in. It waits for the server's answers: publishers come one after the other.

use std::io::{Read, Write};
use std::time::Duration;

use super::Failure;
use super::target::PublishAccess;
use super::tls::Socket;
use crate::frame::PacketPool;
use crate::media::Micros;
use crate::rtmp::limits::FEED_BYTES_MAX;
use crate::rtmp::{Client, ClientEvent, ClientSpec};
use crate::runtime::Clock;

/// A server has this long to accept a publisher.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How the command begins that asks to publish: a text of seven bytes in AMF0.
const PUBLISH: &[u8] = b"\x02\x00\x07publish";

/// A connection that publishes.
pub(super) struct Entered {
    pub(super) socket: Socket,
    pub(super) client: Client,
    /// From `publish` on the wire to the server's answer.
    pub(super) waited: Micros,
}

/// Connects, and waits until the server has accepted the publisher.
pub(super) fn enter(
    access: &PublishAccess,
    spec: ClientSpec,
    clock: Clock,
    pool: &PacketPool,
) -> Result<Entered, Failure> {
    let mut socket = Socket::connect(access.address, access.trust.as_ref())?;
    socket.tcp().set_read_timeout(Some(START_LIMIT))?;
    let mut client = Client::new(spec, clock.now(), [0x5a; 32]);
    let mut block = vec![0; FEED_BYTES_MAX];
    let mut asked = None;
    loop {
        let output = client.output();
        if output.windows(PUBLISH.len()).any(|part| part == PUBLISH) {
            asked = Some(clock.now());
        }
        socket.write_all(output)?;
        client.consume_output(client.output().len());
        match client.poll_event() {
            Some(ClientEvent::Started { .. }) => break,
            Some(ClientEvent::Refused { code, description }) => {
                return Err(format!("the server refused: {code} {description}").into());
            }
            Some(_) => continue,
            None => {}
        }
        let count = socket.read(&mut block)?;
        if count == 0 {
            return Err("the server closed the connection before it accepted".into());
        }
        client.feed(&block[..count], clock.now(), pool)?;
    }
    let asked = asked.ok_or("the server accepted before it was asked")?;
    Ok(Entered { socket, client, waited: clock.now().since(asked) })
}
