//! The decoders behind layers and audio sources: one thread for each stream or file that is shown
//! or heard, until nobody takes what it gives.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::audio::{self, Mixer};
use crate::command::SubscriptionEvent;
use crate::decode::{DecodeSink, File, FileSpec, Live, LiveSpec};
use crate::event::NodeEvent;
use crate::ffi::set_log_subject;
use crate::frame::{AudioBlock, PictureEvent};
use crate::media::{Micros, Rect, Size};
use crate::pipeline::{
    self, DECODED_AUDIO_QUEUE, DecodeOut, FileNews, LockstepFile, PICTURE_QUEUE, Retry,
    SUBSCRIPTION_QUEUE,
};
use crate::ring::{Bell, Sender, channel};
use crate::runtime::Clock;
use crate::scene::{self, Fit, PlacedLayer, PreparedScene, ResolvedScene};

use crate::control::channels::error::ChannelError;
use crate::control::event_queue::EventQueue;
use crate::control::threads::{ThreadPlace, ThreadRole, Threads};
use crate::stats::CoreRole;

/// Threads of a decoder.
pub(super) const DECODE_THREADS: u32 = 2;

/// Time from the opening of a file to its first picture.
pub(crate) const FILE_LEAD: Micros = Micros::from_millis(100);

/// Where decoders run, whose they are, and who hears of their trouble.
#[derive(Clone, Debug)]
pub(crate) struct DecoderContext {
    pub(crate) channel: String,
    pub(crate) cpus: Vec<usize>,
    pub(crate) clock: Clock,
    pub(crate) events: EventQueue,
    pub(crate) threads: Threads,
}

/// A decoder's wish for a stream: its name, and where the messages go.
pub(crate) type Subscription = (Arc<str>, Sender<SubscriptionEvent>);

/// Something that is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SourceKey {
    Live(String),
    Video(PathBuf),
}

/// A decoder to be, and who takes what it gives.
struct Wanted {
    key: SourceKey,
    pictures: Option<(Sender<PictureEvent>, Rect, Fit)>,
    audio: Vec<Sender<AudioBlock>>,
    /// The layer that shows it, or the audio source that plays it.
    layer: String,
}

/// The decoders that are needed. A source that is seen and heard has one for both; one that is seen
/// twice has two, because its pictures are made as large as each layer shows them.
#[derive(Default)]
pub(crate) struct Sources(Vec<Wanted>);

/// What has been started.
#[derive(Default)]
pub(crate) struct Started {
    /// For the shard: decoders that want streams.
    pub(crate) subscriptions: Vec<Subscription>,
    /// Layers that show streams, and whether pictures of theirs have come in.
    pub(crate) fed: Vec<(String, Arc<AtomicBool>)>,
}

impl Sources {
    /// Connects every one of these layers of `scene` that shows a stream or a video file.
    pub(crate) fn want_pictures<'a>(
        &mut self,
        layers: impl Iterator<Item = &'a PlacedLayer>,
        scene: &mut PreparedScene,
    ) {
        for layer in layers {
            let key = match &layer.source {
                scene::Source::Live { stream, .. } => SourceKey::Live(stream.clone()),
                scene::Source::Video(path) => SourceKey::Video(path.clone()),
                _ => continue,
            };
            // The composer looks on every tick; nobody needs to be woken.
            let (sender, receiver) = channel(PICTURE_QUEUE, Bell::new());
            if scene.attach(&layer.name, receiver).is_ok() {
                let pictures = Some((sender, layer.place, layer.fit));
                let layer = layer.name.clone();
                self.0.push(Wanted { key, pictures, audio: Vec::new(), layer });
            }
        }
    }

    /// Connects every mixer input that plays a stream or a video file.
    pub(crate) fn want_audio(&mut self, inputs: &[audio::InputSpec], mixer: &mut Mixer) {
        for input in inputs {
            let key = match &input.source {
                audio::Source::Live(stream) => SourceKey::Live(stream.clone()),
                audio::Source::Video(path) => SourceKey::Video(path.clone()),
                _ => continue,
            };
            let (sender, receiver) = channel(DECODED_AUDIO_QUEUE, Bell::new());
            if !mixer.attach(&input.name, receiver) {
                continue;
            }
            match self.0.iter_mut().find(|wanted| wanted.key == key) {
                Some(wanted) => wanted.audio.push(sender),
                None => {
                    let (audio, layer) = (vec![sender], input.name.clone());
                    self.0.push(Wanted { key, pictures: None, audio, layer });
                }
            }
        }
    }

    /// Starts all decoders; files begin at `start`, or once they can be played. If one has no
    /// thread, those that have end by themselves.
    pub(crate) fn start(
        self,
        context: &DecoderContext,
        start: Micros,
    ) -> Result<Started, ChannelError> {
        let mut started = Started::default();
        for Wanted { key, pictures, audio, layer } in self.0 {
            let bell = Bell::new();
            let (wants_pictures, wants_audio) = (pictures.is_some(), !audio.is_empty());
            let (place, fit, pictures) = shown(pictures);
            let out = DecodeOut::new(pictures, audio);
            let run: Box<dyn FnOnce() + Send> = match key {
                SourceKey::Live(stream) => {
                    let (subscription, events) = channel(SUBSCRIPTION_QUEUE, Arc::clone(&bell));
                    let subject = format!("live input {stream}");
                    started.subscriptions.push((Arc::from(stream), subscription));
                    started.fed.push((layer, Arc::clone(&out.fed)));
                    let decoder = Live::new(LiveSpec {
                        threads: DECODE_THREADS,
                        ..LiveSpec::new(scale(place, fit))
                    });
                    let clock = context.clock;
                    Box::new(move || {
                        set_log_subject(&subject);
                        pipeline::decode_live(decoder, events, &bell, out, clock);
                    })
                }
                SourceKey::Video(path) => {
                    let (clock, tell) = (context.clock, context.teller(layer));
                    let subject = path.display().to_string();
                    let open = move || {
                        let spec = FileSpec {
                            want_pictures: wants_pictures,
                            want_audio: wants_audio,
                            threads: DECODE_THREADS,
                            ..FileSpec::new(scale(place, fit), start.max(clock.now() + FILE_LEAD))
                        };
                        let mut file = File::open(&path, spec)?;
                        Ok(move |out: &mut DecodeOut| file.step(out))
                    };
                    Box::new(move || {
                        set_log_subject(&subject);
                        pipeline::decode_file(open, &bell, out, Retry::default(), tell);
                    })
                }
            };
            let role = ThreadRole { role: CoreRole::Decoder, of: context.channel.clone() };
            let decoder =
                context.threads.spawn(role, ThreadPlace::below("decode", &context.cpus), None, run);
            decoder.map_err(ChannelError::Thread)?;
        }
        Ok(started)
    }
}

impl Sources {
    /// The files among these, opened here and decoded by whoever shows them, from this time on; and
    /// what is wrong with the others. Streams stay silent and unseen.
    pub(crate) fn in_lockstep(self, start: Micros) -> (Vec<LockstepFile>, Vec<String>) {
        let (mut files, mut faults) = (Vec::new(), Vec::new());
        for Wanted { key, pictures, audio, layer } in self.0 {
            let SourceKey::Video(path) = key else { continue };
            let (place, fit, pictures) = shown(pictures);
            let spec = FileSpec {
                want_pictures: pictures.is_some(),
                want_audio: !audio.is_empty(),
                threads: DECODE_THREADS,
                ..FileSpec::new(scale(place, fit), start)
            };
            let mut out = DecodeOut::new(pictures, audio);
            match File::open(&path, spec) {
                Ok(file) => files.push(LockstepFile::new(file, out)),
                Err(error) => {
                    out.picture(PictureEvent::Failed);
                    faults.push(format!("\"{layer}\": {error}"));
                }
            }
        }
        (files, faults)
    }
}

/// Where pictures go, and how large they are made; those that nobody sees, small.
fn shown(
    pictures: Option<(Sender<PictureEvent>, Rect, Fit)>,
) -> (Rect, Fit, Option<Sender<PictureEvent>>) {
    match pictures {
        Some((sender, place, fit)) => (place, fit, Some(sender)),
        None => (Rect { x: 0, y: 0, w: 16, h: 16 }, Fit::Fill, None),
    }
}

impl DecoderContext {
    /// Tells everybody what becomes of the file behind a layer or an audio source.
    fn teller(&self, layer: String) -> impl FnMut(FileNews) + Send + use<> {
        let (channel, events) = (self.channel.clone(), Arc::clone(&self.events));
        move |news| {
            let (channel, layer) = (channel.clone(), layer.clone());
            events.force_push(match news {
                FileNews::Failed { reason, retry_in } => {
                    NodeEvent::AssetFailed { channel, layer, reason, retry_in }
                }
                FileNews::Restored => NodeEvent::AssetRestored { channel, layer },
            });
        }
    }
}

/// The layers of a scene that show video files, and the files.
pub(crate) fn scene_videos(scene: &ResolvedScene) -> Vec<(&str, &Path)> {
    let videos = scene.layers().into_iter().filter_map(|layer| match &layer.source {
        scene::Source::Video(path) => Some((layer.name.as_str(), path.as_path())),
        _ => None,
    });
    videos.collect()
}

/// How large a source's pictures are made for a layer.
fn scale(place: Rect, fit: Fit) -> Box<dyn FnMut(Size) -> Size + Send> {
    Box::new(move |source| scene::layout::fit(place, fit, source).scaled)
}
