//! Opener of a playlist: opens files and decodes what is seen and heard of them first, on a thread
//! of its own, so that a disk that takes its time holds up nothing that plays.

use std::sync::Arc;

use crate::decode::{DecodeSink, Entry, Error, File, Step};
use crate::frame::{AudioBlock, PictureEvent};
use crate::media::{Micros, PlaylistItem};
use crate::pipeline::decode::IDLE;
use crate::ring::{Bell, Receiver, Sender, channel};

/// Files that may wait to be opened. Only the newest is wanted; one for which there is no room is
/// asked for again.
const OPEN_QUEUE: usize = 8;

/// A file that is wanted.
#[derive(Debug)]
struct Request {
    ticket: u64,
    item: PlaylistItem,
    /// Where in it playing begins, if not at its in point.
    position: Option<Micros>,
}

/// What became of a request.
type Opened = (u64, Result<File, Error>);

/// The opener's end: what is to be opened.
#[derive(Debug)]
pub struct OpenerEnd {
    requests: Receiver<Request>,
    opened: Sender<Opened>,
    bell: Arc<Bell>,
}

/// The player's end.
#[derive(Debug)]
pub struct Opener {
    requests: Sender<Request>,
    opened: Receiver<Opened>,
    /// The newest request.
    ticket: u64,
}

/// Both ends of an opener, whose player listens to `bell`.
#[must_use]
pub fn opener_ends(bell: &Arc<Bell>) -> (Opener, OpenerEnd) {
    let own = Bell::new();
    let (sender, requests) = channel(OPEN_QUEUE, Arc::clone(&own));
    let (opened, receiver) = channel(OPEN_QUEUE, Arc::clone(bell));
    let opener = Opener { requests: sender, opened: receiver, ticket: 0 };
    (opener, OpenerEnd { requests, opened, bell: own })
}

impl Opener {
    /// Has a file opened; what was asked for before is not wanted any more. Whether there was
    /// room.
    pub(super) fn request(&mut self, entry: &Entry, position: Option<Micros>) -> bool {
        self.ticket += 1;
        let request = Request { ticket: self.ticket, item: entry.item.clone(), position };
        self.requests.push(request).is_ok()
    }

    /// Nothing is wanted any more.
    pub(super) const fn forget(&mut self) {
        self.ticket += 1;
    }

    /// What has become of the newest request, once that is known.
    pub(super) fn opened(&mut self) -> Option<Result<File, Error>> {
        while let Some((ticket, opened)) = self.opened.pop() {
            if ticket == self.ticket {
                return Some(opened);
            }
        }
        self.opened.is_finished().then(|| {
            let cause = "its files cannot be opened any more: load its scene again".to_owned();
            Err(Error::Playlist { path: "the node's opener".into(), cause })
        })
    }

    /// Whether something has been opened, or the opener is gone.
    pub(super) fn has_news(&self) -> bool {
        !self.opened.is_empty()
    }
}

/// Opens files by `open` until their player is gone.
pub fn open_items(mut end: OpenerEnd, mut open: impl FnMut(&PlaylistItem) -> Result<File, Error>) {
    loop {
        let Some(mut request) = end.requests.pop() else {
            if end.requests.is_finished() {
                return;
            }
            let requests = &end.requests;
            end.bell.park(IDLE, || !requests.is_empty() || requests.is_finished());
            continue;
        };
        while let Some(newer) = end.requests.pop() {
            request = newer;
        }
        let opened = open(&request.item).and_then(|file| primed(file, &request));
        // A player that has so much waiting is gone, or wants something else.
        drop(end.opened.push((request.ticket, opened)));
    }
}

/// Decodes up to what is seen and heard first.
fn primed(mut file: File, request: &Request) -> Result<File, Error> {
    match request.position {
        Some(position) => file.seek(position)?,
        None => file.wait(),
    }
    loop {
        match file.step(&mut Nowhere)? {
            Step::Ready => return Ok(file),
            // Behind its end there is its last picture, if somebody goes there.
            Step::Ended if request.position.is_some() => return Ok(file),
            Step::Ended => return Err(Error::Empty { path: request.item.path.clone() }),
            Step::More | Step::Full => {}
        }
    }
}

/// A file that waits hands nothing on.
struct Nowhere;

impl DecodeSink for Nowhere {
    fn picture(&mut self, _picture: PictureEvent) {}

    fn audio(&mut self, _block: &AudioBlock) {}
}
