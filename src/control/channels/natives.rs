//! Native renditions of a channel: prepares its scene for their sizes, and starts the threads that
//! draw it there.

use std::sync::Arc;

use crate::config::{ChannelConfig, RENDITIONS_MAX};
use crate::control::channels::assets::prepare;
use crate::control::channels::context::ChannelContext;
use crate::control::channels::error::ChannelError;
use crate::control::channels::renditions::{FurtherSize, RenditionPlan};
use crate::control::channels::sources::Sources;
use crate::control::threads::{ThreadPlace, ThreadRole};
use crate::frame::Pool;
use crate::media::Size;
use crate::pipeline::{
    NATIVE_QUEUE, NATIVE_RETIRED_QUEUE, NATIVES_MAX, NativeBranch, NativeStage, Tee, draw_native,
};
use crate::ring::{Bell, Receiver, channel};
use crate::scene::kernel::Level;
use crate::scene::{Composer, PreparedScene, Retired};
use crate::stats::{ChannelStats, CoreRole};

// A change of scene has room for each of them.
const _: () = assert!(RENDITIONS_MAX <= NATIVES_MAX);

/// A size at which a channel's scene is to be drawn as well, and the encoders of it.
pub(crate) struct NativeSize {
    size: Size,
    pool: Pool,
    tee: Tee,
    stats: Vec<Arc<ChannelStats>>,
}

/// A native rendition as control knows it.
#[derive(Debug)]
pub(crate) struct NativeEnd {
    /// What its pictures are drawn at.
    pub(crate) size: Size,
    /// Scenes that it no longer shows, to be dropped.
    pub(crate) retired: Receiver<Retired>,
}

impl NativeEnd {
    /// Drops the scenes that it no longer shows, which may take its time.
    pub(crate) fn drop_retired(&mut self) {
        while self.retired.pop().is_some() {}
    }
}

impl NativeSize {
    pub(crate) fn new(plan: &RenditionPlan, size: FurtherSize, tee: Tee) -> Self {
        let FurtherSize { size, pool, encodes, .. } = size;
        let stats = encodes.iter().map(|at| Arc::clone(&plan.encodes[*at].stats)).collect();
        Self { size, pool, tee, stats }
    }

    /// Starts the thread that draws `scene`, which is prepared for its size.
    fn start(
        self,
        context: &ChannelContext,
        channel_name: &str,
        scene: PreparedScene,
    ) -> Result<(NativeBranch, NativeEnd), ChannelError> {
        let Self { size, pool, tee, stats } = self;
        let bell = Bell::new();
        let (ring, ticks) = channel(NATIVE_QUEUE, Arc::clone(&bell));
        let (retire, retired) = channel(NATIVE_RETIRED_QUEUE, Arc::clone(&context.controller));
        let composer = Composer::with_scene(scene, Level::best());
        let clock = context.clock;
        let stage = NativeStage { composer, pool, tee, retired: retire, stats, clock };
        let role = ThreadRole { role: CoreRole::Encoder, of: channel_name.to_owned() };
        let name = format!("native-{}-{channel_name}", size.height());
        let place = ThreadPlace::below(&name, &context.encode_cpus);
        let run = move || draw_native(ticks, &bell, stage);
        context.threads.spawn(role, place, None, run).map_err(ChannelError::Thread)?;
        Ok((NativeBranch::new(ring), NativeEnd { size, retired }))
    }
}

/// Starts all of them with the scene that their channel begins with, whose inputs are shared with
/// those of the canvas, which `sources` has: what the composer and what control has of each.
pub(crate) fn start(
    context: &ChannelContext,
    config: &ChannelConfig,
    sizes: Vec<NativeSize>,
    sources: &mut Sources,
) -> Result<(Vec<NativeBranch>, Vec<NativeEnd>), ChannelError> {
    let started = sizes.into_iter().map(|size| {
        let scene = first_scene(context, config, size.size, sources)?;
        size.start(context, &config.name, scene)
    });
    started.collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().unzip())
}

fn first_scene(
    context: &ChannelContext,
    config: &ChannelConfig,
    size: Size,
    sources: &mut Sources,
) -> Result<PreparedScene, ChannelError> {
    let fault = |error| ChannelError::Scene(config.name.clone(), error);
    let resolved = config.resolved_onto(config.scene(), size).map_err(fault)?;
    let prepared =
        prepare(&resolved, &context.encode_cpus, &context.loader).map_err(ChannelError::Thread)?;
    // What cannot be shown is told for the canvas.
    let (mut scene, _) = prepared.map_err(fault)?;
    sources.want_pictures(resolved.layers().into_iter(), &mut scene);
    Ok(scene)
}
