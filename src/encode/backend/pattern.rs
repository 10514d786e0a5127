//! Test pattern for measurements: something that moves, with the noise of a camera.

use crate::frame::Frame;

/// Slanted bands that move by two pixels a picture, and grain as a camera has it.
pub(in crate::encode) fn draw(frame: &mut Frame, number: usize) {
    let mut grain = u32::try_from(number).unwrap_or(0) + 1;
    for plane in frame.planes_mut() {
        for (row, line) in plane.data.chunks_mut(plane.stride.max(1)).enumerate() {
            for (column, pixel) in line.iter_mut().enumerate() {
                grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let band = (row + column + 2 * number) / 4 % 160;
                *pixel = u8::try_from(band).unwrap_or(0) + 48 + (grain >> 30) as u8;
            }
        }
    }
}
