//! Tests of MP4 files: FFmpeg reads them and tells what it finds.

use std::path::Path;
use std::process::Command;

use super::mp4::Mp4;
use super::tracks::{Track, Tracks};
use crate::media::Kind;
use crate::rtmp::flv::aac_header;

/// Lets FFmpeg make a file with one picture, and gives the codec's header and the picture.
pub(super) fn picture(dir: &Path, encoder: &str, header: &[u8; 4]) -> (Vec<u8>, Vec<u8>) {
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
pub(super) fn atom(file: &[u8], name: &[u8; 4]) -> Vec<u8> {
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
pub(super) fn bodies(first: [&[u8]; 2], parts: &(Vec<u8>, Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
    ([first[0], &parts.0].concat(), [first[1], &parts.1].concat())
}

/// Tracks with these headers, each with its kind and number.
fn tracks(headers: &[(Kind, u8, &[u8])]) -> Tracks {
    let mut tracks = Tracks::default();
    for (kind, id, body) in headers {
        tracks.set(Track::of_header(*kind, *id, body).expect("a header"));
    }
    tracks
}

pub(super) fn asc() -> Vec<u8> {
    [&aac_header(true)[..], &[0x11, 0x90]].concat()
}

fn check(encoder: &str, header: &[u8; 4], first: [&[u8]; 2], name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (header, key) = bodies(first, &picture(dir.path(), encoder, header));
    let audio = [&aac_header(false)[..], &[0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c]].concat();
    let tracks = tracks(&[(Kind::Video, 0, &header), (Kind::Audio, 0, &asc())]);
    let mut file = Vec::new();
    let (mut mp4, left_out) = Mp4::begin(&tracks, &key, &mut file).unwrap();
    assert_eq!(left_out, None);
    for n in 0..10 {
        mp4.write(Kind::Video, n * 40, &key, &mut file);
        mp4.write(Kind::Audio, n * 40 + 1, &audio, &mut file);
        if n == 4 {
            mp4.flush(&mut file);
        }
    }
    // What a node that is killed leaves: everything up to the last flush.
    let half = probed(dir.path(), &file);
    assert!(half.contains(&format!("{name},320,180,")), "{half}");
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
    let refused = |tracks: &Tracks| Mp4::begin(tracks, &[0x12, 0], &mut Vec::new()).unwrap_err();
    for (kind, body, name) in [
        (Kind::Video, &b"\x14vp6"[..], "VP6"),
        (Kind::Video, b"\x12sorenson", "H263"),
        (Kind::Audio, b"\x7fg711", "G.711"),
        (Kind::Audio, b"\x82g711", "G.711"),
        (Kind::Audio, b"\xb2speex", "Speex"),
        (Kind::Audio, b"\x3fpcm", "PCM"),
        (Kind::Audio, b"\x1fadpcm", "ADPCM"),
        (Kind::Audio, b"\x2fmp3", "MP3"),
        (Kind::Audio, b"\x6fnelly", "Nellymoser"),
    ] {
        let mut tracks = Tracks::default();
        tracks.set(Track::of_frame(kind, body).unwrap());
        let text = refused(&tracks);
        assert!(text.starts_with(name) && text.ends_with("or record FLV"), "{text}");
    }
    for broken in [&[0xaf, 0, 0xff][..], &[0x17, 0, 0, 0, 0, 1], b"\x90OpusOpusHead\x01"] {
        let kind = if broken[0] == 0x17 { Kind::Video } else { Kind::Audio };
        refused(&tracks(&[(kind, 0, broken)]));
    }
}

/// Track, presentation and decoding time in milliseconds.
type Packet = (String, i64, i64);

/// Packets of a file, as ffprobe reads them without a complaint.
fn packets(dir: &Path, file: &[u8]) -> Vec<Packet> {
    let path = dir.join("ours.mp4");
    std::fs::write(&path, file).unwrap();
    let entries = "-v warning -show_entries packet=stream_index,pts_time,dts_time -of \
                   csv=print_section=0";
    let out = Command::new("ffprobe").args(entries.split_whitespace()).arg(&path).output().unwrap();
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    // All have six decimals.
    let millis = |text: &str| {
        let micros: i64 = text.replace('.', "").parse().unwrap();
        micros / 1_000
    };
    let packet = |row: &str| {
        let fields: Vec<_> = row.split(',').collect();
        (fields[0].to_owned(), millis(fields[1]), millis(fields[2]))
    };
    String::from_utf8(out.stdout).unwrap().lines().map(packet).collect()
}

#[test]
fn every_time_is_in_the_file_as_it_was_published() {
    let dir = tempfile::tempdir().unwrap();
    let first = [&[0x17, 0, 0, 0, 0][..], &[0x17, 1, 0, 0, 80]];
    let (header, key) = bodies(first, &picture(dir.path(), "libx264", b"avcC"));
    let tracks = tracks(&[(Kind::Video, 0, &header), (Kind::Audio, 0, &asc())]);
    let audio = [&aac_header(false)[..], &[0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c]].concat();
    // Audio begins late, pauses in the middle, and there are B-frames, a rate that changes, steps
    // of a millisecond and of nothing.
    let mut file = Vec::new();
    let (mut mp4, _) = Mp4::begin(&tracks, &key, &mut file).unwrap();
    let (mut given, mut dts) = (Vec::new(), 0_u32);
    for n in 0..400_u32 {
        let is_key = n % 25 == 0;
        let later = [80, 160, 80, 0, 40][n as usize % 5];
        let mut body = key.clone();
        body[0] = if is_key { 0x17 } else { 0x27 };
        body[4] = u8::try_from(later).unwrap();
        mp4.write(Kind::Video, dts, &body, &mut file);
        given.push(("0".to_owned(), i64::from(dts + later), i64::from(dts)));
        if (60..200).contains(&n) || n > 300 {
            let at = dts + 7;
            mp4.write(Kind::Audio, at, &audio, &mut file);
            given.push(("1".to_owned(), at.into(), at.into()));
        }
        if n % 24 == 0 {
            mp4.flush(&mut file);
        }
        dts += [40, 33, 34, 1, 20, 0, 900][n as usize % 7];
    }
    mp4.end(&mut file);
    let (offset, length) = mp4.length();
    let at = usize::try_from(offset).unwrap();
    file[at..at + length.len()].copy_from_slice(&length);
    let found = packets(dir.path(), &file);
    for track in ["0", "1"] {
        let of =
            |all: &[Packet]| all.iter().filter(|it| it.0 == track).cloned().collect::<Vec<_>>();
        let (found, given) = (of(&found), of(&given));
        assert_eq!(found.len(), given.len());
        let wrong = found.iter().zip(&given).find(|(found, given)| found != given);
        assert_eq!(wrong, None, "as it is in the file, and as it was published");
    }
}

#[test]
fn times_that_stand_still_or_go_back_break_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = [&[0x17, 0, 0, 0, 0][..], &[0x17, 1, 0, 0, 0]];
    let (header, key) = bodies(first, &picture(dir.path(), "libx264", b"avcC"));
    let mut file = Vec::new();
    let tracks = tracks(&[(Kind::Video, 0, &header)]);
    let (mut mp4, _) = Mp4::begin(&tracks, &key, &mut file).unwrap();
    for ms in [0, 0, 100, 50, 100_000, 2] {
        mp4.write(Kind::Video, ms, &key, &mut file);
        mp4.write(Kind::Video, ms, &[0x27], &mut file);
        mp4.write(Kind::Audio, ms, &[0xaf, 1, 1], &mut file);
        mp4.write(Kind::Data, ms, b"data", &mut file);
        mp4.flush(&mut file);
    }
    mp4.end(&mut file);
    let found = probed(dir.path(), &file);
    assert!(found.contains("h264,320,180,6"), "{found}");
}

#[test]
fn further_audio_is_in_the_file_and_further_pictures_are_left_out_with_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let first = [&[0x17, 0, 0, 0, 0][..], &[0x17, 1, 0, 0, 0]];
    let (header, key) = bodies(first, &picture(dir.path(), "libx264", b"avcC"));
    let second = [b"\x95\0mp4a\x01", &[0x12, 0x08][..]].concat();
    let camera = [b"\x96\0avc1\x01", &header[5..]].concat();
    let headers: [(Kind, u8, &[u8]); 4] = [
        (Kind::Video, 0, &header),
        (Kind::Audio, 0, &asc()),
        (Kind::Audio, 1, &second),
        (Kind::Video, 1, &camera),
    ];
    let mut file = Vec::new();
    let (mut mp4, left_out) = Mp4::begin(&tracks(&headers), &key, &mut file).unwrap();
    let text = left_out.unwrap();
    assert!(text.contains("track 1") && text.contains("record FLV"), "{text}");
    for ms in [0, 40, 80] {
        mp4.write(Kind::Video, ms, &key, &mut file);
        let (stereo, mono) = ([0x21, 0x10, 4, 0x60, 0x8c, 0x1c], [0, 0xc8, 0, 0x80, 0x23, 0x80]);
        mp4.write(Kind::Audio, ms, &[&aac_header(false)[..], &stereo].concat(), &mut file);
        mp4.write(Kind::Audio, ms, &[b"\x95\x01mp4a\x01", &mono[..]].concat(), &mut file);
    }
    mp4.end(&mut file);
    let found = probed(dir.path(), &file);
    assert!(found.contains("aac,48000,2,3") && found.contains("aac,44100,1,3"), "{found}");
}
