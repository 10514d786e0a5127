//! Body of an answer that is a file's content, a few pieces at a time.

use std::fs::File;
use std::io::Read;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Pieces of a file that wait for the network.
const PIECES_WAITING: usize = 4;

/// Bytes that are read from the disk at once.
const PIECE_BYTES: usize = 64 << 10;

/// What is left to read of `file`. It ends with the file, or when nobody takes it any more.
pub(super) fn file_body(mut file: File) -> Body {
    let (pieces, taken) = mpsc::channel(PIECES_WAITING);
    spawn_blocking(move || {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => return,
                read => read.map(|length| Bytes::copy_from_slice(&piece[..length])),
            };
            let is_last = read.is_err();
            if pieces.blocking_send(read).is_err() || is_last {
                return;
            }
        }
    });
    Body::from_stream(stream::unfold(taken, async |mut taken: mpsc::Receiver<_>| {
        taken.recv().await.map(|piece| (piece, taken))
    }))
}
