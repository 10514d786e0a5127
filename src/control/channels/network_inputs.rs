//! Network inputs of a channel: the two threads of each, and its secret.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::decode::{Backlog, LiveSpec, NetworkDecoder, NetworkError, NetworkSource};
use crate::event::NodeEvent;
use crate::ffi::{keep_log_secret, set_log_subject};
use crate::media::{NetworkInput, open_plain};
use crate::pipeline::{self, DecodeOut, NETWORK_QUEUE, NetworkChange, ReadLimit};
use crate::ring::{Bell, channel};
use crate::scene::{PlacedLayer, ResolvedScene, Source};

use crate::control::channels::error::ChannelError;
use crate::control::channels::sources::{DECODE_THREADS, DecoderContext};

/// Longest secret, bytes.
const SECRET_BYTES_MAX: usize = 1_024;

impl DecoderContext {
    /// Starts reading and decoding an input for a layer or an audio source.
    pub(super) fn network(
        &self,
        layer: String,
        input: NetworkInput,
        out: DecodeOut,
        spec: LiveSpec,
    ) -> Result<(), ChannelError> {
        let (bell, limit, clock) = (Bell::new(), Arc::<ReadLimit>::default(), self.clock);
        let (to, events) = channel(NETWORK_QUEUE, Arc::clone(&bell));
        let subject = format!("network input {layer}");
        let decoder = NetworkDecoder::new(LiveSpec { latency: input.latency, ..spec });
        let (name, until) = (subject.clone(), Arc::clone(&limit));
        self.spawn(Box::new(move || {
            set_log_subject(&name);
            pipeline::decode_network(decoder, events, (until, &bell), out, clock);
        }))?;
        let tell = self.network_reporter(layer);
        self.spawn(Box::new(move || {
            set_log_subject(&subject);
            keep_log_secret();
            let backlog = Backlog::default();
            let open = |give_up| {
                let secret = secret_of(&input).map_err(NetworkError::Secret)?;
                NetworkSource::open(&input.url, &secret, (DECODE_THREADS, &backlog), give_up)
            };
            pipeline::read_network(open, to, (&limit, &backlog, clock), tell);
        }))
    }

    /// Tells everybody when the source behind a layer comes and goes.
    fn network_reporter(&self, layer: String) -> impl FnMut(NetworkChange) + Send + use<> {
        let (channel, events) = (self.channel.clone(), Arc::clone(&self.events));
        move |change| {
            let (channel, layer) = (channel.clone(), layer.clone());
            events.force_push(match change {
                NetworkChange::Connected(what) => {
                    NodeEvent::InputConnected { channel, layer, what }
                }
                NetworkChange::Lost(reason) => NodeEvent::InputLost { channel, layer, reason },
            });
        }
    }
}

/// What is wrong with the inputs of a scene that can be told without their servers.
pub(super) fn faults(scene: &ResolvedScene) -> Vec<String> {
    let fault = |layer: &PlacedLayer| {
        let Source::Network { input, .. } = &layer.source else { return None };
        let secret = || secret_of(input).map(drop).map_err(NetworkError::Secret);
        let fault = NetworkSource::check(&input.url).and_then(|()| secret()).err()?;
        Some(format!("layer \"{}\": {fault}", layer.name))
    };
    scene.layers().into_iter().filter_map(fault).collect()
}

/// What stands for the placeholder in the address. It is read for each try, so that it may change.
fn secret_of(input: &NetworkInput) -> Result<String, String> {
    let Some(path) = &input.secret_file else { return Ok(String::new()) };
    let text = read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let text = text.trim();
    if text.is_empty() || text.len() > SECRET_BYTES_MAX || text.contains(char::is_whitespace) {
        let path = path.display();
        return Err(format!("{path} is not one line of 1 to {SECRET_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    open_plain(path)?.take(SECRET_BYTES_MAX as u64 + 2).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{InputUrl, Micros};

    #[test]
    fn a_secret_is_one_line_of_a_file_and_no_fault_repeats_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.secret");
        let url = InputUrl::parse("srt://h:9?streamid={secret}").unwrap();
        let input = NetworkInput { url, secret_file: Some(file.clone()), latency: Micros(0) };
        assert!(secret_of(&input).unwrap_err().contains("a.secret"));
        for (text, secret) in [("k1\n", Some("k1")), ("", None), ("k1\nk2", None)] {
            std::fs::write(&file, text).unwrap();
            let found = secret_of(&input);
            assert_eq!(found.as_deref().ok(), secret, "{text:?}");
            assert!(found.err().is_none_or(|fault| !fault.contains("k1")));
        }
        std::fs::write(&file, "x".repeat(2_000)).unwrap();
        assert!(secret_of(&input).is_err());
        let without = NetworkInput { secret_file: None, ..input };
        assert_eq!(secret_of(&without).unwrap(), "");
    }
}
