//! Offline rendering: the picture and the audio of a channel, tick by tick, as fast as it goes.
//! Each file is decoded as far as the tick needs and clocks begin where they are told to, so that
//! the same configuration gives the same bytes on any machine.

use sha2::{Digest, Sha256};

use crate::audio::Mixer;
use crate::config::ChannelConfig;
use crate::control::channels::error::ChannelError;
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::sources::Sources;
use crate::control::channels::stinger::stinger_in_lockstep;
use crate::frame::{FrozenFrame, Geometry, Pool};
use crate::media::{CHANNELS, FrameRate, Micros, PixelFormat, SAMPLE_RATE};
use crate::pipeline::{LockstepFile, POOL_EXTRA_FRAMES};
use crate::scene::kernel::Level;
use crate::scene::{
    Change, Composed, Composer, PreparedScene, PreparedTransition, Scene, Tick, TransitionKind,
};

/// How a channel is rendered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RenderSpec<'a> {
    /// The channel: its size, rate and audio.
    pub(crate) channel: &'a ChannelConfig,
    /// What of it is shown.
    pub(crate) scene: &'a Scene,
    /// What is shown before, and the tick from which on the scene comes by its own transition, or
    /// the channel's.
    pub(crate) after: Option<(&'a Scene, u64)>,
    /// What clocks show at first, milliseconds since 1970-01-01 UTC.
    pub(crate) unix_ms: u64,
    /// Widest vector instructions.
    pub(crate) level: Level,
    /// Whether the whole picture is drawn anew at each tick: what drawing costs without damage
    /// tracking.
    pub(crate) redraw: bool,
    /// Frames that whoever takes them may hold at once.
    pub(crate) held_frames: u32,
}

/// A channel that is rendered.
#[derive(Debug)]
pub(crate) struct OfflineChannel {
    composer: Composer,
    pool: Pool,
    /// `None` if the channel has no audio.
    mixer: Option<Mixer>,
    files: Vec<LockstepFile>,
    next_scene: Option<NextScene>,
    /// The stinger that runs, and its begin.
    stinger: Option<(LockstepFile, Micros)>,
    rate: FrameRate,
    unix_ms: u64,
    redraw: bool,
    tick: u64,
    samples: Vec<f32>,
}

/// The scene that is shown from one tick on.
#[derive(Debug)]
struct NextScene {
    tick: u64,
    change: Change,
    files: Vec<LockstepFile>,
    stinger: Option<LockstepFile>,
}

/// A tick's picture and audio.
#[derive(Debug)]
pub(crate) struct Rendered<'a> {
    /// Number of the tick.
    pub(crate) tick: u64,
    /// Its picture; the one before, if nothing changed.
    pub(crate) frame: FrozenFrame,
    /// Interleaved stereo up to the next tick; empty if the channel has no audio.
    pub(crate) samples: &'a [f32],
}

impl Rendered<'_> {
    /// SHA-256 of the picture's planes without what lies between their rows, in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (index, plane) in self.frame.geometry().planes().iter().enumerate() {
            let rows = self.frame.plane(index).chunks(plane.stride).take(plane.rows);
            rows.for_each(|row| digest.update(&row[..plane.width]));
        }
        digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl OfflineChannel {
    /// Opens every file of the scene and of the audio sources. What cannot be shown has a
    /// placeholder, as on the air; why is told as texts. Streams are not there: their slates are.
    ///
    /// # Errors
    /// If the scene cannot be drawn at all, or there is no memory.
    pub(crate) fn open(spec: RenderSpec<'_>) -> Result<(Self, Vec<String>), ChannelError> {
        let RenderSpec { channel, scene, after, level, .. } = spec;
        let mut faults = Vec::new();
        let next_scene = match after {
            Some((_, tick)) => Some(NextScene::open((channel, scene), tick, &mut faults)?),
            None => None,
        };
        let scene = after.map_or(scene, |(before, _)| before);
        let (prepared, mut sources) = loaded((channel, scene), &mut faults)?;
        let geometry = Geometry::new(channel.size, PixelFormat::I420);
        let pool = Pool::new(geometry, spec.held_frames + POOL_EXTRA_FRAMES)
            .map_err(ChannelError::Memory)?;
        let mixer = channel.audio.as_ref().map(|_| {
            let mut mixer = Mixer::new(&channel.audio_sources, channel.audio_bus);
            sources.want_audio(&channel.audio_sources, &mut mixer);
            mixer
        });
        let (files, unplayable) = sources.in_lockstep(Micros(0));
        faults.extend(unplayable);
        let offline = Self {
            composer: Composer::with_scene(prepared, level),
            pool,
            mixer,
            files,
            next_scene,
            stinger: None,
            rate: channel.rate,
            unix_ms: spec.unix_ms,
            redraw: spec.redraw,
            tick: 0,
            samples: Vec::new(),
        };
        Ok((offline, faults))
    }

    /// The next tick; `None` while whoever takes the frames holds all of them. A file that fails in
    /// the middle is told by `fault`; its layer shows its placeholder from then on.
    pub(crate) fn next(&mut self, mut fault: impl FnMut(String)) -> Option<Rendered<'_>> {
        let tick = self.tick;
        let (at, next) = (self.rate.due(tick), self.rate.due(tick + 1));
        if let Some(next_scene) = self.next_scene.take_if(|it| it.tick <= tick) {
            let NextScene { change, files, stinger, .. } = next_scene;
            self.composer.change(change);
            self.files.extend(files);
            self.stinger = stinger.map(|file| (file, at));
        }
        // The mixer goes on to the next tick.
        let files = self.files.iter_mut().map(|file| (file, Micros(0)));
        let stinger = self.stinger.iter_mut().map(|(file, begin)| (file, *begin));
        for (file, begin) in files.chain(stinger) {
            if let Err(error) = file.decode_to(next.since(begin)) {
                fault(error.to_string());
            }
        }
        if self.redraw {
            self.composer.redraw_all();
        }
        let now = Tick { n: tick, at, programme: at, unix_ms: self.unix_ms + at.millis() };
        let frame = match self.composer.compose(&now, &self.pool) {
            Composed::Fresh(frame) | Composed::Same(frame) => frame,
            Composed::NoFrame => return None,
        };
        while self.composer.take_retired().is_some() {}
        self.mix(tick);
        self.tick += 1;
        Some(Rendered { tick, frame, samples: &self.samples })
    }

    /// Mixes what is heard from this tick to the next.
    fn mix(&mut self, tick: u64) {
        let Some(mixer) = &mut self.mixer else { return };
        let first = self.rate.samples_at(tick, SAMPLE_RATE);
        let count = self.rate.samples_at(tick + 1, SAMPLE_RATE) - first;
        self.samples.resize(usize::try_from(count).unwrap_or(0) * CHANNELS, 0.0);
        let at = Micros(first * 1_000_000 / u64::from(SAMPLE_RATE));
        mixer.mix(first, at, &mut self.samples);
    }
}

impl NextScene {
    fn open(
        (channel, scene): (&ChannelConfig, &Scene),
        tick: u64,
        faults: &mut Vec<String>,
    ) -> Result<Self, ChannelError> {
        let (prepared, sources) = loaded((channel, scene), faults)?;
        let (files, unplayable) = sources.in_lockstep(channel.rate.due(tick));
        faults.extend(unplayable);
        let transition = scene.transition.as_ref().unwrap_or(&channel.transition);
        let (stinger, pictures) = match &transition.kind {
            TransitionKind::Stinger { path, .. } => match stinger_in_lockstep(path, channel.size) {
                Ok((file, pictures)) => (Some(file), Some(pictures)),
                Err(error) => {
                    faults.push(error.to_string());
                    (None, None)
                }
            },
            _ => (None, None),
        };
        let transition = PreparedTransition::new(transition, channel.size, pictures);
        let transition = transition.unwrap_or_else(|error| {
            faults.push(error.to_string());
            PreparedTransition::CUT
        });
        Ok(Self { tick, change: Change::new(prepared, transition), files, stinger })
    }
}

/// A scene with everything loaded, and the files that it shows.
fn loaded(
    (channel, scene): (&ChannelConfig, &Scene),
    faults: &mut Vec<String>,
) -> Result<(PreparedScene, Sources), ChannelError> {
    let fault = |error| ChannelError::Scene(channel.name.clone(), error);
    let resolved = channel.resolved(scene).map_err(fault)?;
    let (mut prepared, found) = SceneLoader::new(0).prepare(&resolved).map_err(fault)?;
    faults.extend(found.iter().map(ToString::to_string));
    let mut sources = Sources::default();
    sources.want_pictures(resolved.layers().into_iter(), &mut prepared);
    Ok((prepared, sources))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, NamedScene};

    const SCENES: &str = include_str!("../../../examples/scenes.toml");
    const DIGESTS: &str = include_str!("../../../tests/scenes.sha256");

    /// As `tools/contact_sheet.sh` renders them.
    const TICKS: u64 = 45;
    const UNIX_MS: u64 = 1_700_000_000_000;
    const CHANGE_AT: u64 = 15;

    #[test]
    fn every_small_scene_looks_as_it_did_with_any_instructions() {
        let config = Config::parse(SCENES, "scenes.toml").unwrap();
        let wanted: Vec<_> = DIGESTS.lines().filter_map(|line| line.split_once("  ")).collect();
        assert!(wanted.len() >= 60, "{}", wanted.len());
        let shown = config
            .channels
            .iter()
            .flat_map(|channel| channel.scenes.iter().map(move |scene| (channel, scene)));
        let mut others = Vec::new();
        for (at, (channel, named)) in shown.enumerate() {
            let name = format!("{}/{}", channel.name, named.name);
            // Those with a transition are in the middle of it, coming from the first one.
            let first = &channel.scenes[0].scene;
            let after = named.scene.transition.as_ref().map(|_| (first, CHANGE_AT));
            for level in [Level::Scalar, Level::best()] {
                let spec = RenderSpec {
                    channel,
                    scene: &named.scene,
                    after,
                    unix_ms: UNIX_MS,
                    level,
                    redraw: false,
                    held_frames: 0,
                };
                let (mut offline, _) = OfflineChannel::open(spec).unwrap();
                for _ in 1..TICKS {
                    offline.next(|fault| panic!("{fault}")).unwrap();
                }
                let digest = offline.next(|fault| panic!("{fault}")).unwrap().digest();
                if wanted.get(at) != Some(&(digest.as_str(), name.as_str())) {
                    others.push(format!("{name} with {level:?}"));
                }
            }
        }
        assert!(others.is_empty(), "{others:?}: `make contact-sheet`, and look at docs/scenes.png");
    }

    #[test]
    fn the_page_of_scenes_has_every_small_scene_with_its_picture_and_its_text() {
        const PAGE: &str = include_str!("../../../docs/scenes.md");
        let config = Config::parse(SCENES, "scenes.toml").unwrap();
        for channel in &config.channels {
            for NamedScene { name, .. } in &channel.scenes {
                let heading = format!("\n### {}/{name}\n", channel.name);
                assert!(PAGE.contains(&heading), "{heading}: `make contact-sheet`");
                let picture = format!("docs/scenes/{}-{name}.png", channel.name);
                let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join(picture);
                assert!(picture.is_file(), "{}: `make contact-sheet`", picture.display());
            }
        }
        let texts = SCENES.split("\n\n").filter(|text| text.starts_with("[[channel.scene]]"));
        for text in texts {
            assert!(PAGE.contains(text.trim_end()), "{text}: `make contact-sheet`");
        }
    }
}
