//! Recorded streams, judged by ffmpeg.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{HEIGHT, WIDTH};
use crate::program::Program;
use crate::wait::SOON;

/// A file with a recorded stream.
pub(crate) struct Recording(PathBuf);

/// One packet, as ffprobe tells it.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) is_video: bool,
    pub(crate) is_key: bool,
    /// Whether a new sequence header came before it.
    pub(crate) has_header: bool,
    /// Seconds.
    pub(crate) pts: f64,
    /// Seconds.
    pub(crate) dts: f64,
    /// Bytes.
    pub(crate) size: f64,
}

/// A picture in planar 4:2:0.
pub(crate) struct Picture {
    /// Seconds.
    pub(crate) pts: f64,
    planes: Vec<u8>,
}

impl Picture {
    pub(crate) fn new(pts: f64, planes: Vec<u8>) -> Self {
        assert_eq!(planes.len(), PICTURE_BYTES);
        Self { pts, planes }
    }

    /// Luma and both chromas at a pixel.
    pub(crate) fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let chroma = WIDTH * HEIGHT + (y / 2) * (WIDTH / 2) + x / 2;
        let second = chroma + WIDTH * HEIGHT / 4;
        [self.planes[y * WIDTH + x], self.planes[chroma], self.planes[second]]
    }

    /// Whether another one is the same in every pixel.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.planes == other.planes
    }

    /// What is in the middle.
    pub(crate) fn middle(&self) -> [u8; 3] {
        self.at(WIDTH / 2, HEIGHT / 2)
    }
}

/// Bytes of a scenario's picture.
pub(crate) const PICTURE_BYTES: usize = WIDTH * HEIGHT * 3 / 2;

/// Samples per second of [`Recording::audio`].
pub(crate) const SAMPLE_RATE: u32 = 48_000;

impl Recording {
    /// Lets ffmpeg play `url` into `file` for some seconds of the stream.
    pub(crate) fn of(url: &str, seconds: u32, file: PathBuf) -> Self {
        Self::begin(url, seconds, &file).succeeds(SOON + Duration::from_secs(seconds.into()));
        Self::at(file)
    }

    /// Starts what [`Recording::of`] waits for.
    pub(crate) fn begin(url: &str, seconds: u32, file: &Path) -> Program {
        let (seconds, file) = (seconds.to_string(), file.to_str().unwrap());
        let last = ["-i", url, "-t", &seconds, "-c", "copy", file];
        Program::start("ffmpeg", "-v error -y", &last)
    }

    /// A file that somebody else has recorded.
    pub(crate) const fn at(file: PathBuf) -> Self {
        Self(file)
    }

    /// All packets, in the order of the file.
    pub(crate) fn packets(&self) -> Vec<Packet> {
        let entries = "-v error -show_entries packet=codec_type,pts_time,dts_time,size,flags \
                       -of csv=print_section=0";
        let table = self.asked(entries);
        let number = |text: &str| text.parse().unwrap_or(f64::NAN);
        let packet = |row: &str| {
            // A new sequence header is side data, which has a column of its own.
            let [kind, pts, dts, size, flags, ref side_data @ ..] =
                row.split(',').collect::<Vec<_>>()[..]
            else {
                panic!("a row of ffprobe: {row}");
            };
            Packet {
                is_video: kind == "video",
                is_key: flags.starts_with('K'),
                has_header: !side_data.is_empty(),
                pts: number(pts),
                dts: number(dts),
                size: number(size),
            }
        };
        let is_packet = |row: &&str| !row.is_empty() && !row.starts_with("data");
        table.lines().filter(is_packet).map(packet).collect()
    }

    /// The packets of the video.
    pub(crate) fn video_packets(&self) -> Vec<Packet> {
        self.packets().into_iter().filter(|packet| packet.is_video).collect()
    }

    /// `key=value` lines about the first video stream or, if told so, the first audio stream.
    pub(crate) fn about(&self, stream: &str) -> String {
        self.asked(&format!("-v error -show_streams -select_streams {stream}:0"))
    }

    fn asked(&self, arguments: &str) -> String {
        let out = Program::start("ffprobe", arguments, &[self.0.to_str().unwrap()]);
        String::from_utf8(out.succeeds(SOON)).unwrap()
    }

    /// All pictures, decoded.
    pub(crate) fn pictures(&self) -> Vec<Picture> {
        let planes = self.decoded("-map 0:v -fps_mode passthrough -pix_fmt yuv420p -f rawvideo");
        assert_eq!(planes.len() % PICTURE_BYTES, 0, "pictures of one size");
        let times = self.frame_times("v");
        let pictures = planes.chunks(PICTURE_BYTES).zip(times);
        pictures.map(|(planes, pts)| Picture::new(pts, planes.to_vec())).collect()
    }

    /// Loudness per sample, mono, 0 to 1, and the time of the first sample in seconds.
    pub(crate) fn audio(&self) -> (f64, Vec<f32>) {
        let bytes = self.decoded(&format!("-map 0:a -ac 1 -ar {SAMPLE_RATE} -f s16le"));
        let sample =
            |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])).abs() / 32_768.0;
        (self.frame_times("a")[0], bytes.chunks_exact(2).map(sample).collect())
    }

    fn decoded(&self, how: &str) -> Vec<u8> {
        let how: Vec<_> = how.split_whitespace().chain(["-"]).collect();
        let last = [&["-i", self.0.to_str().unwrap()], &how[..]].concat();
        Program::start("ffmpeg", "-v error -copyts", &last).succeeds(SOON)
    }

    fn frame_times(&self, stream: &str) -> Vec<f64> {
        let entries = "-v error -show_entries frame=pts_time -of csv=print_section=0";
        let table = self.asked(&format!("{entries} -select_streams {stream}:0"));
        // Where a frame has side data, its row has more columns, some of them empty.
        let time = |row: &str| row.split(',').next().and_then(|time| time.parse().ok());
        table.lines().filter_map(time).collect()
    }

    /// That it is a stream as every player wants it: both tracks, a keyframe first, time that only
    /// goes forward, and at least `seconds` of both that decode without a complaint.
    pub(crate) fn assert_audio_and_picture(&self, seconds: f64) {
        let packets = self.packets();
        for is_video in [true, false] {
            let track = packets.iter().filter(|packet| packet.is_video == is_video);
            let track: Vec<_> = track.collect();
            let name = if is_video { "video" } else { "audio" };
            assert!(!track.is_empty(), "no {name} in {}", self.0.display());
            assert!(track[0].is_key, "{name} begins in the middle");
            assert!(track.is_sorted_by(|a, b| a.dts <= b.dts), "{name} goes back in time");
            let length = track[track.len() - 1].dts - track[0].dts;
            assert!(length >= seconds, "only {length} s of {name}");
        }
        // Formats without timestamps: what is judged here is what the decoders say.
        let outputs = "-map 0:v -vf setpts=N -fps_mode passthrough -enc_time_base -1 -f rawvideo \
                       -y /dev/null -map 0:a -af asetpts=N -f s16le -y /dev/null";
        let length = seconds.to_string();
        let input = ["-t", &length, "-i", self.0.to_str().unwrap()];
        let last: Vec<_> = input.into_iter().chain(outputs.split_whitespace()).collect();
        let decoded = Program::start("ffmpeg", "-v error -xerror", &last).ended(SOON);
        // Times were judged above; sources with jitter make two frames meet in one millisecond.
        let about_times = |line: &&str| {
            line.contains("non monotonically increasing dts")
                || line.contains("Last message repeated")
                || line.trim().is_empty()
        };
        let complaints: Vec<_> = decoded.err.lines().filter(|line| !about_times(line)).collect();
        assert!(decoded.status.success() && complaints.is_empty(), "{}", decoded.err);
    }
}
