//! `[[channel.output]]`: a destination outside the node.

use std::collections::HashMap;

use serde_json::Value;

use super::fault::Faults;
use super::field::{name as name_of, needed_name, unique};
use super::platform::Platform;
use super::rendition::MAIN_RENDITION;
use super::section::Section;
use super::{document, relay};
use crate::command::OutputRules;
use crate::rtmp::Url;

/// `[[channel.output]]`
#[derive(Clone, Debug, PartialEq)]
pub struct OutputConfig {
    /// Name in logs, metrics and the API.
    pub name: String,
    /// Where to; its last part is a secret and never shown.
    pub url: Url,
    /// When it drops, and when it gives up a connection.
    pub rules: OutputRules,
    /// Whether it is on.
    pub enabled: bool,
    /// The platform that it goes to, whose limits the channel keeps; `None` if nobody checks.
    pub preset: Option<&'static Platform>,
    /// Name of the rendition that it sends; `None` for the first.
    pub rendition: Option<Box<str>>,
}

/// Most outputs of one channel.
pub const OUTPUTS_MAX: usize = 64;

impl OutputConfig {
    /// An output that is on.
    #[must_use]
    pub fn to(name: &str, url: Url) -> Self {
        let (name, rules) = (name.to_owned(), OutputRules::default());
        Self { name, url, rules, enabled: true, preset: None, rendition: None }
    }

    /// Reads a JSON document with the keys of `[[channel.output]]`.
    ///
    /// # Errors
    /// Everything that is wrong, at most ten: each names its key, and none a secret.
    pub fn from_document(document: &Value) -> Result<Self, Vec<String>> {
        document::read_table(document, "the output", read_output)
    }
}

/// The outputs of a channel, each looked at by `check` once it is read.
pub(super) fn read_all(
    tables: Vec<Section<'_>>,
    faults: &mut Faults<'_>,
    check: impl Fn(&OutputConfig, &Section<'_>, &mut Faults<'_>),
) -> Vec<OutputConfig> {
    let mut seen = HashMap::new();
    let mut outputs = Vec::new();
    for (index, mut s) in tables.into_iter().enumerate() {
        if index == OUTPUTS_MAX {
            faults.add(s.span(), format!("a channel has at most {OUTPUTS_MAX} outputs"));
            break;
        }
        let name = needed_name(&mut s, faults);
        if let Some(name) = &name {
            unique(faults, &mut seen, "an output with the name", name);
        }
        let output = read_output(&mut s, faults, name.map(|name| name.value));
        if let Some(output) = &output {
            check(output, &s, faults);
        }
        outputs.extend(output);
        s.finish(faults);
    }
    outputs
}

fn read_output(
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    name: Option<String>,
) -> Option<OutputConfig> {
    let url = relay::needed_url(s, faults);
    let rules = relay::rules(s, faults);
    let enabled = s.flag(faults, "enabled", true);
    let preset = s.word(faults, "preset", &Platform::words());
    let rendition = s.parsed(faults, "rendition", name_of).map(|found| found.value);
    let rendition = rendition.filter(|name| name != MAIN_RENDITION).map(String::into_boxed_str);
    Some(OutputConfig { name: name?, url: url?, rules, enabled, preset, rendition })
}
