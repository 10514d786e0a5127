//! A playlist's player with a clock of its own, and files made by the `ffmpeg` program.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::*;
use crate::command::{ItemCommand, PlaybackCommand, PlaybackState};
use crate::decode::FileSpec;
use crate::frame::AudioBlock;
use crate::media::{CHANNELS, PlaylistEntries, PlaylistItem};
use crate::ring::{Receiver, channel};
use crate::runtime::Worker;

/// Clips of different size, rate, sample rate and codec, each with a grey of its own and a tone.
const CLIPS: [(&str, u8, &str, &str); 3] = [
    ("a.mkv", 60, "s=64x48:r=25:d=0.8", "-ar 48000 -c:v libx264 -c:a pcm_s16le"),
    ("b.mp4", 120, "s=128x72:r=30:d=0.7", "-ar 44100 -c:v libx264 -bf 2 -c:a aac -b:a 192k"),
    ("c.avi", 180, "s=32x32:r=24:d=0.5", "-ar 32000 -ac 1 -c:v mjpeg -q:v 1 -c:a pcm_s16le"),
];

fn write(dir: &Path, (name, grey, size, codec): (&str, u8, &str, &str)) -> PathBuf {
    let path = dir.join(name);
    let seconds = size.split("d=").nth(1).unwrap();
    let color = format!("color=0x{grey:02x}{grey:02x}{grey:02x}:{size}");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", &color, "-f", "lavfi", "-i"]);
    let tone = format!("aevalsrc=0.5*sin(2*PI*1000*t)|0.5*sin(2*PI*1000*t):s=48000:d={seconds}");
    command.arg(tone);
    command.args(codec.split(' ')).args(["-pix_fmt", "yuv420p"]);
    let done = command.arg("-y").arg(&path).output().expect("the ffmpeg program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    path
}

struct Bench {
    player: ListPlayer<Box<dyn FnMut(PlaylistNews)>>,
    remote: PlaylistRemote,
    out: DecodeOut,
    pictures: Receiver<PictureEvent>,
    audio: Receiver<AudioBlock>,
    told: Rc<RefCell<Vec<PlaylistNews>>>,
    now: Micros,
    /// Brightness of each picture that was shown, and when, and of each block when it began.
    shown: Vec<(Micros, u8)>,
    heard: Vec<(Micros, Vec<f32>)>,
    is_over: bool,
}

fn bench(items: Vec<PathBuf>, looped: bool) -> Bench {
    let items = items.into_iter().map(PlaylistItem::from).collect();
    let entries = PlaylistEntries::Items(items);
    let playlist = Playlist { entries, looped, shuffle: false, seed: None };
    let (remote, end, opener) = playlist_ends(&Bell::new());
    let open = move || {
        open_items(opener, |item| {
            let spec = FileSpec { looped: false, is_followed: true, ..FileSpec::default() };
            File::open(&item.path, spec)
        });
    };
    Worker::spawn("opener", Vec::new(), 0, open).unwrap();
    let told: Rc<RefCell<Vec<PlaylistNews>>> = Rc::default();
    let news = Rc::clone(&told);
    let tell: Box<dyn FnMut(PlaylistNews)> = Box::new(move |it| news.borrow_mut().push(it));
    let start = Micros::from_secs(1);
    let (sender, pictures) = channel(16, Bell::new());
    let (audio_sender, audio) = channel(64, Bell::new());
    Bench {
        player: ListPlayer::new(playlist, start, end, tell),
        remote,
        out: DecodeOut::new([sender], vec![audio_sender]),
        pictures,
        audio,
        told,
        now: Micros::from_millis(900),
        shown: Vec::new(),
        heard: Vec::new(),
        is_over: false,
    }
}

impl Bench {
    /// Lets so much time go by; the opener has as long as it needs for each file.
    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            loop {
                let wait = self.player.step(self.now, &mut self.out);
                if matches!(self.player.next, Next::Asked { .. }) {
                    std::thread::yield_now();
                } else if wait.is_some() {
                    break;
                }
            }
            self.take();
            self.now = self.now + Micros::from_millis(1);
        }
    }

    fn take(&mut self) {
        self.pictures.drop_revoked();
        self.audio.drop_revoked();
        let now = self.now;
        let waits =
            |event: &PictureEvent| matches!(event, PictureEvent::Picture { at, .. } if *at > now);
        while self.pictures.peek().is_some_and(|event| !waits(event)) {
            match self.pictures.pop() {
                Some(PictureEvent::Picture { frame, at }) => {
                    self.shown.push((at, frame.plane(0)[0]));
                    self.is_over = false;
                }
                Some(PictureEvent::Ended | PictureEvent::Failed) => self.is_over = true,
                None => {}
            }
        }
        while self.audio.peek().is_some_and(|block| block.at <= self.now) {
            let Some(block) = self.audio.pop() else { break };
            let left = block.data[..block.samples * CHANNELS].iter().step_by(CHANNELS);
            self.heard.push((block.at, left.copied().collect()));
        }
    }

    fn send(&mut self, command: PlaybackCommand) {
        assert!(self.remote.playback.send(command));
    }

    /// Files that were told as begun, by their names.
    fn started(&self) -> String {
        let told = self.told.borrow();
        let names = told.iter().filter_map(|news| match news {
            PlaylistNews::ItemStarted { file, .. } => file.rsplit('/').next()?.chars().next(),
            _ => None,
        });
        names.collect()
    }

    fn skipped(&self) -> Vec<String> {
        let told = self.told.borrow();
        let reasons = told.iter().filter_map(|news| match news {
            PlaylistNews::ItemSkipped { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        reasons.collect()
    }
}

#[test]
fn one_file_follows_another_without_a_gap_in_picture_and_sound() {
    let dir = tempfile::tempdir().unwrap();
    let files = CLIPS.map(|clip| write(dir.path(), clip)).to_vec();
    let mut bench = bench(files, true);
    bench.run(4_200);
    assert_eq!(bench.started(), "abcabca");
    assert!(bench.skipped().is_empty() && !bench.is_over);
    let greys: Vec<u8> = bench.shown.iter().map(|(_, luma)| *luma).collect();
    assert!(greys.iter().all(|luma| *luma > 50), "none is dark: {greys:?}");
    let steps: Vec<_> = bench.shown.windows(2).map(|two| two[1].0.0 - two[0].0.0).collect();
    assert!(steps.iter().all(|step| (20_000..=45_000).contains(step)), "{steps:?}");
    let mut end = bench.heard[0].0.0;
    for (at, samples) in &bench.heard {
        assert!(at.0.abs_diff(end) <= 1_000, "a gap from {end} to {at:?}");
        end = at.0 + samples.len() as u64 * 1_000_000 / 48_000;
    }
    let all: Vec<f32> = bench.heard.iter().flat_map(|(_, samples)| samples.clone()).collect();
    let silence = all.split(|value| value.abs() > 0.02).map(<[f32]>::len).max();
    assert!(silence <= Some(48), "{silence:?} samples of silence");
}

#[test]
fn what_cannot_be_played_is_skipped_and_told_once_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), CLIPS[0]);
    let broken = dir.path().join("broken.mp4");
    std::fs::write(&broken, "no video").unwrap();
    let mut bench = bench(vec![broken, dir.path().join("none.mp4"), good], true);
    bench.run(2_000);
    assert_eq!(bench.started(), "aaa");
    assert_eq!(bench.skipped().len(), 2);
    assert!(!bench.is_over, "the programme goes on");
}

#[test]
fn a_list_of_which_nothing_can_be_played_fails_as_a_broken_file_does_until_something_can() {
    let dir = tempfile::tempdir().unwrap();
    let late = dir.path().join("a.mkv");
    let mut bench = bench(vec![late], true);
    bench.run(200);
    assert!(bench.is_over);
    assert_eq!(bench.remote.playback.status().0, PlaybackState::Failed);
    let failed = |news: &PlaylistNews| match news {
        PlaylistNews::File(FileNews::Failed { reason, .. }) => reason.contains("a.mkv"),
        _ => false,
    };
    assert!(bench.told.borrow().iter().any(failed));
    write(dir.path(), CLIPS[0]);
    bench.run(5_500);
    assert!(bench.told.borrow().contains(&PlaylistNews::File(FileNews::Restored)));
    assert!(!bench.is_over);
}

#[test]
fn items_are_skipped_to_put_in_and_taken_out_while_others_play() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, c] = CLIPS.map(|clip| write(dir.path(), clip));
    let mut bench = bench(vec![a.clone(), b, a], false);
    bench.run(300);
    let view = bench.remote.view();
    let (now, next) = (view.now.as_ref().unwrap(), view.next.as_ref().unwrap());
    assert_eq!((now.0, next.0, view.items.len()), (Some(0), Some(1), 3));
    assert!(next.2.unwrap().0.abs_diff(1_800_000) < 20_000, "{next:?}");
    bench.send(PlaybackCommand::Items(ItemCommand::Insert { place: Some(1), item: c.into() }));
    bench.run(700);
    assert_eq!(bench.started(), "ac");
    bench.send(PlaybackCommand::Items(ItemCommand::Next));
    bench.run(100);
    assert_eq!(bench.started(), "acb");
    bench.send(PlaybackCommand::Items(ItemCommand::Remove(3)));
    bench.send(PlaybackCommand::Items(ItemCommand::Previous));
    bench.run(100);
    bench.send(PlaybackCommand::Items(ItemCommand::Skip(0)));
    bench.run(300);
    assert_eq!(bench.started(), "acbca");
    bench.send(PlaybackCommand::Items(ItemCommand::Skip(2)));
    bench.send(PlaybackCommand::Pause);
    bench.run(100);
    let now = bench.remote.view().now.clone().map(|(place, ..)| place);
    assert_eq!(now, Some(Some(2)), "it is paused where it was told to go");
    bench.send(PlaybackCommand::Items(ItemCommand::Skip(0)));
    bench.send(PlaybackCommand::Play);
    bench.run(300);
    assert_eq!(bench.started(), "acbcaba");
    bench.send(PlaybackCommand::Pause);
    bench.run(100);
    let (state, position, _) = bench.remote.playback.status();
    assert_eq!(state, PlaybackState::Paused);
    let at = bench.shown.len();
    bench.run(500);
    assert_eq!((bench.remote.playback.status().1, bench.shown.len()), (position, at));
    bench.send(PlaybackCommand::Play);
    bench.run(2_500);
    assert_eq!(bench.started(), "acbcabacb");
    assert!(bench.is_over);
    assert_eq!(bench.remote.playback.status().0, PlaybackState::Ended);
    assert_eq!(bench.told.borrow().last(), Some(&PlaylistNews::File(FileNews::Ended)));
}
