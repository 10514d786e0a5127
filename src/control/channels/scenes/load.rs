//! Loading a scene: reading its document, its files and fonts, and starting the decoders of its
//! inputs. All of it may take seconds and happens on a thread of its own.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::library::{Library, OnAir, Target};
use crate::control::channels::assets;
use crate::control::channels::sources::{
    DecoderContext, FILE_LEAD, Sources, Started, Subscription,
};
use crate::media::Micros;
use crate::pipeline::NativeChanges;
use crate::scene::{self, Change, InputKey, PlacedLayer, PreparedScene, ResolvedScene, Scene};

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
    /// Length of the fade; 0 cuts.
    pub(super) fade: Micros,
}

/// A scene that is to be loaded.
#[derive(Debug)]
pub(super) enum What {
    /// One that somebody wrote, or a stack of overlays; shown if it is part of what is on the air.
    New { document: serde_json::Value, target: Target, library: Library, replaces: Option<OnAir> },
    /// One that is known, to be shown.
    Known { next: OnAir, replaces: Option<OnAir> },
}

impl What {
    /// Whether somebody wrote it.
    pub(super) const fn is_new(&self) -> bool {
        matches!(self, Self::New { .. })
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Loaded {
    /// Decoders that want streams; the scene follows.
    Subscriptions(Vec<Subscription>),
    /// It can be shown; nothing is kept of it.
    Checked(Scene),
    /// It is ready for the composer; what of it is stood for by placeholders.
    Ready(Option<Scene>, Box<Changes>, Vec<scene::Error>),
    /// What of the scene on the air cannot be shown now.
    Probed(Vec<scene::Error>),
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
}

/// Loads, and says what happens.
pub(super) fn load(order: Order, mut tell: impl FnMut(Loaded)) {
    let last = match run(order, &mut tell) {
        Ok(last) | Err(last) => last,
    };
    tell(last);
}

fn run(order: Order, tell: &mut impl FnMut(Loaded)) -> Result<Loaded, Loaded> {
    let Order { decoders, what, fade } = order;
    let clock = decoders.clock;
    let wrong = |error: &dyn std::fmt::Display| Loaded::Wrong(vec![error.to_string()]);
    // Whoever writes a scene hears what is wrong with it; one that is known is shown as it can be.
    let (becomes, OnAir { scene, natives }, replaces) = match what {
        What::New { document, target, mut library, replaces } => {
            let (becomes, own) = library.take(&document, &target).map_err(Loaded::Wrong)?;
            check_files(&own)?;
            if replaces.is_none() {
                return Ok(Loaded::Checked(becomes));
            }
            (Some(becomes), library.on_air().map_err(Loaded::Wrong)?, replaces)
        }
        What::Known { next, replaces } => (None, next, replaces),
    };
    let (mut prepared, faults) =
        PreparedScene::with_placeholders(&scene).map_err(|error| wrong(&error))?;
    // Composers let inputs that are the same go on.
    let mut sources = Sources::default();
    let old = replaces.as_ref().map(|old| &old.scene);
    sources.want_pictures(new_inputs(&scene, old), &mut prepared);
    let mut others = Vec::with_capacity(natives.len());
    for (at, scene) in natives.iter().enumerate() {
        // What is wrong with it was told for the canvas.
        let (mut prepared, _) =
            PreparedScene::with_placeholders(scene).map_err(|error| wrong(&error))?;
        let old = replaces.as_ref().and_then(|old| old.natives.get(at));
        sources.want_pictures(new_inputs(scene, old), &mut prepared);
        others.push(prepared);
    }
    let started = sources.start(&decoders, clock.now() + FILE_LEAD);
    // The decoders end by themselves when the scene is dropped.
    let Started { subscriptions, fed, .. } = started.map_err(|error| wrong(&error))?;
    tell(Loaded::Subscriptions(subscriptions));
    let began = clock.now();
    loop {
        let waited = clock.now().since(began);
        let comes = |layer: &str| {
            let mut fed = fed.iter().filter(|(name, _)| name == layer);
            waited < PREROLL_FED_MAX && fed.any(|(_, fed)| fed.load(Ordering::Relaxed))
        };
        let awaited = |layer: &str| waited < PREROLL_MAX || comes(layer);
        let mut ready = prepared.preroll(clock.now(), awaited);
        for scene in &mut others {
            ready &= scene.preroll(clock.now(), awaited);
        }
        if ready {
            break;
        }
        std::thread::park_timeout(LOOK);
    }
    let change =
        |scene| Change::fade(scene, fade).map_err(|error| Loaded::Failed(error.to_string()));
    let mut natives = NativeChanges::default();
    for (place, scene) in natives.iter_mut().zip(others) {
        *place = Some(Box::new(change(scene)?));
    }
    let changes = Changes { change: change(prepared)?, natives };
    Ok(Loaded::Ready(becomes, Box::new(changes), faults))
}

/// The layers of a scene whose pictures do not go on from those of the one before it.
fn new_inputs<'a>(
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

/// That every file and font of a scene can be used.
fn check_files(scene: &ResolvedScene) -> Result<(), Loaded> {
    let (_, faults) = PreparedScene::with_placeholders(scene)
        .map_err(|error| Loaded::Wrong(vec![error.to_string()]))?;
    let mut texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    texts.extend(assets::video_faults(scene));
    if texts.is_empty() { Ok(()) } else { Err(Loaded::Wrong(texts)) }
}

/// Looks whether the files and fonts of a scene can be used now.
pub(super) fn probe(scene: &ResolvedScene) -> Loaded {
    Loaded::Probed(match PreparedScene::with_placeholders(scene) {
        Ok((_, faults)) => faults,
        Err(error) => vec![error],
    })
}
