//! `[[channel.input_rule]]`: what is shown while an input is faulty.

use super::fault::{Faults, quoted};
use super::field::stream_name;
use super::scene::NamedScene;
use super::section::Section;
use crate::media::Micros;
use crate::stream::InputRules;

/// Most rules of a channel.
pub const INPUT_RULES_MAX: usize = 16;

/// Age of its last picture from which on an input is faulty, unless it is said.
const AFTER: Micros = Micros::from_millis(800);

/// How long an input is good before it is shown again, unless it is said.
const BACK_AFTER: Micros = Micros::from_secs(2);

/// What a bitrate is measured over, unless it is said.
const BITRATE_SPAN: Micros = Micros::from_secs(5);

/// `[[channel.input_rule]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRuleConfig {
    /// The published stream that is watched.
    pub stream: String,
    /// The scene of the channel that is shown while it is faulty.
    pub scene: String,
    /// What is wrong with it, and for how long it has to be.
    pub rules: InputRules,
}

/// Reads all rules of a channel, whose scenes are these.
pub(super) fn read_all(
    tables: Vec<Section<'_>>,
    faults: &mut Faults<'_>,
    scenes: &[NamedScene],
) -> Vec<InputRuleConfig> {
    let mut found: Vec<InputRuleConfig> = Vec::new();
    for (index, s) in tables.into_iter().enumerate() {
        if index == INPUT_RULES_MAX {
            faults.add(s.span(), format!("a channel has at most {INPUT_RULES_MAX} input rules"));
            break;
        }
        let place = s.span().clone();
        let Some(rule) = read(s, faults, scenes) else { continue };
        if found.iter().any(|other| other.stream == rule.stream) {
            let stream = quoted(&rule.stream);
            faults.add(&place, format!("there is a rule for {stream} already; write one"));
        }
        found.push(rule);
    }
    found
}

fn read(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    scenes: &[NamedScene],
) -> Option<InputRuleConfig> {
    let stream = s.needed(faults, "stream").and_then(|_| s.parsed(faults, "stream", stream_name));
    let known = |text: &str| match scenes.iter().any(|it| it.name == text) {
        true => Ok(text.to_owned()),
        false => {
            let known: Vec<_> = scenes.iter().map(|it| quoted(&it.name)).collect();
            Err(format!("there is no scene {}; there are {}", quoted(text), known.join(", ")))
        }
    };
    let scene = s.needed(faults, "scene").and_then(|_| s.parsed(faults, "scene", known));
    let ms = |n: Option<u32>, usual| n.map_or(usual, |n| Micros::from_millis(n.into()));
    let after = ms(s.whole(faults, "after_ms", 200..=60_000), AFTER);
    let back_after = ms(s.whole(faults, "back_after_ms", 0..=600_000), BACK_AFTER);
    let mut secs = |key| {
        let seconds: Option<u32> = s.whole(faults, key, 1..=3_600);
        seconds.map(|n| Micros::from_secs(n.into()))
    };
    let [frozen, black, silent, clipping, span] =
        ["frozen_s", "black_s", "silent_s", "clipping_s", "bitrate_s"].map(&mut secs);
    let least = s.bitrate(faults, "bitrate_min", 1_000..=400_000_000);
    if span.is_some() && least.is_none() {
        let text = "`bitrate_s` is what `bitrate_min` is measured over; write that, too";
        faults.add(&s.place("bitrate_s"), text.to_owned());
    }
    s.finish(faults);
    let bitrate = least.map(|bps| (bps, span.unwrap_or(BITRATE_SPAN)));
    let rules = InputRules { after, bitrate, frozen, black, silent, clipping, back_after };
    Some(InputRuleConfig { stream: stream?.value, scene: scene?.value, rules })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(rules: &str) -> Result<Vec<InputRuleConfig>, String> {
        let text = format!(
            "[[channel]]\nname = \"show\"\n{rules}\n[[channel.scene]]\nname = \"main\"\n\
             [[channel.scene]]\nname = \"slate\"\n"
        );
        let config = Config::parse(&text, "x").map_err(|faults| faults.to_string())?;
        Ok(config.channels[0].input_rules.clone())
    }

    const RULE: &str = "[[channel.input_rule]]\nstream = \"live/cam\"\nscene = \"slate\"\n";

    #[test]
    fn a_stream_and_a_scene_are_enough_and_the_age_of_its_pictures_counts() {
        let rule = read(RULE).unwrap().remove(0);
        assert_eq!((rule.stream.as_str(), rule.scene.as_str()), ("live/cam", "slate"));
        assert_eq!((rule.rules.after, rule.rules.back_after), (AFTER, BACK_AFTER));
        assert!(!rule.rules.needs_pictures() && !rule.rules.needs_audio());
        assert_eq!(rule.rules.bitrate, None);
    }

    #[test]
    fn each_fault_has_its_time() {
        let more = "frozen_s = 5\nblack_s = 3\nsilent_s = 10\nclipping_s = 2\n\
            bitrate_min = \"1M\"\nafter_ms = 400\nback_after_ms = 0\n";
        let rules = read(&format!("{RULE}{more}")).unwrap().remove(0).rules;
        let secs = |n| Some(Micros::from_secs(n));
        assert_eq!((rules.frozen, rules.black), (secs(5), secs(3)));
        assert_eq!((rules.silent, rules.clipping), (secs(10), secs(2)));
        assert_eq!(rules.bitrate, Some((1_000_000, BITRATE_SPAN)));
        assert_eq!((rules.after, rules.back_after), (Micros::from_millis(400), Micros(0)));
    }

    #[test]
    fn mistakes_are_told_with_the_way_out() {
        for (rules, told) in [
            ("[[channel.input_rule]]\nscene = \"slate\"\n".to_owned(), "`stream`"),
            (RULE.replace("slate", "slat"), "there are \"main\", \"slate\""),
            (RULE.replace("live/cam", "cam"), "live/"),
            (format!("{RULE}{RULE}"), "there is a rule for \"live/cam\" already"),
            (format!("{RULE}bitrate_s = 3\n"), "`bitrate_min`"),
            (format!("{RULE}frozen_s = 0\n"), "1 to 3600"),
            (format!("{RULE}freeze = 1\n"), "frozen_s"),
        ] {
            let text = read(&rules).unwrap_err();
            assert!(text.contains(told), "{rules}: {text}");
        }
        let many = (0..=INPUT_RULES_MAX).map(|at| RULE.replace("cam", &format!("cam{at}")));
        assert!(read(&many.collect::<String>()).unwrap_err().contains("at most 16"));
    }
}
