//! Capabilities of Enhanced RTMP (v2, "Enhancing `NetConnection` `connect` Command"): a peer's, and
//! ours.

use serde::{Deserialize, Serialize};

use super::amf0::Value;
use super::flv::{Audio, AudioFormat, FourCc, Video, VideoFormat};
use super::limits::FOUR_CCS_MAX;

/// What a peer announced. Nothing of it is demanded of publishers: encoders send enhanced codecs
/// without a word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// `fourCcList`: `None` if it sent none.
    listed: Option<Box<[FourCc]>>,
    /// `videoFourCcInfoMap`: codec and [`INFO_DECODE`] and so on.
    video: Option<Box<[(FourCc, u8)]>>,
    /// `audioFourCcInfoMap`.
    audio: Option<Box<[(FourCc, u8)]>>,
    /// `capsEx`.
    bits: u32,
}

/// `*` in a list or a map: all codecs.
const ANY: FourCc = *b"*\0\0\0";

/// Flags of the info maps.
const INFO_DECODE: u8 = 1;
const INFO_ENCODE: u8 = 2;
const INFO_FORWARD: u8 = 4;

/// Bits of `capsEx`.
const RECONNECT: u32 = 1;
const MULTITRACK: u32 = 2;
const MOD_EX: u32 = 4;
const NANO_OFFSET: u32 = 8;

/// What we say of ourselves, as server or client: all four are passed on or understood.
const OURS: f64 = 15.0;

impl Capabilities {
    /// Reads the members of a `connect` object or of its answer. What is of another type than it
    /// should be counts as absent; codecs beyond [`FOUR_CCS_MAX`] are ignored.
    pub(super) fn of(object: &Value) -> Self {
        let listed = object.get("fourCcList").and_then(four_cc_list);
        let map = |name: &str| object.get(name).and_then(info_map);
        let bits = object.get("capsEx").and_then(Value::as_number).map_or(0, bits);
        Self { listed, video: map("videoFourCcInfoMap"), audio: map("audioFourCcInfoMap"), bits }
    }

    /// Whether the peer speaks Enhanced RTMP and says so.
    #[must_use]
    pub const fn is_enhanced(&self) -> bool {
        self.listed.is_some() || self.video.is_some() || self.audio.is_some() || self.bits != 0
    }

    /// Whether the peer can take that video codec in its enhanced form: also if it said nothing
    /// about video codecs.
    #[must_use]
    pub fn can_decode_video(&self, codec: FourCc) -> bool {
        if self.listed.is_none() && self.video.is_none() {
            return true;
        }
        self.lists(codec) || takes(self.video.as_deref(), codec)
    }

    /// The same for audio. A list that names no audio codec at all, as in the first version of
    /// Enhanced RTMP, says nothing about audio.
    #[must_use]
    pub fn can_decode_audio(&self, codec: FourCc) -> bool {
        let names_audio =
            |codec: &FourCc| !matches!(AudioFormat::of_four_cc(*codec), AudioFormat::FourCc(_));
        let listed = self.listed.as_deref().is_some_and(|list| list.iter().any(names_audio));
        if !listed && self.audio.is_none() {
            return true;
        }
        self.lists(codec) || takes(self.audio.as_deref(), codec)
    }

    /// Whether the peer can take a stream with that video header. H.264 in its legacy form is what
    /// every player has; formats without a fourcc are not negotiated.
    #[must_use]
    pub fn takes_video(&self, video: &Video) -> bool {
        let plain = !video.enhanced && video.format == VideoFormat::Avc;
        plain || video.format.four_cc().is_none_or(|codec| self.can_decode_video(codec))
    }

    /// Whether the peer can take a stream with that audio header; legacy forms always pass.
    #[must_use]
    pub fn takes_audio(&self, audio: &Audio) -> bool {
        !audio.enhanced || audio.format.four_cc().is_none_or(|codec| self.can_decode_audio(codec))
    }

    /// Those of a peer that names its codecs in a list of fourccs, such as `hvc1,Opus`, or `*`.
    /// What is no fourcc counts as absent; codecs beyond [`FOUR_CCS_MAX`] are ignored.
    #[must_use]
    pub fn of_list(list: &str) -> Self {
        let names = list.split(',').filter_map(|name| four_cc(name.trim()));
        Self { listed: Some(names.take(FOUR_CCS_MAX).collect()), ..Self::default() }
    }

    /// Whether the peer has said that it takes a stream with that video header, or every player
    /// does: unlike [`Self::takes_video`] silence is no yes.
    #[must_use]
    pub fn names_video(&self, video: &Video) -> bool {
        let named = |codec| self.lists(codec) || takes(self.video.as_deref(), codec);
        match video.format {
            VideoFormat::Avc => !video.enhanced || named(*b"avc1"),
            format => format.four_cc().is_none_or(named),
        }
    }

    /// The same for audio.
    #[must_use]
    pub fn names_audio(&self, audio: &Audio) -> bool {
        let named = |codec| self.lists(codec) || takes(self.audio.as_deref(), codec);
        !audio.enhanced || audio.format.four_cc().is_none_or(named)
    }

    /// Whether it understands a request to reconnect.
    #[must_use]
    pub const fn can_reconnect(&self) -> bool {
        self.bits & RECONNECT != 0
    }

    /// Whether it understands multitrack bodies.
    #[must_use]
    pub const fn has_multitrack(&self) -> bool {
        self.bits & MULTITRACK != 0
    }

    /// Whether it understands `ModEx` prefixes.
    #[must_use]
    pub const fn has_mod_ex(&self) -> bool {
        self.bits & MOD_EX != 0
    }

    /// Whether it understands timestamp offsets in nanoseconds.
    #[must_use]
    pub const fn has_nano_offset(&self) -> bool {
        self.bits & NANO_OFFSET != 0
    }

    fn lists(&self, codec: FourCc) -> bool {
        self.listed.as_deref().is_some_and(|list| list.contains(&ANY) || list.contains(&codec))
    }
}

/// Members that announce us: every codec is passed on, whatever it is.
pub(super) fn ours() -> [(String, Value); 4] {
    let all = || Value::object([("*", f64::from(INFO_FORWARD).into())]);
    [
        ("fourCcList", Value::StrictArray(vec!["*".into()])),
        ("videoFourCcInfoMap", all()),
        ("audioFourCcInfoMap", all()),
        ("capsEx", OURS.into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// Whether a map lets a codec through: to be decoded, or to be forwarded to who decodes it. The
/// flags of `*` hold for every codec.
fn takes(map: Option<&[(FourCc, u8)]>, codec: FourCc) -> bool {
    let flags = map.unwrap_or_default().iter().filter(|(name, _)| *name == codec || *name == ANY);
    flags.fold(0, |all, (_, flags)| all | flags) & (INFO_DECODE | INFO_FORWARD) != 0
}

fn four_cc_list(value: &Value) -> Option<Box<[FourCc]>> {
    let names: Vec<_> = match value {
        Value::StrictArray(values) => values.iter().filter_map(Value::as_str).collect(),
        Value::EcmaArray(members) => members.iter().filter_map(|(_, v)| v.as_str()).collect(),
        _ => return None,
    };
    Some(names.into_iter().filter_map(four_cc).take(FOUR_CCS_MAX).collect())
}

fn info_map(value: &Value) -> Option<Box<[(FourCc, u8)]>> {
    if !matches!(value, Value::Object(_) | Value::EcmaArray(_)) {
        return None;
    }
    let known = f64::from(INFO_DECODE | INFO_ENCODE | INFO_FORWARD);
    let flags = |value: &Value| value.as_number().map(|n| bits(n.min(known)).to_le_bytes()[0]);
    let entries = value.members().iter();
    let entries = entries.filter_map(|(name, value)| Some((four_cc(name)?, flags(value)?)));
    Some(entries.take(FOUR_CCS_MAX).collect())
}

fn four_cc(name: &str) -> Option<FourCc> {
    match name.as_bytes() {
        b"*" => Some(ANY),
        name => name.try_into().ok(),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
const fn bits(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Value {
        Value::StrictArray(names.iter().map(|name| Value::from(*name)).collect())
    }

    fn capabilities(members: &[(&str, Value)]) -> Capabilities {
        let members = members.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Capabilities::of(&Value::Object(members.collect()))
    }

    fn map(entries: &[(&str, f64)]) -> Value {
        let entries = entries.iter().map(|(name, flags)| ((*name).to_owned(), (*flags).into()));
        Value::Object(entries.collect())
    }

    #[test]
    fn a_peer_takes_what_it_names_and_what_every_player_has() {
        let video = |body: &[u8]| Video::parse(body).unwrap();
        let audio = |body: &[u8]| Audio::parse(body).unwrap();
        let (hevc, opus) = (b"\x90hvc1\x01", b"\x90Opus\x01");
        let silent = Capabilities::default();
        assert!(silent.names_video(&video(&[0x17, 0, 0, 0, 0])));
        assert!(silent.names_audio(&audio(&[0xaf, 0])) && silent.names_audio(&audio(&[0x2f])));
        assert!(!silent.names_video(&video(hevc)) && !silent.names_audio(&audio(opus)));
        assert!(!silent.names_video(&video(&[0x1c, 0, 0, 0, 0])), "HEVC by its number");
        assert!(!silent.names_video(&video(b"\x90avc1\x01")));
        let some = Capabilities::of_list("hvc1, Opus,too long,");
        assert!(some.names_video(&video(hevc)) && some.names_audio(&audio(opus)));
        assert!(!some.names_video(&video(b"\x90av01\x01")));
        assert!(Capabilities::of_list("*").names_video(&video(b"\x90av01\x01")));
    }

    #[test]
    fn who_says_nothing_can_take_everything() {
        let silent = capabilities(&[("app", "live".into())]);
        assert!(!silent.is_enhanced() && !silent.can_reconnect());
        assert!(silent.can_decode_video(*b"hvc1") && silent.can_decode_audio(*b"Opus"));
        // Bits alone, or values of the wrong type, say nothing about codecs.
        for value in [Value::Null, 7.0.into(), "hvc1".into(), true.into()] {
            let odd = capabilities(&[
                ("fourCcList", value.clone()),
                ("videoFourCcInfoMap", value),
                ("capsEx", 15.0.into()),
            ]);
            assert!(odd.is_enhanced() && odd.can_decode_video(*b"av01"));
        }
    }

    #[test]
    fn a_list_is_what_the_player_can_take_and_a_star_is_everything() {
        let some = capabilities(&[("fourCcList", list(&["hvc1", "vp09"]))]);
        assert!(some.can_decode_video(*b"hvc1") && some.can_decode_video(*b"vp09"));
        assert!(!some.can_decode_video(*b"av01"));
        assert!(some.can_decode_audio(*b"Opus"), "a list of video codecs is silent about audio");
        let audio = capabilities(&[("fourCcList", list(&["hvc1", "Opus"]))]);
        assert!(audio.can_decode_audio(*b"Opus") && !audio.can_decode_audio(*b"fLaC"));
        let all = capabilities(&[("fourCcList", list(&["*"]))]);
        assert!(all.can_decode_video(*b"av01") && all.can_decode_audio(*b"fLaC"));
        let none = capabilities(&[("fourCcList", list(&[]))]);
        assert!(none.is_enhanced() && !none.can_decode_video(*b"hvc1"));
    }

    #[test]
    fn an_info_map_counts_where_it_says_decode_or_forward() {
        for (flags, takes) in [(0.0, false), (1.0, true), (2.0, false), (4.0, true), (7.0, true)] {
            let caps = capabilities(&[("videoFourCcInfoMap", map(&[("av01", flags)]))]);
            assert_eq!(caps.can_decode_video(*b"av01"), takes, "{flags}");
            assert!(!caps.can_decode_video(*b"hvc1"));
            assert!(caps.can_decode_audio(*b"Opus"), "nothing was said about audio");
        }
        let relay = map(&[("*", 4.0), ("hvc1", 2.0)]);
        let caps = capabilities(&[("videoFourCcInfoMap", relay)]);
        assert!(caps.can_decode_video(*b"hvc1") && caps.can_decode_video(*b"av01"));
        let caps = capabilities(&[("audioFourCcInfoMap", map(&[("Opus", 1.0)]))]);
        assert!(caps.can_decode_audio(*b"Opus") && !caps.can_decode_audio(*b"ac-3"));
        assert!(caps.can_decode_video(*b"av01"));
    }

    #[test]
    fn the_bits_of_caps_ex_are_told_apart() {
        let of = |bits: f64| {
            let caps = capabilities(&[("capsEx", bits.into())]);
            [caps.can_reconnect(), caps.has_multitrack(), caps.has_mod_ex(), caps.has_nano_offset()]
        };
        assert_eq!(of(0.0), [false; 4]);
        assert_eq!(of(1.0), [true, false, false, false]);
        assert_eq!(of(6.0), [false, true, true, false]);
        assert_eq!(of(8.0), [false, false, false, true]);
        assert_eq!(of(-1.0), [false; 4]);
        assert_eq!(of(f64::NAN), [false; 4]);
    }

    #[test]
    fn h264_in_its_legacy_form_is_never_negotiated() {
        let video = |body: &[u8]| Video::parse(body).unwrap();
        let audio = |body: &[u8]| Audio::parse(body).unwrap();
        let none = capabilities(&[("fourCcList", list(&["Opus"]))]);
        assert!(none.takes_video(&video(&[0x17, 0, 0, 0, 0])));
        assert!(none.takes_video(&video(&[0x12])));
        assert!(!none.takes_video(&video(b"\x90avc1\x01")));
        assert!(!none.takes_video(&video(b"\x90hvc1\x01")));
        assert!(!none.takes_video(&video(&[0x1c, 0, 0, 0, 0])), "the same codec by its number");
        assert!(none.takes_audio(&audio(&[0xaf, 0])) && none.takes_audio(&audio(b"\x90Opus")));
        assert!(!none.takes_audio(&audio(b"\x90fLaC")));
    }

    #[test]
    fn lists_and_maps_beyond_the_limit_are_cut() {
        let names: Vec<_> = (0..1_000).map(|n| format!("x{n:03}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let entries: Vec<_> = names.iter().map(|name| (*name, 1.0)).collect();
        let caps =
            capabilities(&[("fourCcList", list(&names)), ("videoFourCcInfoMap", map(&entries))]);
        assert_eq!(caps.listed.as_ref().map(|list| list.len()), Some(FOUR_CCS_MAX));
        assert_eq!(caps.video.as_ref().map(|map| map.len()), Some(FOUR_CCS_MAX));
    }

    #[test]
    fn what_we_announce_reads_back_as_everything() {
        let caps = Capabilities::of(&Value::Object(ours().into()));
        assert!(caps.can_decode_video(*b"av01") && caps.can_decode_audio(*b"Opus"));
        assert!(caps.can_reconnect() && caps.has_multitrack());
        assert!(caps.has_mod_ex() && caps.has_nano_offset());
    }
}
