//! Tests of the recorder: when files begin and end, and what a full disk does to them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::disk::{Disk, Sink};
use super::flv;
use super::model::{Format, Input, Moment, RecordSpec};
use super::recorder::{AUDIO_ALONE_MS, Recorder};
use crate::event::NodeEvent;
use crate::media::{Kind, Micros};

/// A disk in memory, which can be full.
#[derive(Clone, Debug, Default)]
struct Memory(Rc<RefCell<Contents>>);

#[derive(Debug)]
struct Contents {
    files: BTreeMap<String, Vec<u8>>,
    /// Length of each file at its last sync.
    synced: BTreeMap<String, usize>,
    /// Bytes that may still be written before the disk is full.
    room: usize,
    /// Bytes that the disk says are free.
    free: u64,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            synced: BTreeMap::new(),
            room: usize::MAX,
            free: u64::MAX / 2,
        }
    }
}

#[derive(Debug)]
struct MemoryFile(Memory, String);

impl Disk for Memory {
    type File = MemoryFile;

    fn place(&self) -> String {
        "/memory".to_owned()
    }

    fn create(&mut self, name: &str) -> io::Result<MemoryFile> {
        let files = &mut self.0.borrow_mut().files;
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        files.insert(name.to_owned(), Vec::new());
        Ok(MemoryFile(self.clone(), name.to_owned()))
    }

    fn free_bytes(&mut self) -> io::Result<u64> {
        Ok(self.0.borrow().free)
    }
}

impl Sink for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.0.borrow_mut();
        let part = bytes.len().min(disk.room);
        disk.room -= part;
        disk.files.get_mut(&self.1).unwrap().extend_from_slice(&bytes[..part]);
        if part < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn patch(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.0.borrow_mut();
        let at = usize::try_from(offset).unwrap();
        disk.files.get_mut(&self.1).unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.0.0.borrow_mut().files.get_mut(&self.1).unwrap().truncate(length);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.0.borrow_mut();
        let length = disk.files[&self.1].len();
        disk.synced.insert(self.1.clone(), length);
        Ok(())
    }
}

type Tag = (u8, u32, Vec<u8>);

impl Memory {
    fn names(&self) -> Vec<String> {
        self.0.borrow().files.keys().cloned().collect()
    }

    /// The tags of each file, metadata left out, in the order of their names.
    fn tags(&self) -> Vec<Vec<Tag>> {
        let of = |file: &Vec<u8>| {
            let tags = flv::read(file).expect("an FLV");
            let (data, rest) = tags.split_first().expect("metadata");
            assert_eq!(data.0, 18);
            rest.iter().map(|(kind, time, body)| (*kind, *time, word_of(body))).collect()
        };
        self.0.borrow().files.values().map(of).collect()
    }
}

/// A body as publishers send it, with a word for what a codec would say.
fn body_of(kind: Kind, is_header: bool, word: &[u8]) -> Vec<u8> {
    let first: &[u8] = match (kind, is_header) {
        (Kind::Video, true) => &[0x17, 0, 0, 0, 0],
        (Kind::Video, false) if word == b"key" => &[0x17, 1, 0, 0, 0],
        (Kind::Video, false) => &[0x27, 1, 0, 0, 0],
        (Kind::Audio, true) => &[0xaf, 0],
        (Kind::Audio, false) => &[0xaf, 1],
        (Kind::Data, _) => &[],
    };
    [first, word].concat()
}

fn word_of(body: &[u8]) -> Vec<u8> {
    let end = body.iter().rposition(|byte| *byte < b' ').map_or(0, |at| at + 1);
    body[end..].to_vec()
}

fn spec() -> RecordSpec {
    let name = "show".to_owned();
    RecordSpec { name, format: Format::Flv, split_s: 0, split_bytes: 0, free_bytes_min: 1_000 }
}

/// A recorder, its disk, and a stream with a keyframe each second.
struct Scene {
    recorder: Recorder<Memory>,
    disk: Memory,
    now: Micros,
}

impl Scene {
    fn new(spec: RecordSpec) -> Self {
        let disk = Memory::default();
        Self { recorder: Recorder::new(spec, disk.clone()), disk, now: Micros(0) }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.now, unix_s: self.now.millis() / 1_000 }
    }

    fn give(&mut self, kind: Kind, time: u32, is_header: bool, body: &[u8]) {
        let is_key = body == b"key";
        let body = &body_of(kind, is_header, body);
        let input = Input { kind, time, is_key, header: is_header.then_some(0), body };
        self.recorder.message(&input, self.moment());
    }

    /// A header of track 1.
    fn give_further(&mut self, kind: Kind, body: &[u8]) {
        let first: &[u8] = if kind == Kind::Audio { b"\x95\0mp4a" } else { b"\x96\0avc1" };
        let body = &[first, b"\x01", body].concat();
        let input = Input { kind, time: 0, is_key: false, header: Some(1), body };
        self.recorder.message(&input, self.moment());
    }

    fn headers(&mut self) {
        self.give(Kind::Video, 0, true, b"avcc");
        self.give(Kind::Audio, 0, true, b"asc");
    }

    /// Pictures and audio every 100 ms of these seconds of the stream.
    fn seconds(&mut self, seconds: std::ops::Range<u32>) {
        for time in (seconds.start * 1_000..seconds.end * 1_000).step_by(100) {
            let body: &[u8] = if time % 1_000 == 0 { b"key" } else { b"inter" };
            self.give(Kind::Video, time, false, body);
            self.give(Kind::Audio, time + 50, false, b"audio");
            self.now = self.now + Micros::from_millis(100);
            self.recorder.tick(self.moment());
        }
    }

    fn news(&mut self) -> Vec<String> {
        self.recorder.take_news().iter().map(ToString::to_string).collect()
    }
}

fn times(tags: &[Tag], kind: u8) -> Vec<u32> {
    tags.iter().filter(|tag| tag.0 == kind).map(|tag| tag.1).collect()
}

#[test]
fn a_file_begins_at_a_keyframe_with_its_headers_at_time_zero() {
    let mut scene = Scene::new(spec());
    scene.headers();
    scene.give(Kind::Video, 7_900, false, b"inter");
    scene.give(Kind::Audio, 7_950, false, b"early");
    scene.seconds(8..10);
    scene.recorder.finish();
    let tags = scene.disk.tags().remove(0);
    let bodies: Vec<_> = tags.iter().take(4).map(|tag| (tag.0, tag.1, &tag.2[..])).collect();
    assert_eq!(bodies, [(8, 0, &b"asc"[..]), (9, 0, b"avcc"), (9, 0, b"key"), (8, 50, b"audio")]);
    assert_eq!(times(&tags, 9).last(), Some(&1_900));
    assert_eq!(scene.disk.names(), ["show-19700101-000000-1.flv"]);
}

#[test]
fn what_was_recorded_a_second_ago_is_on_the_disk() {
    let mut scene = Scene::new(spec());
    scene.headers();
    for second in 0..5 {
        scene.seconds(second..second + 1);
        let disk = scene.disk.0.borrow();
        let (name, synced) = disk.synced.first_key_value().expect("a synced file");
        let file = &disk.files[name];
        for length in [*synced, file.len()] {
            let tags = flv::read(&file[..length]).unwrap();
            let newest = times(&tags, 9).last().copied().unwrap();
            assert!(newest + 1_000 >= (second + 1) * 1_000 - 100, "{newest} in second {second}");
        }
    }
}

#[test]
fn files_are_split_at_keyframes_only() {
    let mut scene = Scene::new(RecordSpec { split_s: 2, ..spec() });
    scene.headers();
    scene.seconds(0..7);
    scene.recorder.finish();
    let files = scene.disk.tags();
    assert_eq!(files.len(), 4);
    for tags in &files {
        assert_eq!(tags[0].2, b"asc");
        assert_eq!(tags[2].2, b"key");
    }
    let last: Vec<_> = files.iter().map(|tags| *times(tags, 9).last().unwrap()).collect();
    // The limit is reached by the keyframe that stands exactly there.
    assert_eq!(last, [1_900, 1_900, 1_900, 900]);
    let pictures: usize = files.iter().map(|tags| times(tags, 9).len() - 1).sum();
    assert_eq!(pictures, 70, "nothing is lost between two files");
}

#[test]
fn files_are_split_by_size() {
    let mut scene = Scene::new(RecordSpec { split_bytes: 1_000, ..spec() });
    scene.headers();
    scene.seconds(0..10);
    scene.recorder.finish();
    let sizes: Vec<_> = scene.disk.0.borrow().files.values().map(Vec::len).collect();
    assert!(sizes.len() > 2 && sizes.iter().all(|size| *size < 1_600), "{sizes:?}");
}

#[test]
fn a_full_disk_stops_the_recording_and_leaves_a_whole_file() {
    let mut scene = Scene::new(spec());
    scene.headers();
    scene.seconds(0..2);
    scene.disk.0.borrow_mut().room = 17;
    scene.seconds(2..4);
    assert!(scene.recorder.has_failed());
    let news = scene.news();
    assert!(news[1].contains("completed show-19700101-000000-1.flv"), "{news:?}");
    assert!(news[2].contains("failed and tries again in 5.0 s: /memory: "), "{news:?}");
    let (file, tags) = {
        let disk = scene.disk.0.borrow();
        let file = disk.files.values().next().unwrap().clone();
        (file.clone(), flv::read(&file).unwrap())
    };
    let whole: usize = tags.iter().map(|tag| tag.2.len() + 15).sum();
    assert_eq!(file.len(), whole + 13, "nothing behind the last whole tag");

    scene.disk.0.borrow_mut().room = usize::MAX;
    scene.seconds(4..12);
    assert!(scene.recorder.is_writing());
    assert_eq!(scene.disk.names().len(), 2);
    assert_eq!(scene.disk.tags()[1][2].2, b"key");
}

#[test]
fn a_disk_with_too_little_room_is_not_filled() {
    let mut scene = Scene::new(spec());
    scene.headers();
    scene.disk.0.borrow_mut().free = 999;
    scene.seconds(0..3);
    assert!(scene.recorder.has_failed() && scene.disk.names().is_empty());
    scene.disk.0.borrow_mut().free = 2 << 20;
    scene.seconds(3..10);
    assert!(scene.recorder.is_writing());
    scene.disk.0.borrow_mut().free = 999;
    scene.seconds(10..12);
    assert!(scene.recorder.has_failed(), "and one that fills up is left alone");
    scene.recorder.finish();
    assert_eq!(scene.disk.tags().len(), 1);
}

#[test]
fn each_file_begins_with_the_headers_of_all_tracks() {
    let mut scene = Scene::new(RecordSpec { split_s: 1, ..spec() });
    scene.headers();
    scene.give_further(Kind::Audio, b"french");
    scene.seconds(0..1);
    scene.give_further(Kind::Audio, b"french");
    scene.give_further(Kind::Video, b"camera two");
    scene.seconds(1..2);
    scene.recorder.finish();
    let files = scene.disk.tags();
    let bodies: Vec<Vec<_>> =
        files.iter().map(|tags| tags.iter().map(|tag| tag.2.as_slice()).collect()).collect();
    assert_eq!(bodies[0][..3], [&b"asc"[..], b"avcc", b"french"]);
    let times_told = |at: usize, header: &[u8]| bodies[at].iter().filter(|b| **b == header).count();
    assert_eq!((times_told(0, b"french"), times_told(0, b"camera two")), (1, 1));
    assert_eq!(bodies[1][..4], [&b"asc"[..], b"avcc", b"french", b"camera two"]);
}

#[test]
fn another_codec_or_another_clock_begins_another_file() {
    let mut scene = Scene::new(spec());
    scene.headers();
    scene.seconds(0..2);
    scene.headers();
    scene.seconds(2..3);
    scene.give(Kind::Video, 0, true, b"other");
    scene.give(Kind::Audio, 3_000, false, b"between");
    scene.seconds(3..5);
    scene.seconds(0..1);
    scene.recorder.finish();
    let files = scene.disk.tags();
    let headers: Vec<_> = files.iter().map(|tags| tags[1].2.clone()).collect();
    assert_eq!(headers, [b"avcc".to_vec(), b"other".to_vec(), b"other".to_vec()]);
    let last: Vec<_> = files.iter().map(|tags| *times(tags, 9).last().unwrap()).collect();
    assert_eq!(last, [2_900, 1_900, 900]);
}

#[test]
fn a_stream_without_pictures_is_recorded() {
    let mut scene = Scene::new(spec());
    scene.give(Kind::Audio, 0, true, b"asc");
    for time in (0..5_000).step_by(20) {
        scene.give(Kind::Audio, time, false, b"audio");
    }
    scene.recorder.finish();
    let tags = scene.disk.tags().remove(0);
    assert_eq!(times(&tags, 8).len(), 1 + 200);
    assert_eq!(scene.disk.0.borrow().files.values().next().unwrap()[4], 4, "audio only");
}

#[test]
fn a_publisher_that_comes_back_goes_on_in_the_same_file_and_one_that_stays_away_ends_it() {
    let mut scene = Scene::new(spec());
    scene.headers();
    scene.seconds(0..2);
    scene.recorder.ended(scene.moment());
    scene.headers();
    scene.seconds(2..4);
    assert_eq!(scene.disk.names().len(), 1);
    scene.recorder.ended(scene.moment());
    scene.now = scene.now + Micros::from_secs(30);
    scene.recorder.tick(scene.moment());
    assert!(!scene.recorder.is_writing());
    let finished = |event: &NodeEvent| matches!(event, NodeEvent::RecordFinished { .. });
    assert!(scene.recorder.take_news().iter().any(finished));
}

#[test]
fn times_wrap_without_a_mark() {
    let mut scene = Scene::new(spec());
    scene.headers();
    for n in 0..40_u32 {
        let time = (u32::MAX - 1_999).wrapping_add(n * 100);
        scene.give(Kind::Video, time, false, if n % 10 == 0 { b"key" } else { b"inter" });
    }
    scene.recorder.finish();
    let tags = scene.disk.tags().remove(0);
    assert_eq!(times(&tags, 9).last(), Some(&3_900));
}

#[test]
fn a_name_that_is_taken_is_passed_over() {
    let mut scene = Scene::new(spec());
    scene.disk.create("show-19700101-000000-1.flv").unwrap();
    scene.headers();
    scene.seconds(0..1);
    assert_eq!(scene.disk.names()[1], "show-19700101-000000-2.flv");
}

#[test]
fn a_disk_that_takes_nothing_is_told_of_less_and_less_often() {
    let mut scene = Scene::new(spec());
    scene.disk.0.borrow_mut().room = 0;
    scene.headers();
    scene.seconds(0..300);
    let news = scene.news();
    let wait = |text: &String| Some(text.split_once("again in ")?.1.split_once(' ')?.0.to_owned());
    let waits: Vec<_> = news.iter().filter_map(wait).collect();
    assert_eq!(waits[..6], ["5.0", "10.0", "20.0", "40.0", "60.0", "60.0"]);
}

#[test]
fn pictures_that_the_format_has_no_place_for_are_told_of_once() {
    let mut scene = Scene::new(RecordSpec { format: Format::Mp4, ..spec() });
    scene.headers();
    scene.seconds(0..300);
    let news = scene.news();
    assert!(news.len() == 1 && news[0].contains("size of the pictures"), "{news:?}");
    assert!(scene.recorder.has_failed() && scene.disk.names().is_empty());
}

#[test]
fn pictures_far_behind_their_audio_leave_one_file_whole() {
    for behind in [1_500, 3_000, 9_000] {
        let mut scene = Scene::new(spec());
        scene.headers();
        for time in (behind..46_000 + behind).step_by(100) {
            let at = time - behind;
            scene.give(Kind::Audio, time, false, b"audio");
            let word: &[u8] = if at % 1_000 == 0 { b"key" } else { b"inter" };
            scene.give(Kind::Video, at, false, word);
        }
        scene.recorder.finish();
        assert_eq!(scene.disk.names().len(), 1, "{behind} ms");
        let tags = scene.disk.tags().remove(0);
        let (pictures, audio) = (times(&tags, 9), times(&tags, 8));
        // The header, and all but the audio that came before the first picture.
        assert_eq!((pictures.len(), audio.len()), (1 + 460, 1 + 459));
        assert_eq!(audio[1] - pictures[2], behind, "the offset that was published");
    }
}

#[test]
fn offsets_are_kept_over_a_split_and_nothing_is_lost() {
    for late in [Kind::Audio, Kind::Video] {
        let mut scene = Scene::new(RecordSpec { split_s: 5, ..spec() });
        scene.headers();
        for time in (0..20_000).step_by(100) {
            let at = |kind| if kind == late { 10_000 + time } else { 12_000 + time };
            let word: &[u8] = if time % 1_000 == 0 { b"key" } else { b"inter" };
            scene.give(Kind::Video, at(Kind::Video), false, word);
            scene.give(Kind::Audio, at(Kind::Audio), false, format!("{time}").as_bytes());
        }
        scene.recorder.finish();
        let files = scene.disk.tags();
        assert!(files.len() >= 3, "{late:?}: {} files", files.len());
        let audio = files.iter().flatten().filter(|tag| tag.0 == 8 && tag.2 != b"asc");
        let audio = audio.count();
        // Of audio that is late, the first two seconds are from before the first picture.
        let lost = if late == Kind::Audio { 20 } else { 0 };
        assert_eq!(audio, 200 - lost, "{late:?}");
        for tags in &files[1..] {
            let key = tags.iter().position(|tag| tag.2 == b"key").unwrap();
            // The audio that came right behind that keyframe.
            let next = tags[key..].iter().find(|tag| tag.0 == 8).unwrap();
            let apart = i64::from(next.1) - i64::from(tags[key].1);
            assert_eq!(apart, if late == Kind::Audio { -2_000 } else { 2_000 });
        }
    }
}

/// Lets one publisher leave and another one come, with these headers.
fn succeed(scene: &mut Scene, headers: &[(Kind, &[u8])]) {
    scene.recorder.ended(scene.moment());
    for (kind, word) in headers {
        scene.give(*kind, 0, true, word);
    }
}

#[test]
fn a_successor_with_other_tracks_begins_a_file_with_its_own() {
    let mut scene = Scene::new(spec());
    scene.headers();
    scene.seconds(0..3);
    // Audio alone, with the same header, at once after the pictures have gone.
    succeed(&mut scene, &[(Kind::Audio, b"asc")]);
    for time in (3_000..8_000).step_by(20) {
        scene.give(Kind::Audio, time, false, b"alone");
    }
    // Pictures alone.
    succeed(&mut scene, &[(Kind::Video, b"avcc")]);
    for time in (8_000..9_000).step_by(100) {
        scene.give(Kind::Video, time, false, b"key");
    }
    scene.recorder.finish();
    let files = scene.disk.tags();
    let words = |at: usize| files[at].iter().map(|tag| tag.2.as_slice()).collect::<Vec<_>>();
    assert_eq!(files.len(), 3);
    assert_eq!(words(0).iter().filter(|word| **word == b"alone").count(), 0);
    assert_eq!((words(1)[0], words(1)[1]), (&b"asc"[..], &b"alone"[..]));
    assert_eq!(words(1).len(), 1 + 200, "all but the second in which pictures might have come");
    assert_eq!((words(2)[0], words(2)[1], words(2).len()), (&b"avcc"[..], &b"key"[..], 11));
}

#[test]
fn a_codec_that_needs_no_header_is_told_from_the_one_before() {
    let mut scene = Scene::new(spec());
    scene.headers();
    scene.seconds(0..2);
    let g711 =
        Input { kind: Kind::Audio, time: 2_050, is_key: false, header: None, body: b"\x80x" };
    scene.give(Kind::Video, 2_000, false, b"key");
    scene.recorder.message(&g711, scene.moment());
    scene.give(Kind::Video, 2_100, false, b"key");
    scene.recorder.message(&Input { time: 2_150, ..g711 }, scene.moment());
    scene.recorder.finish();
    let tags: Vec<_> =
        scene.disk.0.borrow().files.values().map(|it| flv::read(it).unwrap()).collect();
    let audio = |at: usize| tags[at].iter().filter(|tag| tag.0 == 8 && tag.2[0] == 0x80).count();
    assert_eq!((tags.len(), audio(0), audio(1)), (2, 0, 1));
    let aac = tags[1].iter().filter(|tag| tag.0 == 8 && tag.2[0] == 0xaf).count();
    assert_eq!(aac, 0, "no header of the codec before");
}

#[test]
fn a_disk_that_is_full_has_failed_until_a_file_begins() {
    let mut scene = Scene::new(spec());
    scene.headers();
    scene.seconds(0..2);
    scene.disk.0.borrow_mut().room = 17;
    scene.seconds(2..4);
    scene.disk.0.borrow_mut().room = usize::MAX;
    scene.now = scene.now + Micros::from_secs(30);
    scene.recorder.tick(scene.moment());
    assert!(scene.recorder.has_failed() && !scene.recorder.is_writing(), "it waits for a keyframe");
    scene.seconds(4..5);
    assert!(!scene.recorder.has_failed() && scene.recorder.is_writing());
}

#[test]
fn a_publisher_that_the_format_has_no_place_for_costs_the_next_one_nothing() {
    let mut scene = Scene::new(RecordSpec { format: Format::Mp4, ..spec() });
    let g711 =
        |time| Input { kind: Kind::Audio, time, is_key: false, header: None, body: b"\x82x" };
    for _ in 0..2 {
        for time in (0..60_000).step_by(100) {
            scene.recorder.message(&g711(time), scene.moment());
            scene.now = scene.now + Micros::from_millis(100);
            scene.recorder.tick(scene.moment());
        }
        let news = scene.news();
        let [told] = &news[..] else { panic!("once for each publisher: {news:?}") };
        assert!(told.starts_with("recording show failed: G.711"), "{told}");
        assert!(scene.recorder.has_failed() && scene.disk.names().is_empty());
        scene.recorder.ended(scene.moment());
    }
    // AAC, 48 kHz, stereo.
    scene.give(Kind::Audio, 0, true, b"\x11\x90");
    for time in (0..=AUDIO_ALONE_MS.unsigned_abs()).step_by(20) {
        scene.give(Kind::Audio, time, false, b"audio");
    }
    assert!(scene.recorder.is_writing() && !scene.recorder.has_failed());
}
