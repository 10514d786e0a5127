//! Monitor of a channel: small moving pictures of its programme and of its preview, drawn on a
//! thread of its own, and only when somebody asks for one.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use image::codecs::jpeg::JpegEncoder;

use super::library::OnAir;
use crate::command::Answer;
use crate::control::channels::input_pool::{InputId, InputPool};
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::screenshot::scaled_to;
use crate::control::channels::sources::Sources;
use crate::control::handle::{Reply, say};
use crate::frame::{FrozenFrame, Geometry, PictureEvent, Pool};
use crate::media::{Micros, PixelFormat, Size};
use crate::pipeline::FrameTapEnd;
use crate::ring::{Bell, Sender, channel};
use crate::runtime::Clock;
use crate::scene::kernel::Level;
use crate::scene::{Composed, Composer, Scaler, Tick, snapshot};

/// Pixels across, where the canvas is not narrower.
const WIDTH: u32 = 480;

/// Quality of the JPEG, of 100.
const QUALITY: u8 = 75;

/// Who asks sooner after another gets the same picture.
const INTERVAL: Micros = Micros::from_millis(100);

/// How long the drawn scene of the preview is kept after the last request.
const LINGER: Duration = Duration::from_secs(3);

/// How long the programme's next frame is waited for.
const FRAME_WAIT: Duration = Duration::from_millis(500);

/// Requests of a channel that may wait. Further ones are turned away.
const WAITING_MAX: usize = 16;

/// Frames of the canvas' size that a preview is drawn in, and of the picture's: the one that is
/// drawn, the one before it, and one in hand.
const FRAMES: u32 = 3;

/// Control's end of a monitor, which ends with it.
#[derive(Debug)]
pub(super) struct MonitorEnd(mpsc::SyncSender<Order>);

impl MonitorEnd {
    /// With the other end, for the thread that draws.
    pub(super) fn new() -> (Self, Orders) {
        let (orders, waiting) = mpsc::sync_channel(WAITING_MAX);
        (Self(orders), waiting)
    }

    /// Has somebody answered with a picture.
    pub(super) fn ask(&self, reply: Reply, shows: Shows) {
        if let Err(error) = self.0.try_send(Order { reply, shows }) {
            let (mpsc::TrySendError::Full(Order { reply, .. })
            | mpsc::TrySendError::Disconnected(Order { reply, .. })) = error;
            let text = "other pictures are being drawn; try again".to_owned();
            say(reply, Answer::Unavailable(text));
        }
    }
}

/// What is asked of a monitor.
pub(super) type Orders = mpsc::Receiver<Order>;

/// A picture that somebody waits for.
#[derive(Debug)]
pub(super) struct Order {
    reply: Reply,
    shows: Shows,
}

/// What is shown.
#[derive(Debug)]
pub(super) enum Shows {
    /// What is on the air.
    Programme,
    /// The scene in preview, with the number of its load.
    Preview(u64, Box<OnAir>),
}

/// What draws.
pub(super) struct MonitorStage {
    /// Of the canvas.
    pub(super) size: Size,
    pub(super) clock: Clock,
    pub(super) loader: Arc<SceneLoader>,
    pub(super) inputs: InputPool,
    pub(super) tap: FrameTapEnd,
}

/// What was drawn for the last request of its kind.
#[derive(Default)]
struct Newest {
    jpeg: Vec<u8>,
    at: Option<Micros>,
}

impl MonitorStage {
    /// Draws what is asked for until nobody can ask any more.
    pub(super) fn run(mut self, orders: &Orders) {
        let (mut preview, mut newest) = (None, [Newest::default(), Newest::default()]);
        loop {
            let order = match orders.recv_timeout(LINGER) {
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    // Nobody looks: nothing is kept, and the thread sleeps.
                    (preview, newest) = (None, [Newest::default(), Newest::default()]);
                    orders.recv().ok()
                }
                order => order.ok(),
            };
            let Some(Order { reply, shows }) = order else { return };
            let now = self.clock.now();
            let newest = &mut newest[usize::from(matches!(shows, Shows::Preview(..)))];
            let known = preview.as_ref().map(|it: &PreviewStage| it.ticket);
            let is_other = matches!(&shows, Shows::Preview(ticket, _) if known != Some(*ticket));
            let is_fresh = newest.at.is_some_and(|at| now.since(at) < INTERVAL);
            if is_other || !is_fresh {
                let frame = match shows {
                    Shows::Programme => self
                        .tap
                        .next(FRAME_WAIT)
                        .ok_or_else(|| "the channel draws no frames now; try again".to_owned()),
                    Shows::Preview(ticket, scene) => self.draw(&mut preview, (ticket, &scene)),
                };
                match frame.and_then(|frame| jpeg(frame, self.size)) {
                    Ok(jpeg) => *newest = Newest { jpeg, at: Some(now) },
                    Err(text) => {
                        say(reply, Answer::Unavailable(text));
                        continue;
                    }
                }
            }
            say(reply, Answer::Picture(newest.jpeg.clone()));
        }
    }

    /// The scene in preview as it is now.
    fn draw(
        &self,
        preview: &mut Option<PreviewStage>,
        (ticket, scene): (u64, &OnAir),
    ) -> Result<FrozenFrame, String> {
        if preview.as_ref().is_none_or(|it| it.ticket != ticket) {
            *preview = None; // before the new one: not both at once
            *preview = Some(self.load(ticket, scene)?);
        }
        let stage = preview.as_mut().ok_or("there is no preview")?;
        for input in &mut stage.inputs {
            input.renew(&self.inputs);
        }
        let at = self.clock.now();
        let programme = Micros(at.since(stage.began).0);
        let tick = Tick { n: stage.n, at, programme, unix_ms: self.clock.unix_millis() };
        stage.n += 1;
        match stage.composer.compose(&tick, &stage.pool) {
            Composed::Fresh(frame) | Composed::Same(frame) => Ok(frame),
            Composed::NoFrame => Err("there is no frame to draw into".to_owned()),
        }
    }

    fn load(&self, ticket: u64, scene: &OnAir) -> Result<PreviewStage, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let (mut prepared, _) = self.loader.prepare(&scene.scene).map_err(|error| text(&error))?;
        let mut sources = Sources::default();
        for size in scene.sizes() {
            sources.want_warm(size.layers().into_iter());
        }
        let mut inputs = Vec::new();
        for (layer, id) in sources.named_ids() {
            let (sender, receiver) = channel(PreviewInput::QUEUE, Bell::new());
            if prepared.attach(layer, receiver).is_ok() {
                inputs.push(PreviewInput { id, pictures: sender, known: 0 });
            }
        }
        let mut stage = PreviewStage {
            ticket,
            composer: Composer::with_scene(prepared, Level::best()),
            pool: pool(self.size)?,
            inputs,
            began: self.clock.now(),
            n: 0,
        };
        stage.inputs.iter_mut().for_each(|input| input.renew(&self.inputs));
        Ok(stage)
    }
}

/// The scene in preview as it is drawn for whoever looks.
struct PreviewStage {
    ticket: u64,
    composer: Composer,
    pool: Pool,
    inputs: Vec<PreviewInput>,
    began: Micros,
    n: u64,
}

/// An input of it, which is given the newest picture before each that is drawn.
struct PreviewInput {
    id: InputId,
    pictures: Sender<PictureEvent>,
    /// Number of the picture that it has.
    known: u64,
}

impl PreviewInput {
    /// It is emptied before each picture that is drawn.
    const QUEUE: usize = 2;

    fn renew(&mut self, inputs: &InputPool) {
        let newest = inputs.find(&self.id).and_then(|it| it.newest(0, self.known));
        if let Some((number, event)) = newest
            && self.pictures.push(event).is_ok()
        {
            self.known = number;
        }
    }
}

fn pool(size: Size) -> Result<Pool, String> {
    let geometry = Geometry::new(size, PixelFormat::I420);
    Pool::new(geometry, FRAMES).map_err(|error| error.to_string())
}

/// A frame of this size as a small JPEG.
fn jpeg(frame: FrozenFrame, canvas: Size) -> Result<Vec<u8>, String> {
    let small = scaled_to(canvas, WIDTH.min(canvas.width()));
    let small = small.filter(|small| Scaler::can_scale(canvas, *small)).unwrap_or(canvas);
    let frame = match small == canvas {
        true => frame,
        false => {
            let mut scaler = Scaler::new(canvas, small, Level::best());
            scaler.scale(&frame, &pool(small)?).ok_or("there is no frame to draw into")?
        }
    };
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    snapshot(&frame).write_with_encoder(encoder).map_err(|error| error.to_string())?;
    Ok(jpeg)
}
