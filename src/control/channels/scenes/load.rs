//! Loading a scene: reading its document, its files and fonts, and starting the decoders of its
//! inputs. All of it may take seconds and happens on a thread of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::asset_files::FileStamps;
use super::edits::{Edited, Edits};
use super::library::{Library, OnAir, Target};
use crate::config::ChannelConfig;
use crate::control::channels::assets;
use crate::control::channels::bound_text::{self, BoundText};
use crate::control::channels::network_inputs;
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::sources::{
    DecoderContext, FILE_LEAD, Sources, Started, StartedInput, Subscription,
};
use crate::control::channels::stinger::decode_stinger;
use crate::frame::PictureEvent;
use crate::media::{Micros, Size};
use crate::pipeline::NativeChanges;
use crate::ring::Receiver;
use crate::runtime::Clock;
use crate::scene::{
    self, Change, DataSource, InputKey, PlacedLayer, PreparedScene, PreparedTransition,
    ResolvedScene, Scene, Transition, TransitionKind, Warm,
};
use crate::stats::{LayerCost, Timer};

/// How long a scene waits for the first pictures of its inputs before it is shown without them.
const PREROLL_MAX: Micros = Micros::from_millis(400);

/// The same for a stream whose pictures have come in and are being decoded.
const PREROLL_FED_MAX: Micros = Micros::from_secs(2);

/// How often it looks for them.
const LOOK: Duration = Duration::from_millis(4);

/// What is to be loaded, and what for.
#[derive(Debug)]
pub(super) struct Order {
    /// Whose it is, and where its decoders run.
    pub(super) decoders: DecoderContext,
    pub(super) what: What,
    pub(super) how: How,
    pub(super) loader: Arc<SceneLoader>,
    /// What the layers on the air cost so far.
    pub(super) costs: Vec<Arc<LayerCost>>,
}

/// How a scene comes on the air.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct How {
    pub(super) transition: Transition,
    /// Whether somebody wants just that: it is refused if it cannot be. A scene whose usual
    /// transition cannot be comes by a cut.
    pub(super) is_asked: bool,
}

impl How {
    pub(super) const CUT: Self = Self { transition: Transition::CUT, is_asked: false };
}

/// A scene that is to be loaded.
#[derive(Debug)]
pub(super) enum What {
    /// What somebody wrote, one after the other; shown if it is part of what is on the air.
    New { edits: Vec<Edits>, library: Library, replaces: Option<OnAir> },
    /// One that is known, to be shown.
    Known { next: OnAir, replaces: Option<OnAir> },
    /// The one that is shown, whose files have changed. It stays if one of them cannot be shown
    /// now, other than those of these layers.
    Again { scene: OnAir, placeholders: Vec<String> },
}

/// What edits came to, or all that is wrong with them: then they are not made.
pub(super) type Made = Result<Edited, Vec<String>>;

/// What came of it.
#[derive(Debug)]
pub(super) enum Loaded {
    /// Decoders that want streams; the scene follows.
    Subscriptions(Vec<Subscription>),
    /// What can be shown is not on the air.
    Checked(Vec<Made>),
    /// It is ready for the composer; what of it is stood for by placeholders.
    Ready(Vec<Made>, Box<Changes>, Vec<scene::Error>),
    /// What of the scene on the air cannot be shown now.
    Probed(Vec<scene::Error>),
    /// The same, and it stays as it is.
    Kept(Vec<scene::Error>),
    /// The files of the scene on the air as they are now. Those that its texts are bound to have
    /// been read.
    Files(FileStamps),
    /// It is ready to be taken, or why it is not.
    Previewed(Result<Box<Prepared>, String>),
    /// It cannot be shown.
    Wrong(Vec<String>),
    /// It could be shown, but not now.
    Failed(String),
}

/// A scene that is ready at every size that it is drawn at.
#[derive(Debug)]
pub(super) struct Changes {
    /// On the canvas.
    pub(super) change: Change,
    /// At the other sizes.
    pub(super) natives: NativeChanges,
    /// What the layers on the canvas cost.
    pub(super) layers: Vec<Arc<LayerCost>>,
    /// The files as they were before they were loaded.
    pub(super) files: FileStamps,
    pub(super) bound: Bound,
}

/// What the texts of a scene are bound to, and the version of that which it shows.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) sources: Vec<DataSource>,
    pub(super) version: u64,
}

impl Bound {
    /// Of the scene that a channel begins with.
    pub(super) fn of(config: &ChannelConfig, data: &BoundText) -> Self {
        let scene = config.resolved(config.scene());
        scene.map_or_else(|_| Self::default(), |scene| Self::known(&scene, data))
    }

    /// Of a scene that is loaded from what is known now.
    pub(super) fn known(scene: &ResolvedScene, data: &BoundText) -> Self {
        let sources = bound_text::sources(scene);
        let version = data.version_of(&sources);
        Self { sources, version }
    }
}

/// Loads, and says what happens.
pub(super) fn load(order: Order, mut tell: impl FnMut(Loaded)) {
    let last = match run(order, &mut tell) {
        Ok(last) | Err(last) => last,
    };
    tell(last);
}

fn run(order: Order, tell: &mut impl FnMut(Loaded)) -> Result<Loaded, Loaded> {
    let Order { decoders, what, how, loader, costs } = order;
    // Whoever writes a scene hears what is wrong with it; one that is known is shown as it can be.
    let mut placeholders_on_air = None;
    let (made, next, replaces) = match what {
        What::New { edits, mut library, replaces } => {
            let was = library.active.clone();
            let made: Vec<_> = edits.iter().map(|it| make(it, &mut library, &loader)).collect();
            let edited = made.iter().flatten();
            let is_shown = |(target, _): &(Target, Scene)| library.shows(target);
            if was == library.active && !edited.flat_map(|it| &it.becomes).any(is_shown) {
                return Ok(Loaded::Checked(made));
            }
            (made, library.on_air().map_err(Loaded::Wrong)?, replaces)
        }
        What::Known { next, replaces } => (Vec::new(), next, replaces),
        What::Again { scene, placeholders } => {
            placeholders_on_air = Some(placeholders);
            (Vec::new(), scene.clone(), Some(scene))
        }
    };
    let mut sources = Sources::default();
    let (mut prepared, faults) =
        prepared(&next, &how, (&decoders, &loader), |at, scene, prepared| {
            let old = replaces.as_ref().and_then(|old| old.sizes().nth(at));
            sources.want_pictures(new_inputs(scene, old), prepared);
        })?;
    if placeholders_on_air.is_some_and(|known| has_others(&faults, &known)) {
        return Ok(Loaded::Kept(faults));
    }
    start(sources, &decoders, &mut prepared.scenes, tell)?;
    let changes = prepared.into_changes((&next, replaces.as_ref()), decoders.clock, &costs);
    let Some(changes) = changes else { return Ok(Loaded::Checked(made)) };
    Ok(Loaded::Ready(made, Box::new(changes), faults))
}

/// A scene that is loaded, at every size that it is drawn at.
#[derive(Debug)]
pub(super) struct Prepared {
    /// That of the canvas first.
    pub(super) scenes: Vec<PreparedScene>,
    /// Of the same sizes.
    pub(super) transitions: Vec<PreparedTransition>,
    files: FileStamps,
    bound: Bound,
}

/// Loads a scene. `connect` is given it at each size, before its transition is loaded.
fn prepared(
    next: &OnAir,
    how: &How,
    (decoders, loader): (&DecoderContext, &SceneLoader),
    mut connect: impl FnMut(usize, &ResolvedScene, &mut PreparedScene),
) -> Result<(Prepared, Vec<scene::Error>), Loaded> {
    let files = FileStamps::read(next.scene.files());
    loader.data.look(&bound_text::sources(&next.scene));
    let bound = Bound::known(&next.scene, &loader.data);
    let (mut scenes, mut transitions, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for (at, scene) in next.sizes().enumerate() {
        let (mut prepared, found) = loader.prepare(scene).map_err(|error| wrong(&error))?;
        // What is wrong with it is told for the canvas.
        if at == 0 {
            faults = found;
        }
        connect(at, scene, &mut prepared);
        scenes.push(prepared);
        // Before the inputs, whose first pictures would have to wait for it.
        transitions.push(prepared_transition(how, decoders, scene.size())?);
    }
    Ok((Prepared { scenes, transitions, files, bound }, faults))
}

fn wrong(error: &dyn std::fmt::Display) -> Loaded {
    Loaded::Wrong(vec![error.to_string()])
}

/// Starts the decoders of loaded scenes, and waits for their first pictures.
fn start(
    sources: Sources,
    decoders: &DecoderContext,
    scenes: &mut [PreparedScene],
    tell: &mut impl FnMut(Loaded),
) -> Result<(), Loaded> {
    let clock = decoders.clock;
    let started = sources.start(decoders, clock.now() + FILE_LEAD);
    // The decoders end by themselves when the scene is dropped.
    let Started { subscriptions, inputs } = started.map_err(|error| wrong(&error))?;
    tell(Loaded::Subscriptions(subscriptions));
    preroll(clock, &inputs, scenes);
    Ok(())
}

impl Prepared {
    /// What the composer is given to show `next` in the place of what `replaces` says. Layers count
    /// on in their `costs`.
    pub(super) fn into_changes(
        self,
        (next, replaces): (&OnAir, Option<&OnAir>),
        clock: Clock,
        costs: &[Arc<LayerCost>],
    ) -> Option<Changes> {
        let Self { mut scenes, transitions, files, bound } = self;
        let timer = Timer::new(move || clock.nanos());
        let layers = scenes.first_mut().map(|it| it.measure(&timer, costs)).unwrap_or_default();
        let keeps_overlays = replaces.is_some_and(|old| old.scene.has_overlays_of(&next.scene));
        let mut changes = scenes.into_iter().zip(transitions).map(|(scene, transition)| {
            let change = Change::new(scene, transition);
            if keeps_overlays { change } else { change.with_overlays() }
        });
        let change = changes.next()?;
        let mut natives = NativeChanges::default();
        for (place, change) in natives.iter_mut().zip(changes) {
            *place = Some(Box::new(change));
        }
        Some(Changes { change, natives, layers, files, bound })
    }
}

/// A scene that is to be prepared for preview.
#[derive(Debug)]
pub(super) struct PreviewOrder {
    pub(super) decoders: DecoderContext,
    pub(super) next: OnAir,
    pub(super) how: How,
    pub(super) loader: Arc<SceneLoader>,
}

/// Loads a scene for preview and waits for the pictures of its inputs; then it takes none until it
/// is on the air.
pub(super) fn load_preview(order: &PreviewOrder, mut tell: impl FnMut(Loaded)) {
    let made = prepare_preview(order, &mut tell).map_err(|fault| match fault {
        Loaded::Wrong(faults) => faults.join("; "),
        Loaded::Failed(text) => text,
        _ => String::new(),
    });
    tell(Loaded::Previewed(made.map(Box::new)));
}

fn prepare_preview(
    PreviewOrder { decoders, next, how, loader }: &PreviewOrder,
    tell: &mut impl FnMut(Loaded),
) -> Result<Prepared, Loaded> {
    let mut sources = Sources::default();
    let (mut made, faults) = prepared(next, how, (decoders, loader), |_, scene, prepared| {
        let layers = scene.layers().into_iter().filter(|layer| layer.warm != Warm::Off);
        sources.want_pictures(layers, prepared);
    })?;
    check_whole(&next.scene, &faults).map_err(Loaded::Wrong)?;
    start(sources, decoders, &mut made.scenes, tell)?;
    made.scenes.iter_mut().for_each(PreparedScene::forget_pictures);
    Ok(made)
}

/// Makes edits in a library, which stays as it is if something is wrong.
fn make(edits: &Edits, library: &mut Library, loader: &SceneLoader) -> Made {
    let mut next = library.clone();
    let edited = edits.make(&mut next)?;
    for (path, scene) in &edited.resolved {
        check_files(scene, loader).map_err(|faults| edits.at(path, faults))?;
    }
    *library = next;
    Ok(edited)
}

/// Whether a layer cannot be shown that is not among these.
fn has_others(faults: &[scene::Error], layers: &[String]) -> bool {
    let mut failed = faults.iter().filter_map(scene::Error::layer);
    failed.any(|layer| !layers.iter().any(|known| known == layer))
}

/// Waits until all of these scenes have pictures of their inputs, as long as that may take.
fn preroll(clock: Clock, inputs: &[StartedInput], scenes: &mut [PreparedScene]) {
    loop {
        let now = clock.now();
        // What has been decoded for some time has had it.
        let may_come = |input: &StartedInput| {
            let is_fed = input.fed.load(Ordering::Relaxed);
            now.since(input.since) < if is_fed { PREROLL_FED_MAX } else { PREROLL_MAX }
        };
        let awaited = |layer: &str| inputs.iter().any(|it| it.layer == layer && may_come(it));
        let mut ready = true;
        for scene in &mut *scenes {
            ready &= scene.preroll(now, awaited);
        }
        if ready {
            return;
        }
        std::thread::park_timeout(LOOK);
    }
}

/// The layers of a scene whose pictures do not go on from those of the one before it.
pub(super) fn new_inputs<'a>(
    scene: &'a ResolvedScene,
    old: Option<&ResolvedScene>,
) -> impl Iterator<Item = &'a PlacedLayer> {
    let old = old.into_iter().flat_map(ResolvedScene::layers);
    let old: Vec<_> = old.filter_map(InputKey::of).collect();
    scene.layers().into_iter().filter(move |layer| {
        let key = InputKey::of(layer);
        key.is_some_and(|key| !old.contains(&key))
    })
}

/// The transition with its files. What somebody wants is refused if it cannot be; what is usual
/// becomes a cut.
fn prepared_transition(
    how: &How,
    decoders: &DecoderContext,
    size: Size,
) -> Result<PreparedTransition, Loaded> {
    let made = match &how.transition.kind {
        TransitionKind::Stinger { path, .. } => match assets::video_fault(path) {
            Some(fault) => Err(Loaded::Wrong(vec![format!("`transition`: {fault}")])),
            None => stinger(path, decoders, size).map(Some).map_err(Loaded::Failed),
        },
        _ => Ok(None),
    };
    let made = made.and_then(|pictures| {
        let transition = PreparedTransition::new(&how.transition, size, pictures);
        transition.map_err(|error| match error {
            scene::Error::Memory(_) => Loaded::Failed(error.to_string()),
            error => Loaded::Wrong(vec![error.to_string()]),
        })
    });
    made.or_else(|fault| {
        if how.is_asked {
            return Err(fault);
        }
        let told = match &fault {
            Loaded::Wrong(texts) => texts.join("; "),
            Loaded::Failed(text) => text.clone(),
            _ => String::new(),
        };
        tracing::warn!("channel {}: {told}: the scene is cut to", decoders.channel);
        Ok(PreparedTransition::CUT)
    })
}

/// The pictures of a stinger, once there is one, or after the time that inputs have.
fn stinger(
    path: &Path,
    decoders: &DecoderContext,
    size: Size,
) -> Result<Receiver<PictureEvent>, String> {
    let pictures = decode_stinger(decoders, path.to_owned(), size);
    let pictures = pictures.map_err(|error| error.to_string())?;
    let began = decoders.clock.now();
    while pictures.is_empty() && decoders.clock.now().since(began) < PREROLL_MAX {
        std::thread::park_timeout(LOOK);
    }
    Ok(pictures)
}

/// That every file and font of a scene can be used.
fn check_files(scene: &ResolvedScene, loader: &SceneLoader) -> Result<(), Vec<String>> {
    let (_, faults) = loader.prepare(scene).map_err(|error| vec![error.to_string()])?;
    check_whole(scene, &faults)
}

/// That nothing of a scene, in which these `faults` were found when it was loaded, has to be stood
/// for.
fn check_whole(scene: &ResolvedScene, faults: &[scene::Error]) -> Result<(), Vec<String>> {
    let mut texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    texts.extend(assets::video_faults(scene));
    texts.extend(network_inputs::faults(scene));
    if texts.is_empty() { Ok(()) } else { Err(texts) }
}

/// Looks whether the files and fonts of a scene can be used now.
pub(super) fn probe(scene: &ResolvedScene, loader: &SceneLoader) -> Loaded {
    Loaded::Probed(match loader.prepare(scene) {
        Ok((_, faults)) => faults,
        Err(error) => vec![error],
    })
}
