//! Platforms that outputs go to, and what they take: checked before anything is sent to them.
//!
//! The numbers are those that OBS ships for its services (rtmp-services, 2026), which the platforms
//! hand in themselves, and for Kick those of its help pages.

use crate::encode::{AudioSpec, VideoSpec};
use crate::media::{AudioCodec, FrameRate, Size, VideoCodec};

/// What a platform takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its word in the configuration.
    pub name: &'static str,
    /// As it calls itself.
    title: &'static str,
    /// Longest time between two keyframes, seconds.
    keyframe_s: u32,
    /// Highest bitrates, bits per second.
    video_bps: Option<u32>,
    audio_bps: Option<u32>,
    codecs: &'static [VideoCodec],
    fps: Option<u32>,
    /// Sizes that it takes and their highest bitrates, if it takes these alone.
    sizes: &'static [SizeLimit],
}

/// Width and height, and kilobits per second up to 30 frames a second and above.
type SizeLimit = (u32, u32, [u32; 2]);

/// Frames per second up to which the lower bitrate of a size holds.
const SLOW_FPS: f64 = 30.0;

const ANY: Platform = Platform {
    name: "",
    title: "",
    keyframe_s: 2,
    video_bps: None,
    audio_bps: None,
    codecs: &[VideoCodec::H264],
    fps: None,
    sizes: &[],
};

/// All of them.
const PLATFORMS: [Platform; 8] = [
    Platform {
        name: "twitch",
        title: "Twitch",
        video_bps: Some(6_000_000),
        audio_bps: Some(320_000),
        ..ANY
    },
    Platform {
        name: "youtube",
        title: "YouTube",
        // It asks for 2 s and warns above 4.
        keyframe_s: 4,
        video_bps: Some(51_000_000),
        audio_bps: Some(160_000),
        codecs: &[VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1],
        ..ANY
    },
    Platform {
        name: "facebook",
        title: "Facebook Live",
        video_bps: Some(9_000_000),
        audio_bps: Some(128_000),
        fps: Some(60),
        sizes: &[
            (640, 360, [1_000, 1_500]),
            (852, 480, [2_000, 3_000]),
            (1_280, 720, [4_000, 6_000]),
            (1_920, 1_080, [6_000, 9_000]),
        ],
        ..ANY
    },
    Platform { name: "kick", title: "Kick", video_bps: Some(8_000_000), fps: Some(60), ..ANY },
    Platform { name: "ivs", title: "Amazon IVS", ..ANY },
    Platform { name: "trovo", title: "Trovo", video_bps: Some(9_000_000), ..ANY },
    Platform { name: "mux", title: "Mux", video_bps: Some(5_000_000), ..ANY },
    Platform { name: "restream", title: "Restream", ..ANY },
];

impl Platform {
    /// Words and platforms, as a configuration names them.
    pub(super) fn words() -> [(&'static str, &'static Self); PLATFORMS.len()] {
        static TABLE: [Platform; 8] = PLATFORMS;
        TABLE.each_ref().map(|platform| (platform.name, platform))
    }

    /// What of a stream it does not take: why, and what it takes.
    #[must_use]
    pub fn refusals(&self, video: &VideoSpec, audio: Option<&AudioSpec>) -> Vec<String> {
        let mut refusals = self.video_refusals(video);
        refusals.extend(self.audio_refusal(audio));
        refusals.into_iter().map(|text| format!("{} takes {text}", self.title)).collect()
    }

    fn video_refusals(&self, video: &VideoSpec) -> Vec<String> {
        let mut refusals = Vec::new();
        let keyframe_s = f64::from(video.gop_frames) / video.rate.fps();
        // An interval is a whole number of frames.
        if keyframe_s.round() > f64::from(self.keyframe_s) {
            let most = self.keyframe_s;
            refusals.push(format!(
                "a keyframe every {most} s or more often: `keyframe_seconds` is {keyframe_s:.0}"
            ));
        }
        if !self.codecs.contains(&video.codec) {
            let known: Vec<_> = self.codecs.iter().map(|codec| codec.name()).collect();
            let (known, is) = (known.join(", "), video.codec.name());
            refusals.push(format!("{known} as video: `codec` is {is}"));
        }
        if let Some(most) = self.fps.filter(|most| video.rate.fps() > f64::from(*most)) {
            refusals.push(format!("up to {most} frames per second: `fps` is {}", video.rate));
        }
        if let Some(most) = self.highest_video(video.size, video.rate) {
            if video.bitrate_bps > most {
                let (most, is) = (most / 1_000, video.bitrate_bps / 1_000);
                let size = if self.sizes.is_empty() { "" } else { " of this size and rate" };
                refusals.push(format!("up to {most} kb/s of video{size}: `bitrate` is {is} kb/s"));
            }
        } else if !self.sizes.is_empty() {
            let known: Vec<_> = self.sizes.iter().map(|(w, h, _)| format!("{w}x{h}")).collect();
            refusals.push(format!("{}: the video is {}", known.join(", "), video.size));
        }
        refusals
    }

    fn audio_refusal(&self, audio: Option<&AudioSpec>) -> Option<String> {
        let Some(audio) = audio else {
            return Some("no stream without audio: [channel.audio] is off".to_owned());
        };
        if audio.codec != AudioCodec::Aac {
            let is = audio.codec.name();
            return Some(format!("aac as audio: `codec` in [channel.audio] is {is}"));
        }
        let most = self.audio_bps.filter(|most| audio.bitrate_bps > *most)? / 1_000;
        let is = audio.bitrate_bps / 1_000;
        Some(format!("up to {most} kb/s of audio: `bitrate` is {is} kb/s"))
    }

    /// The highest bitrate for video of this size, if there is one and it takes that size.
    fn highest_video(&self, size: Size, rate: FrameRate) -> Option<u32> {
        if self.sizes.is_empty() {
            return self.video_bps;
        }
        let is_it = |limit: &&SizeLimit| (limit.0, limit.1) == (size.width(), size.height());
        let (_, _, [slow, fast]) = self.sizes.iter().find(is_it)?;
        Some(1_000 * if rate.fps() <= SLOW_FPS { slow } else { fast })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What is wrong with a channel for this platform; nothing if it takes it.
    fn faults(platform: &str, video: &str, audio: &str) -> String {
        let text = format!(
            "[[channel]]\nname = \"a\"\n[channel.video]\n{video}\n[channel.audio]\n{audio}\n\
             [[channel.output]]\nname = \"out\"\nurl = \"rtmp://x/y/z\"\npreset = \"{platform}\"\n"
        );
        let Err(faults) = Config::parse(&text, "x") else { return String::new() };
        faults.to_string()
    }

    #[test]
    fn the_usual_channel_is_taken_everywhere() {
        for (name, _) in Platform::words() {
            assert_eq!(faults(name, "", ""), "", "{name}");
        }
    }

    #[test]
    fn what_a_platform_does_not_take_is_said_with_what_it_takes() {
        for (platform, video, audio, said) in [
            (
                "twitch",
                "keyframe_seconds = 4",
                "",
                "Twitch takes a keyframe every 2 s or more often",
            ),
            ("twitch", "bitrate = \"8M\"", "", "up to 6000 kb/s of video: `bitrate` is 8000 kb/s"),
            ("twitch", "codec = \"hevc\"", "", "takes h264 as video"),
            ("youtube", "keyframe_seconds = 5", "", "every 4 s"),
            ("youtube", "", "bitrate = \"192k\"", "up to 160 kb/s of audio"),
            ("facebook", "bitrate = \"5M\"", "", "up to 4000 kb/s of video of this size and rate"),
            ("facebook", "width = 720\nheight = 576", "", "takes 640x360, 852x480, 1280x720"),
            ("facebook", "fps = 90", "", "up to 60 frames per second"),
            ("kick", "", "codec = \"opus\"", "takes aac as audio"),
            ("ivs", "", "enabled = false", "no stream without audio"),
        ] {
            let text = faults(platform, video, audio);
            assert!(text.contains(said), "{platform} {video} {audio}: {text}");
            assert!(text.contains("preset"), "{text}");
        }
        assert_eq!(faults("youtube", "codec = \"av1\"", ""), "");
        assert_eq!(faults("facebook", "fps = 60\nbitrate = \"6M\"", ""), "");
        assert!(faults("myspace", "", "").contains("\"twitch\""));
    }
}
