//! Player request in one go: handshake, connect, createStream and play, with every answer taken for
//! a yes.

/// Handshake, `connect`, `createStream` and `play`.
pub(super) fn play(app: &str, name: &str) -> Vec<u8> {
    let mut request = vec![0; 1 + 2 * 1536];
    request[0] = 3;
    let mut connect = Vec::new();
    text(&mut connect, "connect");
    number(&mut connect, 1.0);
    connect.push(3);
    for (key, value) in [("app", app), ("tcUrl", &format!("rtmp://load/{app}"))] {
        key_of(&mut connect, key);
        text(&mut connect, value);
    }
    connect.extend([0, 0, 9]);
    command(&mut request, 0, &connect);

    let mut create = Vec::new();
    text(&mut create, "createStream");
    number(&mut create, 2.0);
    create.push(5);
    command(&mut request, 0, &create);

    let mut play = Vec::new();
    text(&mut play, "play");
    number(&mut play, 0.0);
    play.push(5);
    text(&mut play, name);
    command(&mut request, 1, &play);
    request
}

/// Chunks of the initial size, 128 bytes.
fn command(request: &mut Vec<u8>, stream: u32, body: &[u8]) {
    request.extend([3, 0, 0, 0]);
    request.extend(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes()[1..]);
    request.push(super::walker::COMMAND);
    request.extend(stream.to_le_bytes());
    for (number, part) in body.chunks(128).enumerate() {
        if number > 0 {
            request.push(0xc3);
        }
        request.extend(part);
    }
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.push(2);
    key_of(body, text);
}

fn key_of(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(text.as_bytes());
}

fn number(body: &mut Vec<u8>, number: f64) {
    body.push(0);
    body.extend(number.to_be_bytes());
}
