//! VLC as a viewer without a window: the pictures and the audio that it would show, as files.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::config::Config;
use crate::node::{NOBODY, Node, STUDIO, is_root};
use crate::pairs::ffmpeg_publishes;
use crate::program::{Ended, Program};
use crate::recording::{PICTURE_BYTES, Recording};
use crate::tls::Certificate;
use crate::wait::{SOON, beside_others, free_port, wait_until};

/// Pictures at the end of a stream of which VLC may leave some out: half a second.
const LAST: usize = 15;

/// Pictures that it shows before the stream ends: two seconds.
const SHOWN: usize = 60;

/// VLC, playing one stream to its end.
struct Vlc {
    program: Program,
    dir: TempDir,
}

impl Vlc {
    fn plays(url: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().display();
        let mut command = Command::new("vlc");
        // It does not run as root.
        if is_root() {
            chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            command.uid(NOBODY).gid(NOBODY);
        }
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", dir.path()).env("LANG", "C.UTF-8").current_dir("/");
        // All pictures as they are decoded, also those that come late on a busy machine.
        let options = format!(
            "--intf=dummy --no-dbus --no-color --play-and-exit --no-video-title-show \
             --no-drop-late-frames --no-skip-frames \
             --vout=yuv --yuv-chroma=I420 --yuv-yuv4mpeg2 --yuv-file={path}/pictures.y4m \
             --aout=afile --audiofile-file={path}/audio.wav"
        );
        command.args(options.split_whitespace()).arg(url);
        Self { program: Program::spawn("vlc", command), dir }
    }

    fn pictures(&self) -> PathBuf {
        self.dir.path().join("pictures.y4m")
    }

    /// That it ends by itself, and that it has shown what is in `published` to its end.
    fn assert_has_shown(self, published: &Recording) {
        let pictures = self.pictures();
        let Ended { status, err, .. } = self.program.ended(SOON);
        assert!(status.success() && err.contains("end of playlist, exiting"), "{status}\n{err}");
        let published = published.pictures();
        let shown = Recording::at(pictures).pictures();
        // Where in the stream each one is; the same bytes, since nothing was lost on the way.
        let places = shown.iter().map(|one| published.iter().position(|other| one.is(other)));
        let places: Vec<_> = places.flatten().collect();
        assert!(places.len() >= SHOWN && places.is_sorted(), "{places:?}");
        let last = places[places.len() - 1];
        assert!(last + LAST >= published.len(), "{last} of {} is the last", published.len());
        let (_, audio) = Recording::at(self.dir.path().join("audio.wav")).audio();
        let loud = audio.iter().filter(|&&sample| sample > 0.25).count();
        assert!(loud > audio.len() / 2, "{loud} of {} samples are loud", audio.len());
    }
}

#[test]
fn vlc_plays_by_rtmp_and_rtmps_and_http_flv_up_to_the_end_of_the_stream() {
    let _turn = beside_others();
    let certificate = Certificate::new();
    let port = free_port();
    let config = Config::new().rtmp("grace = 0").more(&certificate.table(port, ""));
    let node = Node::start(&config);
    let publisher = ffmpeg_publishes(&node.publish_url());
    node.wait_for_streams(1);
    let file = node.file("published.flv");
    let recorder = Recording::begin(&node.url(STUDIO), 60, &file);
    wait_until(SOON, "the recorder is there", || {
        (node.metric("rtmp_viewers", &[]) > 0.5).then_some(())
    });
    let urls = [
        node.url(STUDIO),
        format!("rtmps://127.0.0.1:{port}/{STUDIO}"),
        format!("http://127.0.0.1:{}/{STUDIO}.flv", config.rtmp),
    ];
    let mut players = urls.map(|url| Vlc::plays(&url));
    for player in &mut players {
        wait_until(SOON, "VLC shows pictures", || {
            assert!(player.program.runs(), "VLC has ended:\n{}", player.program.err());
            let bytes = fs::metadata(player.pictures()).ok()?.len();
            (bytes > (SHOWN * PICTURE_BYTES) as u64).then_some(())
        });
    }
    publisher.interrupted(SOON);
    recorder.succeeds(SOON);
    let published = Recording::at(file);
    for player in players {
        player.assert_has_shown(&published);
    }
}
