//! Frame sockets of a node: one thread for each socket at which a program may send frames, for all
//! layers of all channels that show them. It ends with the last of these.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use crate::control::channels::error::ChannelError;
use crate::ffi::set_log_subject;
use crate::pipeline::{FrameReader, serve_frames};
use crate::runtime::Clock;

/// Most sockets of a node. Layers with further ones show their slates.
const SOCKETS_MAX: usize = 64;

/// The sockets that are served, and the layers that their threads have not taken in yet.
#[expect(clippy::disallowed_types, reason = "held for a moment, by threads that load and decode")]
type Served = std::sync::Mutex<HashMap<PathBuf, Vec<FrameReader>>>;

/// The sockets of a node. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct FrameSockets(Arc<Served>);

impl FrameSockets {
    /// Has the program at a socket seen by a layer as well. If no thread serves it yet, `spawn`
    /// starts one.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub(crate) fn attach(
        &self,
        path: &Path,
        reader: FrameReader,
        clock: Clock,
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> Result<(), ChannelError>,
    ) -> Result<(), ChannelError> {
        {
            let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waiting) = served.get_mut(path) {
                waiting.push(reader);
                return Ok(());
            }
            if served.len() >= SOCKETS_MAX {
                reader.refuse(format!("`socket`: a node has at most {SOCKETS_MAX}"));
                return Ok(());
            }
            served.insert(path.to_owned(), vec![reader]);
        }
        let mut registration = Registration::of(self.clone(), path);
        spawn(Box::new(move || {
            let path = registration.path.clone();
            set_log_subject(&format!("frames at {}", path.display()));
            serve_frames(&path, clock, |readers| registration.renew(readers));
        }))
    }
}

/// A served socket: taken off the list with its thread, whatever ends that.
struct Registration {
    sockets: FrameSockets,
    path: PathBuf,
    is_over: bool,
}

impl Registration {
    fn of(sockets: FrameSockets, path: &Path) -> Self {
        Self { sockets, path: path.to_owned(), is_over: false }
    }

    /// Gives the thread its new readers. False if nobody is left: it is off the list then.
    fn renew(&mut self, readers: &mut Vec<FrameReader>) -> bool {
        let mut served = self.sockets.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = served.get_mut(&self.path) else { return false };
        readers.append(waiting);
        if readers.is_empty() {
            served.remove(&self.path);
            self.is_over = true;
        }
        !self.is_over
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if !self.is_over {
            let mut served = self.sockets.0.lock().unwrap_or_else(PoisonError::into_inner);
            served.remove(&self.path);
        }
    }
}

impl std::fmt::Debug for FrameSockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameSockets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::decode::{FrameView, FrameViewSpec};
    use crate::frame::PictureEvent;
    use crate::media::Orientation;
    use crate::pipeline::{DecodeOut, FrameChange};
    use crate::ring::{Bell, Receiver, channel};

    /// A layer, and what it is given.
    fn layer() -> (FrameReader, Receiver<PictureEvent>) {
        let (ring, pictures) = channel(4, Bell::new());
        let spec = FrameViewSpec {
            orientation: Orientation::UPRIGHT,
            scale: Box::new(|size| size),
            further: Vec::new(),
        };
        let tell = |change| assert!(matches!(change, FrameChange::Lost(_)), "{change:?}");
        (FrameReader::new(FrameView::new(spec), DecodeOut::new([ring], Vec::new()), tell), pictures)
    }

    #[test]
    fn layers_of_one_socket_share_a_thread_which_ends_with_the_last_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let (path, sockets) = (dir.path().join("s"), FrameSockets::default());
        let runs = RefCell::new(Vec::new());
        let attach = |reader| {
            let spawn = |run| {
                runs.borrow_mut().push(run);
                Ok(())
            };
            sockets.attach(&path, reader, Clock::start(), spawn).unwrap();
        };
        for _ in 0..2 {
            let ((first, seen), (second, seen_too)) = (layer(), layer());
            attach(first);
            attach(second);
            assert_eq!(runs.borrow().len(), 1);
            drop((seen, seen_too));
            let run = runs.borrow_mut().pop().unwrap();
            run();
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_thread_that_cannot_be_had_leaves_the_socket_to_the_next_layer() {
        let sockets = FrameSockets::default();
        let path = Path::new("/run/overlay");
        let none = |_| Err(ChannelError::Thread(std::io::ErrorKind::OutOfMemory.into()));
        assert!(sockets.attach(path, layer().0, Clock::start(), none).is_err());
        let mut is_asked = false;
        let spawn = |_| {
            is_asked = true;
            Ok(())
        };
        sockets.attach(path, layer().0, Clock::start(), spawn).unwrap();
        assert!(is_asked);
    }

    #[test]
    fn more_sockets_than_a_node_has_are_refused() {
        let sockets = FrameSockets::default();
        let kept = RefCell::new(Vec::new());
        for number in 0..=SOCKETS_MAX {
            let path = PathBuf::from(format!("/run/{number}"));
            let (reader, mut pictures) = layer();
            let spawn = |run| {
                kept.borrow_mut().push(run);
                Ok(())
            };
            sockets.attach(&path, reader, Clock::start(), spawn).unwrap();
            let is_refused = matches!(pictures.pop(), Some(PictureEvent::Ended));
            assert_eq!(is_refused, number == SOCKETS_MAX);
        }
        assert_eq!(kept.borrow().len(), SOCKETS_MAX);
    }
}
