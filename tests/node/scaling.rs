//! Scaling of renditions next to that of ffmpeg.

use std::path::Path;

use stream_manager::internals::{Damage, Geometry, Level, Pool, Scaler};
use stream_manager::media::{PixelFormat, Size};

use crate::program::Program;
use crate::wait::SOON;

/// The canvas.
const CANVAS: (u32, u32) = (1_280, 720);

/// A picture in planar 4:2:0 as ffmpeg writes it.
struct Raw {
    size: (u32, u32),
    bytes: Vec<u8>,
}

impl Raw {
    /// What ffmpeg makes of an input, at this size, by a scaler with these flags.
    fn by_ffmpeg(dir: &Path, input: &str, size: (u32, u32), flags: &str) -> Self {
        let file = dir.join("out.yuv");
        let scale =
            format!("scale={}:{}:flags={flags}+accurate_rnd,format=yuv420p", size.0, size.1);
        let arguments = format!("-v error -y {input} -frames:v 1 -vf {scale} -f rawvideo");
        Program::start("ffmpeg", &arguments, &[file.to_str().unwrap()]).succeeds(SOON);
        Self { size, bytes: std::fs::read(file).unwrap() }
    }

    /// The same of this picture.
    fn scaled(&self, dir: &Path, size: (u32, u32), flags: &str) -> Self {
        let file = dir.join("in.yuv");
        std::fs::write(&file, &self.bytes).unwrap();
        let (width, height) = self.size;
        let input =
            format!("-f rawvideo -pix_fmt yuv420p -s {width}x{height} -i {}", file.display());
        Self::by_ffmpeg(dir, &input, size, flags)
    }

    /// The same as the node scales it.
    fn by_node(&self, to: (u32, u32)) -> Self {
        let size = |(width, height)| Size::new(width, height).unwrap();
        let pool = |of| Pool::new(Geometry::new(size(of), PixelFormat::I420), 1).unwrap();
        let mut canvas = pool(self.size).take().unwrap();
        let mut rest = &self.bytes[..];
        for plane in canvas.planes_mut() {
            for row in plane.data.chunks_mut(plane.stride) {
                let (own, after) = rest.split_at(plane.width);
                row[..plane.width].copy_from_slice(own);
                rest = after;
            }
        }
        let mut scaler = Scaler::new(size(self.size), size(to), Level::best());
        scaler.change(&Damage::whole(size(self.size)));
        let frame = scaler.scale(&canvas.freeze(), &pool(to)).unwrap();
        let planes = frame.geometry().planes().iter().enumerate();
        let rows = planes.flat_map(|(index, plane)| {
            frame.plane(index).chunks(plane.stride).flat_map(|row| &row[..plane.width])
        });
        Self { size: to, bytes: rows.copied().collect() }
    }

    /// Peak signal-to-noise ratio, decibels.
    fn psnr(&self, other: &Self) -> f64 {
        assert_eq!(self.bytes.len(), other.bytes.len());
        let square = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
        let sum: f64 = self.bytes.iter().zip(&other.bytes).map(square).sum();
        10.0 * (255.0_f64.powi(2) * self.bytes.len() as f64 / sum.max(1e-9)).log10()
    }
}

#[test]
fn a_rendition_looks_as_ffmpegs_area_scaler_makes_it_and_keeps_as_much_as_its_bicubic_one() {
    let dir = tempfile::TempDir::new().unwrap();
    let source =
        format!("-f lavfi -i testsrc2=s={}x{},noise=alls=8:all_seed=3", CANVAS.0, CANVAS.1);
    let canvas = Raw::by_ffmpeg(dir.path(), &source, CANVAS, "bicubic");
    for size in [(854, 480), (640, 360), (426, 240), (256, 144)] {
        let ours = canvas.by_node(size);
        let [area, bicubic] =
            ["area", "bicubic"].map(|flags| canvas.scaled(dir.path(), size, flags));
        // How much is left of the canvas when it is made as large again.
        let kept = |of: &Raw| of.scaled(dir.path(), CANVAS, "bicubic").psnr(&canvas);
        let (like, own, other) = (ours.psnr(&area), kept(&ours), kept(&bicubic));
        assert!(like > 40.0, "{size:?}: {like:.1} dB from ffmpeg's area scaler");
        assert!(own > other - 1.0, "{size:?}: {own:.2} dB are kept, by bicubic {other:.2}");
    }
}
