//! What FFmpeg finds in our MP4 files.

use std::path::Path;
use std::process::Command;

use super::mp4::{Beginning, Mp4};
use crate::media::Kind;
use crate::rtmp::flv::aac_header;

/// Lets FFmpeg make a file with one picture, and gives the codec's header and the picture.
fn picture(dir: &Path, encoder: &str, header: &[u8; 4]) -> (Vec<u8>, Vec<u8>) {
    let file = dir.join("one.mp4");
    let line = "-v error -y -f lavfi -i testsrc2=s=320x180:r=25 -frames:v 1 -pix_fmt yuv420p";
    let status = Command::new("ffmpeg")
        .args(line.split(' '))
        .args(["-c:v", encoder])
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success(), "{encoder}");
    let bytes = std::fs::read(file).unwrap();
    (atom(&bytes, header), atom(&bytes, b"mdat"))
}

/// What is in the box of this name.
fn atom(file: &[u8], name: &[u8; 4]) -> Vec<u8> {
    let at = file.windows(4).position(|four| four == name).expect("the box");
    let size = u32::from_be_bytes(*file[at - 4..].first_chunk().unwrap());
    file[at + 4..at - 4 + usize::try_from(size).unwrap()].to_vec()
}

/// What ffprobe says about a file.
fn probed(dir: &Path, file: &[u8]) -> String {
    let path = dir.join("ours.mp4");
    std::fs::write(&path, file).unwrap();
    let entries = "-v error -count_packets -show_entries \
                   stream=codec_name,width,height,sample_rate,channels,nb_read_packets -of csv";
    let out = Command::new("ffprobe").args(entries.split_whitespace()).arg(&path).output().unwrap();
    assert!(
        out.status.success() && out.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

/// Bodies of messages: the header and the keyframe, after these first bytes.
fn bodies(first: [&[u8]; 2], parts: &(Vec<u8>, Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
    ([first[0], &parts.0].concat(), [first[1], &parts.1].concat())
}

fn check(encoder: &str, header: &[u8; 4], first: [&[u8]; 2], name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (header, key) = bodies(first, &picture(dir.path(), encoder, header));
    let audio = [&aac_header(true)[..], &[0x11, 0x90]].concat();
    let sound = [&aac_header(false)[..], &[0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c]].concat();
    let beginning = Beginning { video: Some(&header), audio: Some(&audio), first: &key };
    let mut mp4 = Mp4::begin(beginning).unwrap();
    let mut file = Vec::new();
    for n in 0..10 {
        mp4.write(Kind::Video, n * 40, &key);
        mp4.write(Kind::Audio, n * 40 + 1, &sound);
        mp4.take(n == 4, &mut file);
    }
    // What a node that is killed leaves: everything up to the last flush.
    let half = probed(dir.path(), &file);
    assert!(half.contains(&format!("{name},320,180,")), "{half}");
    mp4.take(true, &mut file);
    mp4.end(&mut file);
    let whole = probed(dir.path(), &file);
    assert!(whole.contains(&format!("{name},320,180,10")), "{whole}");
    assert!(whole.contains("aac,48000,2,10"), "{whole}");
}

#[test]
fn h264_and_aac_are_found_with_their_size_and_every_packet() {
    let first = [&[0x17, 0, 0, 0, 0][..], &[0x17, 1, 0, 0, 0]];
    check("libx264", b"avcC", first, "h264");
}

#[test]
fn hevc_is_found_with_its_size_and_every_packet() {
    check("libx265", b"hvcC", [b"\x90hvc1", b"\x93hvc1"], "hevc");
}

#[test]
fn av1_is_found_with_its_size_and_every_packet() {
    check("libaom-av1", b"av1C", [b"\x90av01", b"\x91av01"], "av1");
}

#[test]
fn a_codec_that_has_no_place_is_refused_with_what_to_do() {
    let beginning = Beginning { video: Some(&[0x12, 0]), audio: None, first: &[0x12, 0] };
    let text = Mp4::begin(beginning).unwrap_err();
    assert!(text.contains("record FLV"), "{text}");
    let short = Beginning { video: Some(&[]), audio: None, first: &[] };
    assert!(Mp4::begin(short).is_err());
    let none = Beginning { video: None, audio: Some(&[0xaf, 0, 0xff]), first: &[] };
    assert!(Mp4::begin(none).is_err());
}

#[test]
fn times_that_stand_still_or_go_back_break_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = [&[0x17, 0, 0, 0, 0][..], &[0x17, 1, 0xff, 0xff, 0xff]];
    let (header, key) = bodies(first, &picture(dir.path(), "libx264", b"avcC"));
    let mut mp4 = Mp4::begin(Beginning { video: Some(&header), audio: None, first: &key }).unwrap();
    for ms in [0, 0, 100, 50, 100_000, 2] {
        mp4.write(Kind::Video, ms, &key);
        mp4.write(Kind::Video, ms, &[0x27]);
        mp4.write(Kind::Audio, ms, &[0xaf, 1, 1]);
        mp4.write(Kind::Data, ms, b"data");
    }
    let mut file = Vec::new();
    mp4.end(&mut file);
    let found = probed(dir.path(), &file);
    assert!(found.contains("h264,320,180,6"), "{found}");
}
