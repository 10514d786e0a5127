//! Tests of clips: FFmpeg reads them and tells what it finds.

use std::path::Path;
use std::process::Command;

use super::clip::{CLIP_HEAD_BYTES, Clip, ClipFault, clip_length_ms, write_clip};
use super::model::Input;
use super::mp4_tests::{asc, atom, bodies, picture};
use crate::media::Kind;
use crate::rtmp::flv::aac_header;

/// Time of the first message of [`stream`], shortly before the clock of 32 bits begins anew.
const BEGIN: u32 = u32::MAX - 900;

/// A frame of AAC-LC in stereo.
const SILENCE: [u8; 6] = [0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c];

fn input(kind: Kind, ms: u32, body: &[u8]) -> Input<'_> {
    let is_key = kind == Kind::Video && body[0] & 0x70 == 0x10;
    Input { kind, time: BEGIN.wrapping_add(ms), is_key, header: None, body }
}

/// Messages of a stream: each with its time, and its body.
struct Stream {
    header: Vec<u8>,
    asc: Vec<u8>,
    messages: Vec<(Kind, u32, Vec<u8>)>,
}

impl Stream {
    /// Seconds of 25 pictures, shown 80 ms after they are decoded, and as many frames of audio,
    /// with a keyframe each second.
    fn new(dir: &Path, seconds: u32) -> Self {
        let first = [&[0x17, 0, 0, 0, 0][..], &[0x17, 1, 0, 0, 80]];
        let (header, key) = bodies(first, &picture(dir, "libx264", b"avcC"));
        let mut messages = Vec::new();
        for ms in (0..seconds * 1_000).step_by(40) {
            let mut picture = key.clone();
            picture[0] = if ms % 1_000 == 0 { 0x17 } else { 0x27 };
            messages.push((Kind::Video, ms, picture));
            messages.push((Kind::Audio, ms + 7, [&aac_header(false)[..], &SILENCE].concat()));
        }
        Self { header, asc: asc(), messages }
    }

    fn inputs(&self) -> Vec<Input<'_>> {
        let header = |kind, body| Input { time: 0, header: Some(0), ..input(kind, 0, body) };
        let headers = [header(Kind::Video, &*self.header), header(Kind::Audio, &*self.asc)];
        let messages = self.messages.iter().map(|(kind, ms, body)| input(*kind, *ms, body));
        headers.into_iter().chain(messages).collect()
    }

    fn clip(&self, wanted_ms: u32) -> (Vec<u8>, Clip) {
        let mut file = Vec::new();
        let clip = write_clip(&self.inputs(), BEGIN.wrapping_add(wanted_ms), &mut file).unwrap();
        (file, clip)
    }
}

/// What ffprobe tells of a file's packets without a complaint.
fn probed(dir: &Path, file: &[u8], entries: &str) -> Vec<String> {
    let path = dir.join("clip.mp4");
    std::fs::write(&path, file).unwrap();
    let line = format!("-v warning -show_entries {entries} -of csv=print_section=0");
    let out = Command::new("ffprobe").args(line.split(' ')).arg(&path).output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && told.is_empty(), "{told}");
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_clip_has_its_index_first_and_every_frame_as_it_was_published() {
    let dir = tempfile::tempdir().unwrap();
    let stream = Stream::new(dir.path(), 3);
    let (file, clip) = stream.clip(0);
    let place = |name: &[u8; 4]| file.windows(4).position(|four| four == name).unwrap();
    assert!(place(b"moov") < place(b"mdat"));
    assert_eq!((clip.bytes, clip.left_out), (file.len() as u64, None));
    let published: Vec<u8> = stream
        .messages
        .iter()
        .flat_map(|(kind, _, body)| body[if *kind == Kind::Video { 5 } else { 2 }..].to_vec())
        .collect();
    assert_eq!(atom(&file, b"mdat"), published);
    let packets = probed(dir.path(), &file, "packet=stream_index,pts_time,dts_time,flags");
    let of = |track: &str| packets.iter().filter(|line| line.starts_with(track)).count();
    assert_eq!((of("0,"), of("1,")), (75, 75));
    // The first picture is shown at 0, and the audio keeps its distance from it.
    let has = |begin: &str| packets.iter().any(|line| line.starts_with(begin));
    for packet in ["0,0.000000,-0.080000,", "0,1.040000,0.960000,", "1,0.927000,0.927000,"] {
        assert!(has(packet), "{packet} in {packets:?}");
    }
    // Every picture here is one that could be started at; those that were published so count.
    let keys = [[0, 0, 0, 0], [0, 0, 0, 3], [0, 0, 0, 1], [0, 0, 0, 26], [0, 0, 0, 51]];
    assert_eq!(atom(&file, b"stss"), keys.as_flattened());
}

#[test]
fn players_show_a_clip_from_the_time_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (file, clip) = Stream::new(dir.path(), 3).clip(480);
    assert_eq!(clip.length_ms, 3_000 + 80 - 480);
    assert_eq!(clip_length_ms(&file[..CLIP_HEAD_BYTES]), Some(clip.length_ms));
    assert_eq!(clip_length_ms(&file[1..=CLIP_HEAD_BYTES]), None);
    let packets = probed(dir.path(), &file, "packet=stream_index,pts_time,flags");
    let shown = |line: &&String| line.starts_with("0,") && !line.contains('D');
    let first = packets.iter().find(shown).unwrap();
    assert!(first.starts_with("0,0.000000,"), "{packets:?}");
}

#[test]
fn what_gives_no_clip_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut stream = Stream::new(dir.path(), 1);
    let refused = |stream: &Stream| match write_clip(&stream.inputs(), BEGIN, &mut Vec::new()) {
        Err(ClipFault::Unfit(text)) => text,
        other => panic!("{other:?}"),
    };
    stream.messages.remove(0);
    assert!(refused(&stream).contains("no keyframe"));
    stream.messages.clear();
    assert!(refused(&stream).contains("no keyframe"));
    stream.messages.push((Kind::Audio, 0, b"\x2fmp3".to_vec()));
    stream.header = b"\x14vp6".to_vec();
    assert!(refused(&stream).contains("record"), "{}", refused(&stream));
}

#[test]
fn a_stream_without_pictures_gives_a_clip_of_its_audio() {
    let dir = tempfile::tempdir().unwrap();
    let stream = Stream::new(dir.path(), 1);
    let inputs = stream.inputs();
    let audio: Vec<_> = inputs.into_iter().filter(|it| it.kind == Kind::Audio).collect();
    let mut file = Vec::new();
    let clip = write_clip(&audio, BEGIN.wrapping_add(207), &mut file).unwrap();
    assert_eq!(clip.length_ms, 800);
    let about = probed(dir.path(), &file, "stream=codec_name,nb_frames");
    assert_eq!(about, ["aac,25"]);
}

#[test]
fn a_header_that_changes_begins_the_clip_anew() {
    let dir = tempfile::tempdir().unwrap();
    let stream = Stream::new(dir.path(), 3);
    let other = [&aac_header(true)[..], &[0x12, 0x10]].concat();
    let mut inputs = stream.inputs();
    // In the middle of the second second: the third one is what is left.
    inputs.insert(80, Input { header: Some(0), ..input(Kind::Audio, 1_500, &other) });
    let mut file = Vec::new();
    let clip = write_clip(&inputs, BEGIN, &mut file).unwrap();
    assert_eq!(clip.length_ms, 1_000);
    let about = probed(dir.path(), &file, "stream=codec_name,sample_rate,nb_frames");
    assert_eq!(about, ["h264,25", "aac,44100,25"]);
}
