//! Clients that lie, and what becomes of the pictures of those that do not.

use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use super::error::FrameError;
use super::limits::MAGIC;
use super::testing::{frame, hello, message, paint, sealed};
use super::*;
use crate::decode::DecodeSink;
use crate::ffi::seqpacket_client::memory;
use crate::frame::{AudioBlock, FrozenFrame, PictureEvent};
use crate::media::Micros;
use crate::media::Orientation;

/// Bytes of a slot with a picture of 32 x 32 in BGRA.
const SLOT: u64 = 4_096;

fn greeted(bytes: &[u8], memory: OwnedFd) -> Result<FrameClient, FrameError> {
    let mut client = FrameClient::default();
    client.handle(bytes, vec![memory]).map(|_| client)
}

fn fault(result: Result<impl Sized, FrameError>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn a_hello_that_lies_is_refused_by_its_field() {
    let whole = || OwnedFd::from(sealed(8 << 20));
    assert!(greeted(&hello([32, 32], 1, 2), whole()).is_ok());
    for (bytes, told) in [
        (hello([33, 32], 1, 2), "`width`"),
        (hello([32, 8_194], 1, 2), "`height`"),
        (hello([8_192, 8_192], 1, 1), "pixels"),
        (hello([32, 32], 0, 2), "`format`"),
        (hello([32, 32], 5, 2), "`format`"),
        (hello([32, 32], 1, 0), "`slots`"),
        (hello([32, 32], 1, 9), "`slots`"),
        (message(&[1, 7, 1, 32, 32, 1, 2, 0]), "`magic`"),
        (message(&[1, MAGIC, 2, 32, 32, 1, 2, 0]), "`version`"),
        (message(&[1, MAGIC, 1, 32, 32, 1, 2, 1]), "`reserved`"),
        (message(&[1, MAGIC]), "a hello of 8 bytes"),
        (message(&[77; 8]), "type 77"),
        (b"GET".to_vec(), "3 bytes"),
        (vec![0xff; CLIENT_MESSAGE_BYTES_MAX], "type"),
        (frame(0, &[]), "1 descriptors"),
    ] {
        let text = fault(greeted(&bytes, whole()));
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn memory_that_could_shrink_or_is_too_small_is_refused() {
    let bytes = hello([32, 32], 1, 2);
    let unsealed = memory(2 * SLOT, libc::F_SEAL_GROW);
    assert!(fault(greeted(&bytes, unsealed.into())).contains("F_SEAL_SHRINK"));
    let (reader, _writer) = std::io::pipe().unwrap();
    assert!(fault(greeted(&bytes, reader.into())).contains("F_SEAL_SHRINK"));
    let small = fault(greeted(&bytes, sealed(2 * SLOT - 1).into()));
    assert!(small.contains("8191 bytes") && small.contains("8192"), "{small}");
    for count in [0, 2] {
        let files = (0..count).map(|_| OwnedFd::from(sealed(2 * SLOT))).collect();
        let text = fault(FrameClient::default().handle(&bytes, files));
        assert!(text.contains(&format!("{count} descriptors")), "{text}");
    }
}

#[test]
fn a_frame_that_lies_is_refused_by_its_field() {
    assert!(fault(FrameClient::default().handle(&frame(0, &[]), Vec::new())).contains("hello"));
    for (bytes, told) in [
        (frame(2, &[]), "`slot`"),
        (frame(0, &[[0, 0, 32, 33]]), "rectangle 0"),
        (frame(0, &[[0, 0, 1, 1], [33, 0, 1, 1]]), "rectangle 1"),
        (frame(0, &[[u32::MAX, 0, 2, 1]]), "rectangle 0"),
        (frame(0, &[[0, u32::MAX, 1, 2]]), "rectangle 0"),
        (frame(0, &[[0, 0, 0, 1]]), "rectangle 0"),
        (frame(0, &[[0, 0, 1, 1]; 17]), "`rectangles`"),
        (frame(0, &[[0, 0, 1, 1]])[..30].to_vec(), "a frame of 30 bytes"),
        (message(&[2, 0, 0, 0, 0, 9]), "a frame of 24 bytes"),
        (hello([32, 32], 1, 2), "second hello"),
    ] {
        let mut client = greeted(&hello([32, 32], 1, 2), sealed(2 * SLOT).into()).unwrap();
        let text = fault(client.handle(&bytes, Vec::new()));
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn memory_that_ends_early_after_all_is_an_error_and_no_signal() {
    // A client cannot do this to sealed memory; whatever a kernel allows, reading only fails.
    let file = memory(2 * SLOT, libc::F_SEAL_SHRINK);
    let mut client = greeted(&hello([32, 32], 1, 2), file.try_clone().unwrap().into()).unwrap();
    assert!(file.set_len(0).is_err(), "the seal holds");
    assert!(client.handle(&frame(1, &[]), Vec::new()).is_ok());
}

/// Takes the newest picture.
#[derive(Default)]
struct Sink(Option<FrozenFrame>);

impl DecodeSink for Sink {
    fn picture(&mut self, picture: PictureEvent) {
        if let PictureEvent::Picture { frame, .. } = picture {
            self.0 = Some(frame);
        }
    }

    fn audio(&mut self, _: &AudioBlock) {}
}

/// Luma, chroma and alpha at a place of what a layer shows of the client.
fn shown(client: &FrameClient, at: (usize, usize)) -> ([u8; 3], Option<u8>) {
    let mut view = FrameView::new(FrameViewSpec {
        orientation: Orientation::UPRIGHT,
        scale: Box::new(|size| size),
        further: Vec::new(),
    });
    let mut sink = Sink::default();
    view.renew(Micros(5));
    view.show(client, &mut sink).unwrap();
    assert!(!view.is_owed());
    let frame = sink.0.expect("a picture");
    let planes = frame.geometry().planes();
    let sample =
        |plane: usize, x: usize, y: usize| frame.plane(plane)[y * planes[plane].stride + x];
    let color =
        [sample(0, at.0, at.1), sample(1, at.0 / 2, at.1 / 2), sample(2, at.0 / 2, at.1 / 2)];
    let alpha = frame.geometry().has_alpha().then(|| sample(0, at.0, at.1 + planes[0].rows / 2));
    (color, alpha)
}

#[test]
fn straight_and_premultiplied_colours_look_the_same() {
    // Red of half the opacity, both ways; 63, 102, 240 is red.
    for (format, pixel) in [(1, [0, 0, 255, 128]), (2, [0, 0, 128, 128])] {
        let file = sealed(2 * SLOT);
        paint(&file, SLOT, pixel, 32 * 32);
        let mut client =
            greeted(&hello([32, 32], format, 2), file.try_clone().unwrap().into()).unwrap();
        client.handle(&frame(1, &[]), Vec::new()).unwrap();
        let ([luma, cb, cr], alpha) = shown(&client, (16, 16));
        for (have, want) in [(luma, 32), (cb, 51), (cr, 120), (alpha.unwrap(), 128)] {
            assert!(have.abs_diff(want) <= 1, "{format}: {luma} {cb} {cr} {alpha:?}");
        }
    }
}

#[test]
fn planes_of_i420_and_nv12_are_shown_as_they_are_without_alpha() {
    for (format, chroma) in [(3, [[51_u8; 256], [120; 256]].concat()), (4, [51, 120].repeat(256))] {
        let file = sealed(SLOT);
        file.write_all_at(&[&[77; 1_024], chroma.as_slice()].concat(), 0).unwrap();
        let mut client = greeted(&hello([32, 32], format, 1), file.into()).unwrap();
        client.handle(&frame(0, &[]), Vec::new()).unwrap();
        assert_eq!(shown(&client, (31, 31)), ([77, 51, 120], None), "{format}");
    }
}

#[test]
fn only_rows_that_are_said_to_have_changed_are_read() {
    let file = sealed(2 * SLOT);
    paint(&file, 0, [255; 4], 32 * 32);
    let mut client = greeted(&hello([32, 32], 2, 2), file.try_clone().unwrap().into()).unwrap();
    // The first picture is read whole, whatever is said of it.
    client.handle(&frame(0, &[[0, 0, 2, 2]]), Vec::new()).unwrap();
    assert_eq!(shown(&client, (16, 20)).0[0], 235);
    client.handle(&frame(1, &[[0, 8, 4, 8], [8, 12, 4, 12]]), Vec::new()).unwrap();
    let alphas = [0, 10, 20, 30].map(|y| shown(&client, (16, y)).1);
    assert_eq!(alphas, [Some(255), Some(0), Some(0), Some(255)]);
}
