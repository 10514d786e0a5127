//! SVG pictures: drawn at the size that they are shown at, so that they are sharp at any.

use std::sync::Arc;

use image::{Rgba, RgbaImage};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, Options, Tree, fontdb};

/// Largest SVG file.
const FILE_BYTES_MAX: usize = 8 << 20;

/// Whether a file begins as an SVG does.
pub(super) fn is_svg(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    head.starts_with(b"<svg") || head.starts_with(b"<?xml") || head.starts_with(b"<!DOCTYPE svg")
}

/// An SVG, and its size as its author has it, whole pixels.
pub(super) struct Svg {
    tree: Tree,
    pub(super) size: (u32, u32),
}

impl Svg {
    /// Pictures in other files are left out.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(format!("an SVG has at most {} MiB", FILE_BYTES_MAX >> 20));
        }
        // It must not reach for files of this machine.
        let image_href_resolver = ImageHrefResolver {
            resolve_data: ImageHrefResolver::default_data_resolver(),
            resolve_string: Box::new(|_, _| None),
        };
        let mut options = Options { image_href_resolver, ..Options::default() };
        if bytes.windows(5).any(|piece| piece == b"<text") {
            options.fontdb = Arc::new(fonts());
            options.font_family = "Inter".to_owned();
        }
        let tree = Tree::from_data(bytes, &options).map_err(|error| error.to_string())?;
        let whole = |length: f32| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates"
            )]
            let whole = length.round() as u32;
            whole.max(1)
        };
        let size = (whole(tree.size().width()), whole(tree.size().height()));
        Ok(Self { tree, size })
    }

    /// The picture, so wide and high.
    pub(super) fn draw(&self, w: u32, h: u32) -> Result<RgbaImage, String> {
        let mut pixels = Pixmap::new(w, h).ok_or_else(|| format!("it cannot be {w}x{h}"))?;
        #[expect(clippy::cast_precision_loss, reason = "sides of pictures are small")]
        let (x, y) = (w as f32 / self.tree.size().width(), h as f32 / self.tree.size().height());
        resvg::render(&self.tree, Transform::from_scale(x, y), &mut pixels.as_mut());
        let straight = pixels.pixels().iter().map(|pixel| {
            let color = pixel.demultiply();
            Rgba([color.red(), color.green(), color.blue(), color.alpha()])
        });
        let mut image = RgbaImage::new(w, h);
        image.pixels_mut().zip(straight).for_each(|(pixel, color)| *pixel = color);
        Ok(image)
    }
}

/// The font inside the program and those of this machine.
fn fonts() -> fontdb::Database {
    let mut fonts = fontdb::Database::new();
    fonts.load_system_fonts();
    for data in crate::scene::fonts::INTER {
        fonts.load_font_data(data.to_vec());
    }
    fonts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10">
        <rect width="10" height="10" fill="#ff0000"/>
        <circle cx="15" cy="5" r="4" fill="#0000ff" fill-opacity="0.5"/>
        <text x="1" y="9" font-size="8" fill="#ffffff">I</text></svg>"##;

    #[test]
    fn it_is_drawn_at_the_size_that_is_asked_for() {
        assert!(
            is_svg(LOGO.as_bytes()) && is_svg(b"\n<?xml version=\"1.0\"?>") && !is_svg(b"\x89PNG")
        );
        let svg = Svg::read(LOGO.as_bytes()).unwrap();
        assert_eq!(svg.size, (20, 10));
        let large = svg.draw(200, 100).unwrap();
        assert_eq!(large.get_pixel(98, 2).0, [255, 0, 0, 255], "sharp up to its edge");
        assert_eq!(large.get_pixel(101, 2).0[3], 0);
        let [r, g, b, a] = large.get_pixel(150, 50).0;
        assert!(r == 0 && g == 0 && b > 250 && (126..=129).contains(&a), "{r} {g} {b} {a}");
        let white = large.enumerate_pixels().filter(|(.., pixel)| pixel.0 == [255; 4]).count();
        assert!(white > 50, "its letters are drawn: {white}");
    }

    #[test]
    fn it_reaches_for_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.png");
        RgbaImage::from_pixel(8, 8, Rgba([255; 4])).save(&path).unwrap();
        let text = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><image href="{}" width="8" height="8"/></svg>"#,
            path.display()
        );
        let image = Svg::read(text.as_bytes()).unwrap().draw(8, 8).unwrap();
        assert!(image.pixels().all(|pixel| pixel.0[3] == 0));
    }

    #[test]
    fn what_is_no_svg_is_told() {
        for text in [
            "<svg",
            "<?xml version=\"1.0\"?><html/>",
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"0\"/>",
        ] {
            assert!(Svg::read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Svg::read(&vec![b' '; FILE_BYTES_MAX + 1]).is_err());
    }
}
