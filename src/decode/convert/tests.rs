//! Scaled pictures next to those of libswscale and to the exact result; and pictures that are shown
//! as they are, which were decoded into their frames.

use std::process::Command;

use super::*;
use crate::decode::QUEUE_PICTURES;
use crate::decode::av::{Received, Setup};
use crate::decode::deinterlace::{self, comb};
use crate::decode::demux::{Demuxer, Which};
use crate::decode::resize::SourcePlane;
use crate::decode::tests::ffmpeg;
use crate::frame::PlaneMut;

/// A picture of this size as a decoder gives it, in BT.709.
fn picture(width: i32, height: i32, luma: impl Fn(i32, i32) -> u8) -> Decoded {
    let mut picture = Decoded::new().unwrap();
    let raw = picture.raw_mut();
    (raw.width, raw.height, raw.format) = (width, height, ffi::AV_PIX_FMT_YUV420P);
    raw.colorspace = ffi::AVCOL_SPC_BT709;
    // SAFETY: an empty frame of ours whose size and format are set.
    assert!(unsafe { ffi::av_frame_get_buffer(raw, 0) } >= 0);
    for index in 0..3 {
        let coarse = i32::from(index > 0);
        let (w, h) = ((width + coarse) >> coarse, (height + coarse) >> coarse);
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let value = luma((x << coarse) + 7 * coarse, y << coarse);
            let at = isize::try_from(y * raw.linesize[index] + x).unwrap();
            // SAFETY: the plane has so many rows, each so long.
            unsafe { *raw.data[index].offset(at) = value };
        }
    }
    picture
}

/// What television is made of: edges of text and lines, soft shades, stripes that get finer.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn scenery(x: i32, y: i32) -> u8 {
    let (fx, fy) = (f64::from(x), f64::from(y));
    let shade = 120.0 + 60.0 * (fx / 97.0).sin() * (fy / 71.0).cos();
    let rings = 30.0 * ((fx * fx + fy * fy) / 9_000.0).sin();
    let letters = if (x / 11 + y / 17) % 5 == 0 && x % 11 < 4 { 60.0 } else { 0.0 };
    (shade + rings + letters).clamp(16.0, 235.0) as u8
}

fn scaled(picture: &Decoded, to: Size, is_ours: bool) -> FrozenFrame {
    let geometry = Geometry::new(to, PixelFormat::I420);
    let mut frame = Pool::new(geometry, 1).unwrap().take().unwrap();
    let look = Look::of(picture);
    if is_ours {
        let sides = look.sides().unwrap();
        PlaneScaler::new(sides, &geometry, None)
            .run(&picture.planes().unwrap(), &mut frame)
            .unwrap();
    } else {
        Scaler::new(look, to, ffi::AV_PIX_FMT_YUV420P).unwrap().run(picture, &mut frame).unwrap();
    }
    frame.freeze()
}

/// Weights of a Lanczos filter of three lobes, in numbers that are not rounded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places of samples")]
fn lanczos(from: usize, to: usize, n: usize) -> Vec<(usize, f64)> {
    let step = from as f64 / to as f64;
    let (centre, wide) = ((n as f64 + 0.5) * step - 0.5, step.max(1.0));
    let sinc = |x: f64| {
        let x = x * std::f64::consts::PI;
        if x.abs() < 1e-9 { 1.0 } else { x.sin() / x }
    };
    let begin = (centre - 3.0 * wide).ceil();
    let taps = (0..=(6.0 * wide).ceil() as usize).map(|tap| begin + tap as f64);
    let weigh = |at: f64| {
        let x = (at - centre) / wide;
        (at, if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 })
    };
    let taps: Vec<_> = taps.map(weigh).collect();
    let all: f64 = taps.iter().map(|(_, weight)| weight).sum();
    let last = from as f64 - 1.0;
    taps.into_iter().map(|(at, weight)| (at.clamp(0.0, last) as usize, weight / all)).collect()
}

/// The exact result, plane by plane.
fn reference(picture: &Decoded, to: Size) -> [Vec<f64>; 3] {
    let mut planes = picture.planes().unwrap().into_iter().enumerate().map(|(index, plane)| {
        let coarse = index.min(1);
        let (w, h) = (to.width() as usize >> coarse, to.height() as usize >> coarse);
        let columns: Vec<_> = (0..w).map(|n| lanczos(plane.width, w, n)).collect();
        let wide: Vec<Vec<f64>> = (0..plane.rows)
            .map(|y| {
                let row = &plane.data[y * plane.stride..][..plane.width];
                let sum = |taps: &Vec<(usize, f64)>| {
                    taps.iter().map(|(at, weight)| f64::from(row[*at]) * weight).sum()
                };
                columns.iter().map(sum).collect()
            })
            .collect();
        let rows: Vec<_> = (0..h).map(|n| lanczos(plane.rows, h, n)).collect();
        let sum = |y: usize, x: usize| -> f64 {
            rows[y].iter().map(|(at, weight)| wide[*at][x] * weight).sum()
        };
        (0..h).flat_map(|y| (0..w).map(move |x| (y, x))).map(|(y, x)| sum(y, x)).collect()
    });
    [0, 1, 2].map(|_| planes.next().unwrap())
}

/// Mean square error of each plane as a signal-to-noise ratio, decibels.
fn psnr(frame: &FrozenFrame, reference: &[Vec<f64>; 3]) -> [f64; 3] {
    [0, 1, 2].map(|index: usize| {
        let plane = frame.geometry().planes()[index];
        let samples = frame.plane(index).chunks(plane.stride).take(plane.rows);
        let samples = samples.flat_map(|row| &row[..plane.width]);
        let errors = samples
            .zip(&reference[index])
            .map(|(have, want)| (f64::from(*have) - want.clamp(0.0, 255.0)).powi(2));
        let mean = errors.sum::<f64>() / reference[index].len() as f64;
        10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
    })
}

#[test]
fn pictures_are_scaled_at_least_as_well_as_by_swscale() {
    let cases = [
        ((640, 360), (480, 270), 45.0),
        ((640, 360), (320, 180), 45.0),
        ((640, 360), (212, 120), 45.0),
        ((320, 180), (640, 360), 45.0),
        ((321, 181), (500, 96), 45.0),
        ((640, 360), (640, 200), 45.0),
    ];
    for ((w, h), (to_w, to_h), least) in cases {
        let (picture, to) = (picture(w, h, scenery), Size::new(to_w, to_h).unwrap());
        let exact = reference(&picture, to);
        let [ours, theirs] =
            [true, false].map(|is_ours| psnr(&scaled(&picture, to, is_ours), &exact));
        for (plane, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
            assert!(
                ours >= theirs && ours >= least,
                "{w}x{h} to {to}, plane {plane}: {ours:.2} dB, libswscale {theirs:.2}"
            );
        }
    }
}

#[test]
fn an_even_picture_has_the_same_value_everywhere_at_every_size() {
    for value in [16, 81, 235] {
        let picture = picture(99, 55, |_, _| value);
        for (w, h) in [(16, 16), (98, 54), (640, 360)] {
            let frame = scaled(&picture, Size::new(w, h).unwrap(), true);
            for (index, plane) in frame.geometry().planes().iter().enumerate() {
                for row in frame.plane(index).chunks(plane.stride).take(plane.rows) {
                    assert!(row[..plane.width].iter().all(|sample| *sample == value));
                }
            }
        }
    }
}

/// All pictures of a file by this converter, and how many of its frames the decoder held at most.
fn decode(path: &std::path::Path, threads: u32) -> (Vec<FrozenFrame>, u32) {
    let mut demuxer = Demuxer::open(path).unwrap();
    let index = demuxer.best(Which::Pictures).unwrap();
    let setup = Setup {
        threads,
        slices_only: false,
        low_delay: false,
        pixels_max: 1 << 24,
        keeps_alpha: false,
    };
    let mut decoder = demuxer.decoder(index, setup).unwrap();
    let queue = Box::new(|_| QUEUE_PICTURES);
    let mut converter = Converter::new(Box::new(|size| size), PixelFormat::I420, queue);
    let (mut frames, mut held) = (Vec::new(), 0);
    loop {
        match decoder.receive().unwrap() {
            Received::Frame => {
                frames.push(converter.convert(&decoder).unwrap().expect("the pool has room"));
                held = held.max(decoder.memory().held());
            }
            Received::Hungry => match demuxer.read().unwrap() {
                Some(mut packet) => decoder.send(Some(&mut packet)).unwrap(),
                None => decoder.send(None).unwrap(),
            },
            Received::End => return (frames, held),
        }
    }
}

/// The pictures of a file in I420, one after another, as ffmpeg decodes them.
fn as_ffmpeg_has_it(path: &std::path::Path) -> Vec<u8> {
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .output();
    decoded.unwrap().stdout
}

/// Pictures in I420, of which each is of two fields and the lower comes first, made whole one after
/// another.
fn made_whole(raw: &[u8], (width, height): (usize, usize)) -> Vec<u8> {
    let (luma, chroma) = (width * height, width * height / 4);
    let sides = [(width, height), (width / 2, height / 2), (width / 2, height / 2)];
    let planes = |n: usize| {
        let picture = &raw[n * (luma + 2 * chroma)..][..luma + 2 * chroma];
        [0, 1, 2].map(|index| {
            let (width, rows) = sides[index];
            let data = &picture[[0, luma, luma + chroma][index]..][..width * rows];
            SourcePlane { data, stride: width, width, rows }
        })
    };
    let mut whole = raw.to_vec();
    for (n, picture) in whole.chunks_mut(luma + 2 * chroma).enumerate() {
        let (y, rest) = picture.split_at_mut(luma);
        let (cb, cr) = rest.split_at_mut(chroma);
        let mut target = [y, cb, cr].into_iter().zip(sides).map(|(data, (width, rows))| PlaneMut {
            data,
            stride: width,
            width,
            rows,
        });
        let target = std::array::from_fn(|_| target.next().unwrap());
        let before = n.checked_sub(1).map(planes);
        deinterlace::whole(target, &planes(n), before.as_ref(), false);
    }
    whole
}

#[test]
fn pictures_that_are_shown_as_they_are_were_decoded_into_their_frames() {
    let dir = tempfile::tempdir().unwrap();
    let h264 = "-c:v libx264 -bf 2 -refs 4 -qp 20";
    let cases = [
        ("plain.mp4", h264, "1280x720", true),
        ("cropped.mp4", h264, "320x180", true),
        ("fields.mp4", "-c:v libx264 -flags +ildct+ilme -qp 20", "640x400", true),
        ("hevc.mp4", "-c:v libx265 -x265-params log-level=none -qp 20", "640x360", true),
        ("narrow.mp4", h264, "448x252", true),
        ("other.mkv", "-c:v mpeg4 -q:v 3", "640x360", false),
    ];
    for ((name, codec, size, is_direct), threads) in
        cases.into_iter().flat_map(|it| [(it, 1), (it, 2)])
    {
        let arguments =
            format!("-vf format=yuv420p -colorspace bt709 -color_range tv {codec} -frames:v 20");
        let path = ffmpeg(&dir, name, &arguments, &format!("testsrc2=s={size}:r=25"));
        let (frames, held) = decode(&path, threads);
        assert_eq!(held > 0, is_direct, "{name}: {held}");
        let raw = as_ffmpeg_has_it(&path);
        let (width, height) = size.split_once('x').unwrap();
        let sides = (width.parse().unwrap(), height.parse().unwrap());
        // Those of two fields, of which the lower comes first here, are made whole.
        let wanted = if name == "fields.mp4" { made_whole(&raw, sides) } else { raw };
        let mut raw = wanted.as_slice();
        assert_eq!(frames.len(), 20, "{name}");
        for (n, frame) in frames.iter().enumerate() {
            for (index, plane) in frame.geometry().planes().iter().enumerate() {
                for row in frame.plane(index).chunks(plane.stride).take(plane.rows) {
                    let (wanted, rest) = raw.split_at(plane.width);
                    assert!(row[..plane.width] == *wanted, "{name}, {threads}: {n} plane {index}");
                    raw = rest;
                }
            }
        }
        assert!(raw.is_empty());
    }
}

#[test]
fn the_comb_of_pictures_of_two_fields_is_gone_and_what_is_no_comb_stays() {
    let dir = tempfile::tempdir().unwrap();
    let moving = "color=black:s=320x180:r=50,format=yuv420p";
    for (name, fields, codec) in [
        ("h264.mkv", true, "-c:v libx264 -flags +ildct+ilme -x264-params tff=1 -qp 10"),
        ("mpeg2.ts", true, "-c:v mpeg2video -flags +ildct+ilme -top 1 -q:v 2"),
        ("progressive.mkv", false, "-c:v libx264 -qp 10"),
    ] {
        let weave = if fields { "tinterlace=interleave_top," } else { "" };
        let bar = format!(
            "color=white:s=60x120:r=50[bar];{moving}[ground];[ground][bar]overlay=x=n*5:y=30,\
             {weave}format=yuv420p"
        );
        let path = ffmpeg(&dir, name, &format!("{codec} -frames:v 20"), &bar);
        let raw = as_ffmpeg_has_it(&path);
        let combs = |pictures: &mut dyn Iterator<Item = Vec<u8>>| -> u64 {
            pictures.map(|luma| comb(&luma, 320)).sum()
        };
        let (width, height) = (320, 180);
        let before = combs(
            &mut raw
                .chunks(width * height * 3 / 2)
                .map(|picture| picture[..width * height].to_vec()),
        );
        let (frames, _) = decode(&path, 1);
        let after = combs(&mut frames.iter().map(|frame| {
            let plane = frame.geometry().planes()[0];
            let rows = frame.plane(0).chunks(plane.stride).take(plane.rows);
            rows.flat_map(|row| row[..plane.width].to_vec()).collect()
        }));
        if fields {
            assert!(before > 1_000_000, "{name} has a comb: {before}");
            assert!(after * 50 < before, "{name}: {before} before, {after} after");
        } else {
            assert_eq!(before, after, "{name}");
        }
    }
}

#[test]
fn a_decoder_goes_on_when_frames_of_the_pool_are_all_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = "-colorspace bt709 -c:v libx264 -bf 2 -frames:v 60";
    let path = ffmpeg(&dir, "long.mp4", arguments, "testsrc2=s=640x360:r=25,format=yuv420p");
    let mut demuxer = Demuxer::open(&path).unwrap();
    let index = demuxer.best(Which::Pictures).unwrap();
    let setup = Setup {
        threads: 2,
        slices_only: false,
        low_delay: false,
        pixels_max: 1 << 24,
        keeps_alpha: false,
    };
    let mut decoder = demuxer.decoder(index, setup).unwrap();
    let mut converter = Converter::new(Box::new(|size| size), PixelFormat::I420, Box::new(|_| 2));
    let (mut seen, mut kept) = (0, Vec::new());
    loop {
        match decoder.receive().unwrap() {
            Received::Frame => {
                let frame = converter.convert(&decoder).unwrap().or_else(|| {
                    kept.clear();
                    converter.convert(&decoder).unwrap()
                });
                kept.push(frame.expect("there is room again"));
                seen += 1;
            }
            Received::Hungry => match demuxer.read().unwrap() {
                Some(mut packet) => decoder.send(Some(&mut packet)).unwrap(),
                None => decoder.send(None).unwrap(),
            },
            Received::End => break,
        }
    }
    drop(decoder);
    assert_eq!(seen, 60);
    // The frames outlive the decoder, and the decoder's the converter.
    drop(converter);
    assert!(!kept.is_empty() && kept.iter().all(|frame| frame.plane(0).len() >= 640 * 360));
}
