//! The decoders behind layers and audio sources: one thread for each stream or file that is shown
//! or heard, until nobody takes what it gives.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::audio::{self, Mixer};
use crate::command::SubscriptionEvent;
use crate::decode::{DecodeSink, File, FileSpec, FrameView, FrameViewSpec, Live, LiveSpec, Scale};
use crate::event::NodeEvent;
use crate::ffi::set_log_subject;
use crate::frame::{AudioBlock, PictureEvent};
use crate::media::{Micros, Orientation, Size, VideoClip};
use crate::pipeline::{
    self, DECODED_AUDIO_QUEUE, DecodeOut, FanOut, FileNews, FrameChange, FrameReader, LockstepFile,
    PlaybackSpec, SUBSCRIPTION_QUEUE, TAKER_QUEUE, play_file, playback_ends,
};
use crate::ring::{Bell, Sender, channel};
use crate::runtime::Clock;
use crate::scene::{self, InputSource, PlacedLayer, PreparedScene, ResolvedScene};

use crate::control::channels::error::ChannelError;
use crate::control::channels::frame_sockets::FrameSockets;
use crate::control::channels::input_pool::{InputId, InputPool, Shown};
use crate::control::channels::players::Players;
use crate::control::channels::playlist_files::open_in_order;
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
    pub(crate) frame_sockets: FrameSockets,
    pub(crate) players: Players,
    /// What is decoded for the channel already.
    pub(crate) inputs: InputPool,
}

/// A decoder's wish for a stream: its name, and where the messages go.
pub(crate) type Subscription = (Arc<str>, Sender<SubscriptionEvent>);

/// A decoder to be, and who takes what it gives.
struct Wanted {
    key: InputSource,
    /// To each composer that draws its layer; nothing to one that will.
    pictures: Vec<(Option<Sender<PictureEvent>>, Shown)>,
    audio: Vec<Sender<AudioBlock>>,
    /// The layer that shows it, if one does, and the audio sources that play it.
    names: Vec<String>,
}

impl Wanted {
    fn id(&self) -> InputId {
        let shown = self.pictures.iter().map(|(_, shown)| *shown).collect();
        InputId { source: self.key.clone(), shown }
    }

    /// What it is told by.
    fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }
}

impl Shown {
    /// How large pictures are made.
    fn scale(self) -> Scale {
        Box::new(move |source| {
            let own = (source.width(), source.height());
            let (width, height) = scene::layout::natural(own, self.fit, self.scale);
            let even = |side: u32| side.next_multiple_of(2).clamp(Size::SIDE_MIN, Size::SIDE_MAX);
            let own = Size::new(even(width), even(height)).unwrap_or(source);
            scene::layout::fit(self.place, self.fit, own).scaled
        })
    }
}

/// The decoders that are needed. A source that is seen and heard has one for both; one that two
/// layers show at different sizes has two, because its pictures are made as large as each shows
/// them; a layer that is drawn at several sizes has one. What the channel's pool has is not decoded
/// once more.
#[derive(Default)]
pub(crate) struct Sources(Vec<Wanted>);

/// What has been started.
#[derive(Default)]
pub(crate) struct Started {
    /// For the shard: decoders that want streams.
    pub(crate) subscriptions: Vec<Subscription>,
    /// What layers show.
    pub(crate) inputs: Vec<StartedInput>,
}

/// What a layer shows.
pub(crate) struct StartedInput {
    pub(crate) layer: String,
    /// Whether pictures of a stream have come in.
    pub(crate) fed: Arc<AtomicBool>,
    /// Since when it is decoded.
    pub(crate) since: Micros,
}

impl Sources {
    /// Connects every one of these layers of `scene` that shows a stream, a video file or what
    /// another program draws; once more for the same layers of the scene at another size.
    pub(crate) fn want_pictures<'a>(
        &mut self,
        layers: impl Iterator<Item = &'a PlacedLayer>,
        scene: &mut PreparedScene,
    ) {
        for layer in layers {
            let Some(key) = InputSource::of(layer) else { continue };
            // The composer looks on every tick; nobody needs to be woken.
            let (sender, receiver) = channel(TAKER_QUEUE, Bell::new());
            if scene.attach(&layer.name, receiver).is_ok() {
                self.want(key, layer, Some(sender));
            }
        }
    }

    /// The same of layers whose pictures somebody will take: they are decoded and kept.
    pub(crate) fn want_warm<'a>(&mut self, layers: impl Iterator<Item = &'a PlacedLayer>) {
        for layer in layers {
            if let Some(key) = InputSource::of(layer) {
                self.want(key, layer, None);
            }
        }
    }

    fn want(&mut self, key: InputSource, layer: &PlacedLayer, ring: Option<Sender<PictureEvent>>) {
        let pictures = (ring, Shown::of(layer));
        let is_it = |wanted: &&mut Wanted| wanted.key == key && *wanted.name() == layer.name;
        match self.0.iter_mut().find(is_it) {
            Some(wanted) => wanted.pictures.push(pictures),
            None => {
                let (pictures, names) = (vec![pictures], vec![layer.name.clone()]);
                self.0.push(Wanted { key, pictures, audio: Vec::new(), names });
            }
        }
    }

    /// What tells the wanted inputs from others.
    pub(crate) fn ids(&self) -> Vec<InputId> {
        self.0.iter().map(Wanted::id).collect()
    }

    /// The same with the layers that show them.
    pub(crate) fn named_ids(&self) -> impl Iterator<Item = (&str, InputId)> {
        self.0.iter().map(|wanted| (wanted.name(), wanted.id()))
    }

    /// Connects every mixer input that plays a stream or a video file.
    pub(crate) fn want_audio(&mut self, inputs: &[audio::InputSpec], mixer: &mut Mixer) {
        for input in inputs {
            let key = match &input.source {
                audio::Source::Live(stream) => InputSource::Live(stream.clone()),
                audio::Source::Video(clip) => InputSource::Video(clip.clone()),
                audio::Source::Playlist(list) => InputSource::Playlist(list.clone()),
                audio::Source::Network(input) => InputSource::Network(input.clone()),
                _ => continue,
            };
            let (sender, receiver) = channel(DECODED_AUDIO_QUEUE, Bell::new());
            if !mixer.attach(&input.name, receiver) {
                continue;
            }
            match self.0.iter_mut().find(|wanted| wanted.key == key) {
                Some(wanted) => {
                    wanted.audio.push(sender);
                    wanted.names.push(input.name.clone());
                }
                None => {
                    let (audio, names) = (vec![sender], vec![input.name.clone()]);
                    self.0.push(Wanted { key, pictures: Vec::new(), audio, names });
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
        let (mut started, now) = (Started::default(), context.clock.now());
        for wanted in self.0 {
            let (id, layer) = (wanted.id(), wanted.name().to_owned());
            let Wanted { key, pictures, audio, names } = wanted;
            let is_warm = audio.is_empty() && pictures.iter().all(|(ring, _)| ring.is_none());
            let rings = pictures.into_iter().enumerate();
            let mut rings: Vec<_> = rings.filter_map(|(at, (ring, _))| Some((at, ring?))).collect();
            if audio.is_empty()
                && let Some((fed, since)) = context.inputs.join(&id, &mut rings)
            {
                context.players.add_name(&context.channel, &key, &layer);
                started.inputs.push(StartedInput { layer, fed, since });
                continue;
            }
            let sizes = id.shown.clone();
            let fan_out = FanOut::new(sizes.len(), context.clock);
            fan_out.set_warm(is_warm);
            rings.into_iter().for_each(|(size, ring)| fan_out.add(size, ring));
            let out = DecodeOut::shared(fan_out.clone(), audio);
            match sizes.is_empty() {
                true => fan_out.let_go(),
                false => context.inputs.put(id, fan_out, (Arc::clone(&out.fed), now)),
            }
            let fed = Arc::clone(&out.fed);
            started.inputs.push(StartedInput { layer, fed, since: now });
            context.start(key, (names, out, sizes), start, &mut started)?;
        }
        Ok(started)
    }
}

/// The layer and audio sources that want a decoder, where its pictures and audio go, and how large
/// the pictures are made.
pub(super) type Taker = (Vec<String>, DecodeOut, Vec<Shown>);

/// What a thread does.
type Run = Box<dyn FnOnce() + Send>;

impl DecoderContext {
    fn start(
        &self,
        key: InputSource,
        (names, out, sizes): Taker,
        start: Micros,
        started: &mut Started,
    ) -> Result<(), ChannelError> {
        let layer = names.first().cloned().unwrap_or_default();
        match key {
            InputSource::Live(stream) => self.spawn(self.live(&stream, (out, sizes), started)),
            InputSource::Video(clip) => self.spawn(self.video(clip, (names, out, sizes), start)),
            InputSource::Playlist(list) => self.playlist(list, (names, out, sizes), start),
            InputSource::Network(input) => self.network(layer, input, out, live_spec(&sizes)),
            InputSource::Frames(socket) => self.frames(&socket, layer, (out, sizes)),
        }
    }

    fn live(
        &self,
        stream: &str,
        (out, sizes): (DecodeOut, Vec<Shown>),
        started: &mut Started,
    ) -> Run {
        let bell = Bell::new();
        let (subscription, events) = channel(SUBSCRIPTION_QUEUE, Arc::clone(&bell));
        started.subscriptions.push((Arc::from(stream), subscription));
        let spec = LiveSpec { threads: DECODE_THREADS, ..live_spec(&sizes) };
        let (decoder, clock) = (Live::new(spec), self.clock);
        let subject = format!("live input {stream}");
        Box::new(move || {
            set_log_subject(&subject);
            pipeline::decode_live(decoder, events, &bell, out, clock);
        })
    }

    fn video(&self, clip: VideoClip, (names, out, sizes): Taker, start: Micros) -> Run {
        let layer = names.first().cloned().unwrap_or_default();
        let (clock, tell, bell) = (self.clock, self.file_reporter(layer), Bell::new());
        let (want_pictures, want_audio) = (out.has_pictures(), !out.audio.is_empty());
        let subject = clip.path.display().to_string();
        let (remote, end) = playback_ends(&bell);
        self.players.add(&self.channel, names, clip.clone(), remote);
        let spec = PlaybackSpec { path: clip.path.clone(), in_point: clip.in_point, start };
        let open = move || {
            let spec = file_spec(&clip, &sizes, start);
            File::open(&clip.path, FileSpec { want_pictures, want_audio, ..spec })
        };
        Box::new(move || {
            set_log_subject(&subject);
            play_file(open, spec, end, &bell, out, clock, tell);
        })
    }

    fn frames(
        &self,
        socket: &Path,
        layer: String,
        (out, sizes): (DecodeOut, Vec<Shown>),
    ) -> Result<(), ChannelError> {
        let (scale, further) = scales(&sizes);
        let view =
            FrameView::new(FrameViewSpec { scale, further, orientation: orientation(&sizes) });
        let reader = FrameReader::new(view, out, self.input_reporter(layer));
        self.frame_sockets.attach(socket, reader, self.clock, |run| self.spawn(run))
    }

    pub(super) fn spawn(&self, run: Run) -> Result<(), ChannelError> {
        let role = ThreadRole { role: CoreRole::Decoder, of: self.channel.clone() };
        let place = ThreadPlace::below("decode", &self.cpus);
        self.threads.spawn(role, place, None, run).map_err(ChannelError::Thread).map(drop)
    }
}

impl Sources {
    /// The files among these, opened here and decoded by whoever shows them, from this time on; and
    /// what is wrong with the others. Streams stay silent and unseen.
    pub(crate) fn in_lockstep(self, start: Micros) -> (Vec<LockstepFile>, Vec<String>) {
        let (mut files, mut faults) = (Vec::new(), Vec::new());
        for Wanted { key, pictures, audio, names } in self.0 {
            let seen = pictures.into_iter().filter_map(|(ring, shown)| Some((ring?, shown)));
            let (pictures, sizes) = seen.unzip::<_, _, Vec<_>, Vec<_>>();
            let (want_pictures, want_audio) = (!pictures.is_empty(), !audio.is_empty());
            let spec = move |clip: &VideoClip, is_followed| {
                let spec = file_spec(clip, &sizes, start);
                FileSpec { want_pictures, want_audio, is_followed, ..spec }
            };
            let mut out = DecodeOut::new(pictures, audio);
            let opened = match &key {
                InputSource::Playlist(list) => {
                    let opened = open_in_order(list, move |clip| spec(clip, true));
                    opened.map(|(file, following)| (file, Some(following)))
                }
                InputSource::Video(clip) => {
                    File::open(&clip.path, spec(clip, false)).map(|file| (file, None))
                }
                _ => continue,
            };
            match opened {
                Ok((file, following)) => {
                    files.push(LockstepFile::new(file, out).followed_by(following));
                }
                Err(error) => {
                    out.picture(PictureEvent::Failed);
                    let layer = names.first().map_or("", String::as_str);
                    faults.push(format!("\"{layer}\": {error}"));
                }
            }
        }
        (files, faults)
    }
}

/// How large pictures are made for their first reader, if there is one, and for the others.
fn scales(sizes: &[Shown]) -> (Scale, Vec<Scale>) {
    let mut scales = sizes.iter().map(|shown| shown.scale());
    let first = scales.next().unwrap_or_else(|| Shown::SMALL.scale());
    (first, scales.collect())
}

/// How pictures are turned, which is the same for all readers.
fn orientation(sizes: &[Shown]) -> Orientation {
    sizes.first().map_or(Orientation::UPRIGHT, |shown| shown.orientation)
}

/// How a stream is shown by layers of these sizes.
fn live_spec(sizes: &[Shown]) -> LiveSpec {
    let (scale, further) = scales(sizes);
    LiveSpec { further, orientation: orientation(sizes), ..LiveSpec::new(scale) }
}

impl DecoderContext {
    /// Tells everybody when the program behind a layer comes and goes.
    fn input_reporter(&self, layer: String) -> impl FnMut(FrameChange) + Send + use<> {
        let (channel, events) = (self.channel.clone(), Arc::clone(&self.events));
        move |change| {
            let (channel, layer) = (channel.clone(), layer.clone());
            events.force_push(match change {
                FrameChange::Connected(hello) => {
                    NodeEvent::InputConnected { channel, layer, what: hello.to_string() }
                }
                FrameChange::Lost(reason) => NodeEvent::InputLost { channel, layer, reason },
            });
        }
    }

    /// Tells everybody what becomes of the file behind a layer or an audio source.
    pub(super) fn file_reporter(&self, layer: String) -> impl FnMut(FileNews) + Send + use<> {
        let (channel, events) = (self.channel.clone(), Arc::clone(&self.events));
        move |news| {
            let (channel, layer) = (channel.clone(), layer.clone());
            events.force_push(match news {
                FileNews::Failed { reason, retry_in } => {
                    NodeEvent::AssetFailed { channel, layer, reason, retry_in }
                }
                FileNews::Restored => NodeEvent::AssetRestored { channel, layer },
                FileNews::Started => NodeEvent::PlaybackStarted { channel, layer },
                FileNews::Ended => NodeEvent::PlaybackEnded { channel, layer },
            });
        }
    }
}

/// How a clip is played that begins at `start`, for layers of these sizes.
pub(super) fn file_spec(clip: &VideoClip, sizes: &[Shown], start: Micros) -> FileSpec {
    let (scale, further) = scales(sizes);
    FileSpec {
        further,
        orientation: orientation(sizes),
        looped: clip.looped,
        in_point: clip.in_point,
        out_point: clip.out_point,
        threads: DECODE_THREADS,
        keeps_alpha: true,
        ..FileSpec::new(scale, start)
    }
}

/// The layers of a scene that show video files, and the files.
pub(crate) fn scene_videos(scene: &ResolvedScene) -> Vec<(&str, &Path)> {
    let videos = scene.layers().into_iter().filter_map(|layer| match &layer.source {
        scene::Source::Video { clip, .. } => Some((layer.name.as_str(), clip.path.as_path())),
        _ => None,
    });
    videos.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{AtEnd, Color, Layer, Scene, Source, TextStyle};

    #[test]
    fn a_layer_that_is_drawn_at_two_sizes_is_decoded_once_for_both() {
        let color = Color { r: 0, g: 0, b: 0, a: 255 };
        let (font, align) = (None, scene::Align::default());
        let style =
            TextStyle { font, fallback_fonts: Vec::new(), size: 20.0, weight: 400, color, align };
        let live = Source::Live { stream: "live/a".to_owned(), slate: String::new(), style };
        let clip = std::path::PathBuf::from("clip.mp4").into();
        let video = Source::Video { clip, at_end: AtEnd::default() };
        let layers = vec![Layer::new("live", live), Layer::new("video", video)];
        let scene = Scene { background: color, layers, transition: None };
        let canvas = Size::new(640, 360).unwrap();
        let mut sources = Sources::default();
        for onto in [canvas, Size::new(320, 180).unwrap(), Size::new(180, 320).unwrap()] {
            let resolved = ResolvedScene::onto(&scene, (canvas, onto), &[], &|_| None).unwrap();
            let mut prepared = PreparedScene::new(&resolved).unwrap();
            sources.want_pictures(resolved.layers().into_iter(), &mut prepared);
        }
        assert_eq!(sources.0.len(), 2);
        for wanted in &sources.0 {
            let sizes: Vec<_> = wanted.pictures.iter().map(|(_, shown)| *shown).collect();
            let (mut first, further) = scales(&sizes);
            let source = Size::new(1_280, 720).unwrap();
            assert_eq!(first(source), canvas);
            let sizes: Vec<_> = further.into_iter().map(|mut it| it(source).to_string()).collect();
            assert_eq!(sizes, ["320x180", "180x102"]);
        }
    }
}
