//! Network inputs of a channel: the two threads of each, and its secret.

use std::sync::Arc;

use crate::decode::{Backlog, LiveSpec, NetworkDecoder, NetworkError, NetworkSource};
use crate::event::NodeEvent;
use crate::ffi::{keep_log_secret, set_log_subject};
use crate::media::NetworkInput;
use crate::pipeline::{self, DecodeOut, NETWORK_QUEUE, NetworkChange, ReadLimit};
use crate::ring::{Bell, channel};
use crate::scene::{PlacedLayer, ResolvedScene, Source};

use crate::control::channels::error::ChannelError;
use crate::control::channels::secret_file;
use crate::control::channels::sources::{DECODE_THREADS, DecoderContext};

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
                let secret = secret_file::read(input.secret_file.as_deref());
                let secret = secret.map_err(NetworkError::Secret)?;
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
        let secret = || secret_file::read(input.secret_file.as_deref());
        let fault = NetworkSource::check(&input.url)
            .and_then(|()| secret().map(drop).map_err(NetworkError::Secret))
            .err()?;
        Some(format!("layer \"{}\": {fault}", layer.name))
    };
    scene.layers().into_iter().filter_map(fault).collect()
}
