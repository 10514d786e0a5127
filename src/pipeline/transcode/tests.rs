//! Streams made by the `ffmpeg` program, transcoded on a clock of the test's own.

use std::cell::RefCell;
use std::process::Command;
use std::rc::Rc;

use super::*;
use crate::decode::LiveSpec;
use crate::frame::PacketBuf;
use crate::pipeline::tee::RawFrame;
use crate::pipeline::{Share, Takes, TeeBranch};
use crate::ring::channel;
use crate::rtmp::flv::Tags;
use crate::stats::ChannelStats;
use crate::stream::Flags;

/// What a transcode has had made, and where that went.
#[derive(Default)]
struct Made {
    sources: Vec<SourceFacts>,
    frames: Vec<Receiver<RawFrame>>,
    audio: Vec<Receiver<Encoded>>,
    ended: Vec<String>,
    failed: Vec<String>,
}

impl Made {
    /// Pictures that the encoders number `at` have been given: their times in milliseconds, and
    /// whether they are keyframes.
    fn pictures(&mut self, at: usize) -> Vec<(u64, bool)> {
        let frames = &mut self.frames[at];
        let base = u64::from(self.sources[at].base_ms);
        std::iter::from_fn(|| frames.pop())
            .map(|raw| (base + raw.at.unwrap().millis(), raw.is_key))
            .collect()
    }
}

/// Renditions that go nowhere.
#[derive(Clone, Default)]
struct Stub {
    made: Rc<RefCell<Made>>,
    /// Whether there are no encoders.
    fails: bool,
}

impl Renditions for Stub {
    fn passes(&self, audio: AudioFormat) -> bool {
        audio == AudioFormat::Aac
    }

    fn begin(&mut self, source: &SourceFacts) -> Result<Ladder, String> {
        if self.fails {
            return Err("there are none".to_owned());
        }
        let mut made = self.made.borrow_mut();
        let stats: Arc<ChannelStats> = Arc::default();
        let (raw, frames) = channel(200, Bell::new());
        let (ring, heard) = channel(200, Bell::new());
        let takes = Takes { divisor: 1, share: Share::default() };
        made.sources.push(*source);
        made.frames.push(frames);
        made.audio.push(heard);
        Ok(Ladder {
            tee: Tee::new(vec![TeeBranch::encoder(raw, takes, Arc::clone(&stats))]),
            audio: LadderAudio::Passed(vec![EncodedRing { ring, track: 0, stats }]),
            switch: Arc::new(ChannelSwitch::of_source()),
            keys: SourceKeyframes::new(Micros::from_secs(2), 1),
        })
    }

    fn ended(&mut self, why: &str) {
        self.made.borrow_mut().ended.push(why.to_owned());
    }

    fn failed(&mut self, why: &str) {
        self.made.borrow_mut().failed.push(why.to_owned());
    }
}

fn stage(stub: &Stub) -> Transcode<Stub> {
    let spec = LiveSpec::new(Box::new(|size| size));
    Transcode::new(Live::new(LiveSpec { queue: Box::new(|_| 200), ..spec }), stub.clone())
}

/// The messages of two seconds with a keyframe every second, as they come from `from_ms` on: 25
/// pictures of this size a second, and audio in AAC.
fn source(size: &str, from_ms: u32) -> Vec<Message> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("source.flv");
    let made = Command::new("ffmpeg")
        .args(format!("-v error -f lavfi -i testsrc2=s={size}:r=25:d=2").split(' '))
        .args("-f lavfi -i sine=r=48000:d=2 -pix_fmt yuv420p -c:v libx264 -g 25 -bf 2".split(' '))
        .args("-preset ultrafast -c:a aac -y".split(' '))
        .arg(&file)
        .status()
        .expect("these tests need the ffmpeg program");
    assert!(made.success());
    let bytes = std::fs::read(file).unwrap();
    let messages = Tags::new(&bytes[9 + 4..]).filter_map(|tag| {
        let kind = match tag.type_id {
            8 => Kind::Audio,
            9 => Kind::Video,
            _ => return None,
        };
        let (flags, body) = (Flags::of(kind, tag.body)?, PacketBuf::copy_of(tag.body));
        Some(Message::new(kind, tag.time.wrapping_add(from_ms), flags, body, 60_000))
    });
    messages.collect()
}

/// Hands in messages, each when it comes: `late` after its time. Gives the time of the last one.
fn feed(stage: &mut Transcode<Stub>, messages: &[Message], late: Micros) -> Micros {
    let mut now = Micros(0);
    for message in messages {
        let arrived = Micros::from_millis(u64::from(message.time()));
        now = arrived + late;
        stage.message(message.clone(), arrived, now);
    }
    now
}

/// When the pictures of a source are shown, by its messages.
fn shown(messages: &[Message]) -> Vec<(u64, bool)> {
    let mut all: Vec<_> = messages
        .iter()
        .filter(|message| message.kind() == Kind::Video)
        .map(|message| (message, Video::parse(message.body()).unwrap()))
        .filter(|(_, video)| video.part == Part::Frame)
        .map(|(message, video)| {
            let at = i64::from(message.time()) + i64::from(video.composition_ms);
            (u64::try_from(at).unwrap(), video.keyframe)
        })
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn pictures_keep_their_times_and_keyframes_and_audio_is_the_same_message() {
    let stub = Stub::default();
    let mut stage = stage(&stub);
    let messages = source("64x48", 3_600_000);
    let now = feed(&mut stage, &messages, Micros(0));
    stage.source_left(now);
    let mut made = stub.made.borrow_mut();
    let facts = made.sources[0];
    assert_eq!((facts.size, facts.rate.fps()), (Size::new(64, 48).unwrap(), 25.0));
    assert_eq!(facts.audio, Some(AudioFormat::Aac));
    let wanted = shown(&messages);
    assert_eq!(made.pictures(0), wanted);
    let first = wanted[0].0;
    let heard: Vec<_> = std::iter::from_fn(|| made.audio[0].pop()).map(|it| it.message).collect();
    let sent = messages
        .iter()
        .filter(|it| it.kind() == Kind::Audio && (it.is_header() || u64::from(it.time()) >= first));
    let sent: Vec<_> = sent.collect();
    assert!(heard.len() > 80 && heard.len() >= sent.len() - 1, "{} {}", heard.len(), sent.len());
    assert!(heard[0].is_header());
    let last = heard.last().unwrap();
    assert_eq!(last.body().as_ptr(), sent.last().unwrap().body().as_ptr(), "by reference");
    assert_eq!(made.ended, ["its source has left"]);
}

#[test]
fn what_came_long_ago_is_decoded_and_not_encoded() {
    let stub = Stub::default();
    let mut stage = stage(&stub);
    let messages = source("64x48", 0);
    let is_old = |message: &Message| message.time() < 1_500;
    let old: Vec<_> = messages.iter().filter(|it| is_old(it)).cloned().collect();
    feed(&mut stage, &old, LATE_MAX + Micros(1));
    assert!(stub.made.borrow().sources.is_empty(), "nothing is begun for it");
    let new: Vec<_> = messages.iter().filter(|it| !is_old(it)).cloned().collect();
    let now = feed(&mut stage, &new, Micros(0));
    stage.source_left(now);
    let pictures = stub.made.borrow_mut().pictures(0);
    assert!((10..=15).contains(&pictures.len()), "{pictures:?}");
    assert!(pictures[0].0 >= 1_400 && pictures[0].1, "the first one is a keyframe: {pictures:?}");
}

#[test]
fn another_size_has_other_encoders_and_its_times_go_on() {
    let stub = Stub::default();
    let mut stage = stage(&stub);
    let (first, second) = (source("64x48", 0), source("32x32", 2_100));
    feed(&mut stage, &first, Micros(0));
    let now = feed(&mut stage, &second, Micros(0));
    stage.source_left(now);
    let mut made = stub.made.borrow_mut();
    let sizes: Vec<_> = made.sources.iter().map(|facts| facts.size).collect();
    assert_eq!(sizes, [Size::new(64, 48).unwrap(), Size::new(32, 32).unwrap()]);
    assert_eq!(made.pictures(1), shown(&second), "all of them, from a keyframe on");
    assert!(made.pictures(0).len() >= 48);
    assert_eq!(made.ended[0], "its source changes from 64x48 to 32x32");
}

#[test]
fn what_cannot_be_decoded_or_encoded_is_told_and_tried_again_later() {
    let stub = Stub { fails: true, ..Stub::default() };
    let mut failing = stage(&stub);
    feed(&mut failing, &source("64x48", 0), Micros(0));
    let told = stub.made.borrow().failed.clone();
    assert_eq!(told, ["there are none"], "not with every picture");

    let stub = Stub::default();
    let mut blind = stage(&stub);
    let garbage = |n: u32| {
        let body = PacketBuf::copy_of(b"\x27\x01\x00\x00\x00\x00\x00\x00\x04\x41\x9a\xff\xff");
        Message::new(Kind::Video, n * 40, Flags::default(), body, 60_000)
    };
    feed(&mut blind, &(0..400).map(garbage).collect::<Vec<_>>(), Micros(0));
    let told = stub.made.borrow().failed.clone();
    assert!(told.len() == 1 && told[0].contains("none of its pictures"), "{told:?}");
}

#[test]
fn decoded_audio_is_put_where_its_times_are() {
    let (mut encoder, mut heard) = channel(64, Bell::new());
    let mut feed = AudioSender::default();
    let mut push = |ms: u64, samples: usize| {
        let data = [0.5; BLOCK_SAMPLES * CHANNELS];
        let block = AudioBlock { at: Micros::from_millis(ms), samples, data };
        feed.push(&block, Micros::from_millis(1_000), &mut encoder);
    };
    push(900, 1_024); // before the first picture
    push(1_010, 1_024);
    push(1_031, 1_024); // rounded: it begins where the one before it ends
    push(1_500, 1_024); // after a gap
    push(1_200, 1_024); // again
    let firsts: Vec<_> = std::iter::from_fn(|| heard.pop()).map(|it| it.first_sample).collect();
    assert_eq!(firsts, [480, 480 + 1_024, 24_000]);
}
