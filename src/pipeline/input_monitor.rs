//! The input monitor: a plain thread that looks at a published stream for rules about it. It
//! decodes keyframes and audio only, and those only where a rule needs them.

use std::time::Duration;

use crate::command::SubscriptionEvent;
use crate::decode::{DecodeSink, Live, LiveSpec};
use crate::frame::{AudioBlock, FrozenFrame, PictureEvent};
use crate::media::{CHANNELS, Kind, Micros, Size};
use crate::ring::{Bell, Receiver};
use crate::runtime::{Clock, StopFlag};
use crate::stream::{InputHealth, InputNews, InputRules, Message, THUMBNAIL, Thumbnail};

/// How often an input of which nothing comes is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Looks at what comes of a subscription until `stop`, or until that is gone. Runs on its own
/// thread.
pub fn monitor_input(
    rules: &InputRules,
    mut messages: Receiver<SubscriptionEvent>,
    (bell, stop): (&Bell, &StopFlag),
    clock: Clock,
    mut tell: impl FnMut(InputNews),
) {
    let mut monitor = InputMonitor::new(rules, clock.now());
    while !stop.is_stopped() {
        match messages.pop() {
            Some(SubscriptionEvent::Message(message, arrived)) => {
                monitor.message(&message, arrived);
            }
            Some(SubscriptionEvent::Ended { .. }) => monitor.left(clock.now()),
            None if messages.is_finished() => break,
            None => bell.park(LOOK, || stop.is_stopped() || !messages.is_empty()),
        }
        if messages.is_empty()
            && let Some(news) = monitor.health.tick(clock.now())
        {
            tell(news);
        }
    }
}

struct InputMonitor {
    rules: InputRules,
    health: InputHealth,
    /// A decoder of single keyframes, and the sequence header that they follow.
    pictures: Live,
    header: Option<Message>,
    audio: Live,
}

impl InputMonitor {
    fn new(rules: &InputRules, now: Micros) -> Self {
        let health = InputHealth::new(rules, now);
        let (pictures, audio) = (Live::new(thumbnails()), Live::new(thumbnails()));
        Self { rules: *rules, health, pictures, header: None, audio }
    }

    fn message(&mut self, message: &Message, arrived: Micros) {
        let (kind, body) = (message.kind(), message.body());
        if message.track() != 0 || kind == Kind::Data {
            return;
        }
        if !message.is_header() {
            self.health.message(kind == Kind::Video, body.len(), arrived);
        }
        match kind {
            Kind::Video if self.rules.needs_pictures() => self.video(message, arrived),
            Kind::Audio if self.rules.needs_audio() => {
                let mut peak = Peak(None);
                let time = self.audio.arrived(kind, message.time(), body, arrived);
                // What cannot be decoded is not heard.
                drop(self.audio.decode(kind, time, body, &mut peak));
                if let Some(peak) = peak.0 {
                    self.health.audio(peak, arrived);
                }
            }
            _ => {}
        }
    }

    /// Decodes a keyframe by itself.
    fn video(&mut self, message: &Message, arrived: Micros) {
        if message.is_header() {
            self.header = Some(message.clone());
            return;
        }
        if !message.is_key() {
            return;
        }
        let messages = self.header.iter().chain([message]);
        let messages = messages.map(|it| (it.kind(), it.time(), it.body()));
        // What cannot be decoded is not seen: the picture before it stands.
        if let Ok(Some(frame)) = self.pictures.keyframe(messages) {
            self.health.picture(&thumbnail(&frame), arrived);
        }
    }

    fn left(&mut self, now: Micros) {
        self.health.left(now);
        self.audio.ended(&mut Peak(None));
        self.header = None;
    }
}

/// All pictures at the size of a thumbnail.
fn thumbnails() -> LiveSpec {
    let (width, height) = THUMBNAIL;
    let side = |side: usize| u32::try_from(side).unwrap_or(Size::SIDE_MIN);
    let size = Size::new(side(width), side(height));
    LiveSpec::new(Box::new(move |own| size.unwrap_or(own)))
}

/// The brightness of a picture of that size.
fn thumbnail(frame: &FrozenFrame) -> Thumbnail {
    let (width, height) = THUMBNAIL;
    let mut cells = [0; THUMBNAIL.0 * THUMBNAIL.1];
    let stride = frame.geometry().planes()[0].stride;
    let rows = frame.plane(0).chunks(stride).take(height);
    for (cells, row) in cells.chunks_mut(width).zip(rows) {
        cells.copy_from_slice(&row[..width]);
    }
    cells
}

/// The highest sample of what a decoder gives, of full scale.
struct Peak(Option<f32>);

impl DecodeSink for Peak {
    fn picture(&mut self, _picture: PictureEvent) {}

    fn audio(&mut self, block: &AudioBlock) {
        let samples = &block.data[..block.samples * CHANNELS];
        let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        self.0 = Some(self.0.map_or(peak, |before| before.max(peak)));
    }
}
