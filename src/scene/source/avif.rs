//! AVIF still: its container is read here, its pictures are decoded by libavcodec.

use std::io::Read;

use image::{Rgba, RgbaImage};

use crate::ffi::{Still, StillFormat, decode_av1_still};
use crate::media::caught;

/// Whether a file that begins like this is one.
pub(super) fn is_avif(head: &[u8]) -> bool {
    head.get(4..12).is_some_and(|brand| brand == b"ftypavif" || brand == b"ftypavis")
}

/// Reads one of at most so many pixels, with its alpha.
pub(super) fn read(mut file: impl Read, pixels_max: u64) -> Result<RgbaImage, String> {
    // Built for debugging, the reader says by a panic what it says by an error otherwise.
    let data = caught(|| avif_parse::read_avif(&mut file));
    let data = data.map_err(|_panic| "it is damaged".to_owned())?;
    let data = data.map_err(|error| error.to_string())?;
    let about = data.primary_item_metadata().map_err(|error| error.to_string())?;
    let (w, h) = (about.max_frame_width.get(), about.max_frame_height.get());
    if u64::from(w) * u64::from(h) > pixels_max {
        return Err(format!("its {w}x{h} pixels are more than {pixels_max}; make it smaller"));
    }
    let limit = i64::try_from(pixels_max).unwrap_or(i64::MAX);
    let Still { width, height, samples } =
        decode_av1_still(&data.primary_item, StillFormat::Rgba, limit)?;
    let mut image = RgbaImage::from_raw(width, height, samples).ok_or("it is not whole")?;
    let Some(alpha) = &data.alpha_item else { return Ok(image) };
    let alpha = decode_av1_still(alpha, StillFormat::Gray, limit)?;
    if (alpha.width, alpha.height) != (width, height) {
        return Err("its alpha has another size than its colours".to_owned());
    }
    for (pixel, alpha) in image.pixels_mut().zip(alpha.samples) {
        *pixel = with_alpha(*pixel, alpha, data.premultiplied_alpha);
    }
    Ok(image)
}

/// A colour, which may be multiplied by this alpha, with it.
fn with_alpha(Rgba([r, g, b, _]): Rgba<u8>, alpha: u8, is_multiplied: bool) -> Rgba<u8> {
    let divided = |color: u8| {
        let whole = (u32::from(color) * 255 + u32::from(alpha) / 2) / u32::from(alpha.max(1));
        u8::try_from(whole).unwrap_or(255)
    };
    let [r, g, b] = if is_multiplied { [r, g, b].map(divided) } else { [r, g, b] };
    Rgba([r, g, b, alpha])
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// An AVIF of ffmpeg's: three colours beside each other.
    fn avif(options: &str) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.avif");
        let boxes = "color=red:s=96x64,format=gbrp,drawbox=32:0:32:64:0x00ff00:fill,\
                     drawbox=64:0:32:64:white:fill";
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "lavfi", "-i", boxes, "-frames:v", "1"]);
        command.args(["-c:v", "libaom-av1", "-still-picture", "1", "-crf", "5"]);
        let done = command.args(options.split_whitespace()).arg(&path).output();
        let done = done.expect("these tests need the ffmpeg program");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(path).unwrap()
    }

    #[test]
    fn colours_are_as_the_file_has_them_in_any_range_depth_and_sampling() {
        for options in [
            "-pix_fmt yuv420p",
            "-vf scale=out_range=pc -pix_fmt yuv444p -color_range pc",
            "-pix_fmt yuv420p10le",
            "-vf scale=out_color_matrix=bt709:out_range=pc -pix_fmt yuv444p -colorspace bt709 \
             -color_range pc",
        ] {
            let bytes = avif(options);
            assert!(is_avif(&bytes));
            let image = read(&bytes[..], 96 * 64).unwrap();
            assert_eq!(image.dimensions(), (96, 64), "{options}");
            for (x, wanted) in [(16, [255, 0, 0]), (48, [0, 255, 0]), (80, [255, 255, 255])] {
                let Rgba([r, g, b, a]) = *image.get_pixel(x, 32);
                let near = [r, g, b].iter().zip(wanted).all(|(got, it)| got.abs_diff(it) <= 8);
                assert!(near && a == 255, "{options} {x}: {r} {g} {b} {a}");
            }
        }
    }

    #[test]
    fn what_is_larger_than_allowed_cut_off_or_no_picture_is_refused() {
        let bytes = avif("-pix_fmt yuv420p");
        let told = read(&bytes[..], 96 * 64 - 1).unwrap_err();
        assert!(told.contains("96x64"), "{told}");
        for end in [12, bytes.len() / 3, bytes.len() / 2, bytes.len() - 40] {
            assert!(read(&bytes[..end], 1 << 20).is_err(), "{end}");
        }
        let mut noise = bytes.clone();
        let at = bytes.len() - 60;
        noise[at..at + 20].fill(0xff);
        drop(read(&noise[..], 1 << 20));
    }

    #[test]
    fn a_file_with_alpha_has_it() {
        let color = avif_parse::read_avif(&mut &avif("-pix_fmt yuv444p")[..]).unwrap();
        let fade = "-vf geq=lum='255*lt(X,48)',format=gray -pix_fmt gray -color_range pc";
        let alpha = avif_parse::read_avif(&mut &avif(fade)[..]).unwrap();
        let parts = (&color.primary_item[..], Some(&alpha.primary_item[..]));
        let whole = avif_serialize::serialize_to_vec(parts.0, parts.1, 96, 64, 8);
        let image = read(&whole[..], 1 << 20).unwrap();
        let at = |x: u32| image.get_pixel(x, 32).0;
        assert!(at(16)[3] >= 250 && at(16)[0] >= 247, "{:?}", at(16));
        assert!(at(80)[3] <= 5 && at(80)[1] >= 247, "{:?}", at(80));
    }

    #[test]
    fn alpha_is_put_to_its_colours_which_may_be_multiplied_by_it() {
        let color = Rgba([100, 50, 0, 255]);
        assert_eq!(with_alpha(color, 128, false), Rgba([100, 50, 0, 128]));
        assert_eq!(with_alpha(color, 128, true), Rgba([199, 100, 0, 128]));
        assert_eq!(with_alpha(color, 0, true).0[3], 0);
    }
}
