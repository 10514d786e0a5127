//! A player with a clock of its own, and files made by the `ffmpeg` program.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::decode::FileSpec;

/// A player, its readers, and what it has told.
struct Bench<O> {
    player: Player,
    controls: Controls<O, Box<dyn FnMut(FileNews)>>,
    remote: PlaybackRemote,
    out: DecodeOut,
    pictures: Receiver<PictureEvent>,
    audio: Receiver<AudioBlock>,
    told: std::rc::Rc<RefCell<Vec<FileNews>>>,
    now: Micros,
    /// Brightness of the picture that is shown, and whether it was told that the source is over.
    shown: Option<u8>,
    is_over: bool,
    /// Times of the audio that was played since this was last cleared.
    played: Vec<Micros>,
}

/// Grey pictures, from this brightness on each brighter by 2, 25 a second for 2 s, and a tone.
fn write(path: &Path, first: u8) {
    let stairs = format!("nullsrc=s=64x48:r=25,format=yuv420p,geq=lum='{first}+2*N':cb=128:cr=128");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", &stairs, "-f", "lavfi", "-i"]);
    command.args(["sine=frequency=1000:sample_rate=48000", "-t", "2", "-c:v", "libx264", "-qp"]);
    command.args(["1", "-g", "25", "-c:a", "pcm_s16le", "-f", "matroska", "-y"]).arg(path);
    let done = command.output().expect("these tests need the ffmpeg program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn bench(path: &Path, looped: bool) -> Bench<impl FnMut() -> Result<File, Error>> {
    let (told, own) = (std::rc::Rc::default(), path.to_owned());
    let news: std::rc::Rc<RefCell<Vec<FileNews>>> = std::rc::Rc::clone(&told);
    let tell: Box<dyn FnMut(FileNews)> = Box::new(move |it| news.borrow_mut().push(it));
    let open = move || {
        let spec = FileSpec { looped, ..FileSpec::new(Box::new(|size| size), Micros(0)) };
        File::open(&own, spec)
    };
    let (remote, end) = playback_ends(&Bell::new());
    let start = Micros::from_secs(1);
    let spec = PlaybackSpec { path: path.to_owned(), in_point: Micros(0), start };
    let mut controls = Controls::new(open, spec, end, tell);
    let player = Player::new(controls.open_first().unwrap());
    let (sender, pictures) = channel(16, Bell::new());
    let (audio_sender, audio) = channel(64, Bell::new());
    let out = DecodeOut::new([sender], vec![audio_sender]);
    Bench {
        player,
        controls,
        remote,
        out,
        pictures,
        audio,
        told,
        now: Micros(0),
        shown: None,
        is_over: false,
        played: Vec::new(),
    }
}

impl<O: FnMut() -> Result<File, Error>> Bench<O> {
    /// Lets the player do all that it can, and shows and plays what is due 10 ms later; so often.
    fn run(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            for _ in 0..10_000 {
                let step = self.player.step(self.now, &mut self.out, &mut self.controls).unwrap();
                if step != Step::More {
                    break;
                }
            }
            self.now = self.now + Micros::from_millis(10);
            self.show();
        }
    }

    fn show(&mut self) {
        self.pictures.drop_revoked();
        loop {
            match self.pictures.peek() {
                Some(PictureEvent::Picture { at, .. }) if *at > self.now => break,
                Some(_) => {}
                None => break,
            }
            match self.pictures.pop() {
                Some(PictureEvent::Picture { frame, .. }) => {
                    (self.shown, self.is_over) = (Some(frame.plane(0)[0]), false);
                }
                Some(_) => self.is_over = true,
                None => break,
            }
        }
        self.audio.drop_revoked();
        while self.audio.peek().is_some_and(|block| block.at <= self.now) {
            self.played.extend(self.audio.pop().map(|block| block.at));
        }
    }

    fn status(&self) -> (PlaybackState, u64) {
        let (state, position, duration) = self.remote.status();
        assert!(duration.is_none_or(|it| it.millis().abs_diff(2_000) < 50), "{duration:?}");
        (state, position.millis())
    }

    fn told(&self) -> Vec<FileNews> {
        std::mem::take(&mut self.told.borrow_mut())
    }

    fn send(&mut self, command: PlaybackCommand) {
        assert!(self.remote.send(command));
    }
}

/// The picture of a file that stands at this time, by its brightness.
fn picture(first: u8, millis: u64) -> u8 {
    first + 2 * u8::try_from(millis / 40).unwrap()
}

#[track_caller]
fn near(shown: Option<u8>, wanted: u8) {
    assert!(shown.is_some_and(|it| it.abs_diff(wanted) <= 1), "{shown:?} for {wanted}");
}

#[test]
fn a_file_begins_at_its_time_and_is_over_when_its_last_picture_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mkv");
    write(&path, 16);
    let mut bench = bench(&path, false);
    bench.run(990);
    assert_eq!((bench.shown, bench.status()), (None, (PlaybackState::Playing, 0)));
    assert_eq!(bench.told(), [FileNews::Started]);
    bench.run(1_000);
    near(bench.shown, picture(16, 980));
    assert!(bench.status().1.abs_diff(980) <= 10, "{:?}", bench.status());
    bench.run(1_000);
    near(bench.shown, picture(16, 1_980));
    assert!(!bench.is_over && bench.told().is_empty(), "the last picture stands as long");
    bench.run(30);
    assert!(bench.is_over);
    assert_eq!((bench.told(), bench.status().0), (vec![FileNews::Ended], PlaybackState::Ended));
    bench.send(PlaybackCommand::Play);
    bench.run(100);
    near(bench.shown, picture(16, 40));
    assert_eq!((bench.told(), bench.is_over), (vec![FileNews::Started], false));
}

#[test]
fn a_paused_file_stays_at_its_picture_in_silence_and_goes_on_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mkv");
    write(&path, 16);
    let mut bench = bench(&path, true);
    bench.run(1_500);
    near(bench.shown, picture(16, 500));
    bench.send(PlaybackCommand::Pause);
    bench.run(20);
    bench.played.clear();
    let (state, position) = bench.status();
    assert!(state == PlaybackState::Paused && position.abs_diff(500) <= 20, "{position}");
    bench.run(3_000);
    near(bench.shown, picture(16, position));
    assert_eq!((bench.status(), bench.played.len()), ((state, position), 0));
    bench.send(PlaybackCommand::Play);
    let from = bench.now;
    bench.run(1_040);
    near(bench.shown, picture(16, position + 1_000));
    assert_eq!(bench.played[0], from + LEAD, "audio comes with the picture");
    assert_eq!(bench.told(), [FileNews::Started], "nothing else began");
}

#[test]
fn a_seek_keeps_the_old_picture_until_the_new_one_and_plays_or_stays_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mkv");
    write(&path, 16);
    let mut bench = bench(&path, true);
    bench.run(1_200);
    bench.send(PlaybackCommand::Seek(Micros::from_millis(1_500)));
    bench.run(10);
    near(bench.shown, picture(16, 200));
    bench.run(40);
    near(bench.shown, picture(16, 1_500));
    bench.run(400);
    near(bench.shown, picture(16, 1_900));
    assert!(bench.status().1.abs_diff(1_900) <= 20, "{:?}", bench.status());
    bench.run(600);
    near(bench.shown, picture(16, 500));
    assert!(bench.status().1.abs_diff(500) <= 20, "the next round: {:?}", bench.status());
    bench.send(PlaybackCommand::Pause);
    bench.send(PlaybackCommand::Seek(Micros::from_millis(1_010)));
    bench.run(500);
    near(bench.shown, picture(16, 1_010));
    assert_eq!(bench.status(), (PlaybackState::Paused, 1_010));
    bench.send(PlaybackCommand::Restart);
    bench.send(PlaybackCommand::Pause);
    bench.run(240);
    near(bench.shown, 16);
    assert_eq!(bench.told(), [FileNews::Started]);
    bench.send(PlaybackCommand::Play);
    bench.run(240);
    near(bench.shown, picture(16, 200));
    assert_eq!(bench.told(), [FileNews::Started], "it begins once it plays");
}

#[test]
fn a_file_that_changes_takes_the_place_of_the_old_one_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("a.mkv"), dir.path().join("b.mkv"));
    write(&path, 16);
    write(&other, 120);
    let mut bench = bench(&path, true);
    bench.run(1_500);
    bench.told();
    std::fs::rename(&other, &path).unwrap();
    let mut shown = Vec::new();
    for _ in 0..200 {
        bench.run(10);
        shown.push(bench.shown.unwrap());
    }
    let at = shown.iter().position(|luma| *luma >= 119).unwrap();
    assert!(at < 180, "within 1.8 s");
    near(Some(shown[at]), 120);
    near(shown.get(at + 8).copied(), 124);
    assert!(shown[at..].iter().all(|luma| *luma >= 119), "the old one does not come back");
    let gaps = bench.played.windows(2).map(|pair| pair[1].0 - pair[0].0);
    // The old one ends with a picture, and the new one begins with one.
    assert!(gaps.max().unwrap() <= 40_000 + 2 * 21_334, "audio goes on");
    assert_eq!(bench.told(), [FileNews::Started]);

    // What cannot be played changes nothing but for being told.
    std::fs::write(&other, "no video").unwrap();
    std::fs::rename(&other, &path).unwrap();
    bench.run(7_000);
    let told = bench.told();
    let [FileNews::Failed { reason, retry_in }] = &told[..] else { panic!("{told:?}") };
    assert!(reason.contains("a.mkv") && *retry_in == Micros::from_secs(5), "{reason}");
    assert_eq!(bench.status().0, PlaybackState::Playing);
    let before = bench.shown;
    bench.run(200);
    assert_ne!(bench.shown, before, "it goes on");
    write(&other, 40);
    std::fs::rename(&other, &path).unwrap();
    bench.run(2_000);
    assert_eq!(bench.told(), [FileNews::Restored, FileNews::Started]);
    bench.send(PlaybackCommand::Seek(Micros(0)));
    bench.run(60);
    near(bench.shown, 40);
}

#[test]
fn a_file_that_changes_while_it_is_paused_or_over_is_shown_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("a.mkv"), dir.path().join("b.mkv"));
    write(&path, 16);
    write(&other, 120);
    let mut bench = bench(&path, false);
    bench.run(1_500);
    bench.send(PlaybackCommand::Pause);
    bench.run(500);
    std::fs::rename(&other, &path).unwrap();
    bench.run(2_000);
    near(bench.shown, 120);
    assert_eq!(bench.status(), (PlaybackState::Paused, 0));
    bench.send(PlaybackCommand::Play);
    bench.run(2_200);
    assert_eq!(bench.status().0, PlaybackState::Ended);
    assert_eq!(bench.told(), [FileNews::Started, FileNews::Started, FileNews::Ended]);
    write(&other, 60);
    std::fs::rename(&other, &path).unwrap();
    bench.run(2_000);
    assert_eq!((bench.status().0, bench.told()), (PlaybackState::Playing, vec![FileNews::Started]));
}
