//! Fake drivers for the tests of GPU backends, and what such a backend makes of pictures.

#![expect(clippy::cast_possible_wrap, reason = "numbers of pictures")]

use std::ffi::{CString, c_char, c_void};
use std::mem;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::fixture::{Collect, Decoded, halves};
use crate::encode::{Error, VideoEncoder};
use crate::ffi::{Library, sys};
use crate::frame::{Frame, Pool};
use crate::media::h264;

/// The folder with the fake drivers, built once for all tests of the process.
pub(super) fn fakes() -> &'static Path {
    static FAKES: OnceLock<TempDir> = OnceLock::new();
    FAKES
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ffi/fake/build.sh");
            assert!(Command::new(script).arg(folder.path()).status().unwrap().success());
            folder
        })
        .path()
}

/// What the fake driver in this library does wrong from now on.
pub(super) fn set_faults(library: &str, text: &str) {
    let library = Library::open(Some(fakes()), library).unwrap();
    let set = library.symbol(c"fake_faults").unwrap();
    // SAFETY: the function of the fake driver has this type.
    let set = unsafe { mem::transmute::<*mut c_void, extern "C" fn(*const c_char)>(set.as_ptr()) };
    set(CString::new(text).unwrap().as_ptr());
}

/// Draws the same picture each time.
pub(super) fn still(frame: &mut Frame, _: usize) -> bool {
    halves(frame);
    false
}

/// Encodes one more picture.
pub(super) fn encode_halves(
    encoder: &mut dyn VideoEncoder,
    pool: &Pool,
    pts: i64,
    out: &mut Collect,
) -> Result<(), Error> {
    let mut frame = pool.take().unwrap();
    halves(&mut frame);
    encoder.encode(frame.freeze(), pts, false, out)
}

/// That 40 pictures came out as [`still`] drew them.
pub(super) fn assert_halves(pictures: &[Decoded]) {
    assert_eq!(pictures.len(), 40);
    for (n, picture) in pictures.iter().enumerate() {
        assert_eq!((picture.pts, picture.size), (n as i64, (320, 192)));
        assert_eq!(picture.tags, (sys::AVCOL_SPC_BT709, sys::AVCOL_RANGE_MPEG));
        let [y, u, v] = &picture.planes;
        let row = y.len() / 192 * 96;
        for (is, wanted) in [(y[row + 80], 60), (y[row + 240], 200), (u[10], 90), (v[10], 170)] {
            assert!(is.abs_diff(wanted) <= 3, "{is} instead of {wanted}");
        }
    }
}

/// That packets of H.264 are whole, and keyframes where they were asked for, at 40, and every 30.
pub(super) fn assert_keyframes(out: &Collect) {
    let keys: Vec<_> = out.0.iter().filter(|kept| kept.key).map(|kept| kept.pts).collect();
    assert_eq!(keys, [0, 30, 40, 70]);
    for (n, kept) in out.0.iter().enumerate() {
        assert_eq!((kept.pts, kept.dts), (n as i64, n as i64));
        let types: Vec<_> = h264::units(&kept.bytes).map(|unit| unit[0] & 0x1f).collect();
        let covered: usize = h264::units(&kept.bytes).map(|unit| unit.len() + 4).sum();
        assert_eq!(covered, kept.bytes.len(), "lengths, not start codes");
        assert_eq!(types.contains(&h264::nal::IDR), kept.key);
        assert!(!types.contains(&h264::nal::SPS), "parameter sets are in the header alone");
    }
}
