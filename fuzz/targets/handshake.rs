//! The first bytes of a connection, in both roles: cut anywhere, they are answered alike.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_manager_fuzz::media::Micros;
use stream_manager_fuzz::rtmp::{Client, ClientSpec, Goal, Server, ServerSpec, Url};
use stream_manager_fuzz::with_pool;

/// Version byte and two blocks: what a handshake says.
const SAID: usize = 1 + 2 * 1_536;

fn server(bytes: &[u8], step: usize) -> (Vec<u8>, bool) {
    let mut server = Server::new(ServerSpec::default(), Micros(0), [7; 32]);
    let fed = with_pool(|pool| {
        bytes.chunks(step).try_for_each(|piece| server.feed(piece, Micros(0), pool))
    });
    (server.output().iter().take(SAID).copied().collect(), fed.is_ok())
}

fn client(bytes: &[u8], step: usize, digest: bool) -> (Vec<u8>, bool) {
    let url = Url::parse("rtmp://host/live/key").expect("an address");
    let spec = ClientSpec { digest, ..ClientSpec::new(&url, Goal::Play) };
    let mut client = Client::new(spec, Micros(0), [7; 32]);
    let fed = with_pool(|pool| {
        bytes.chunks(step).try_for_each(|piece| client.feed(piece, Micros(0), pool))
    });
    (client.output().iter().take(SAID).copied().collect(), fed.is_ok())
}

fuzz_target!(|data: &[u8]| {
    let [mode, step, bytes @ ..] = data else { return };
    let step = usize::from(*step).max(1) * 7;
    match mode & 3 {
        0 | 1 => assert_eq!(server(bytes, usize::MAX), server(bytes, step)),
        mode => {
            let digest = mode == 3;
            assert_eq!(client(bytes, usize::MAX, digest), client(bytes, step, digest));
        }
    }
});
