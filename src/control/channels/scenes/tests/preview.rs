//! Scenes in preview, and inputs that are decoded before their scenes are on the air.

use super::*;
use crate::command::{PreviewState, PreviewView, TakenView};

fn channel_name() -> String {
    CHANNEL.to_owned()
}

/// A scene with this stream in all of it.
fn live(warm: &str) -> Value {
    json!({ "layer": [{ "name": "cam", "type": "live", "stream": "live/cam", "warm": warm }] })
}

impl Bench {
    fn preview(&mut self, scene: &str) {
        let scene = Some(scene.to_owned());
        let ask = Ask::PutPreview { channel: channel_name(), scene };
        assert!(matches!(self.ask(ask).try_recv(), Ok(Answer::Done)));
    }

    fn preview_view(&mut self) -> Option<PreviewView> {
        match self.ask(Ask::Preview { channel: channel_name() }).try_recv() {
            Ok(Answer::Preview(view)) => view,
            other => panic!("{other:?}"),
        }
    }

    fn state(&mut self) -> PreviewState {
        self.preview_view().unwrap().state
    }

    /// Waits until the scene in preview is ready, or cannot be shown.
    fn settled(&mut self, scene: &str) -> PreviewState {
        self.preview(scene);
        while self.state() == PreviewState::Loading {
            self.handle();
        }
        self.state()
    }

    fn take(&self, transition: Option<Value>, swap: bool) -> Ask {
        Ask::Take { channel: channel_name(), transition, swap }
    }

    /// Takes what is ready: no thread has to be waited for.
    fn take_ready(&mut self, transition: Option<Value>, swap: bool) -> TakenView {
        let ask = self.take(transition, swap);
        let mut answer = self.ask(ask);
        assert!(!self.changes.is_empty(), "it is on its way to the composer at once");
        self.tick();
        match answer.try_recv() {
            Ok(Answer::Taken(taken)) => taken,
            other => panic!("{other:?}"),
        }
    }

    /// Adds a scene, or replaces one.
    fn put_scene(&mut self, name: &str, document: Value) {
        let ask = self.put(name, None, document);
        assert!(matches!(self.fulfil(ask), Answer::Done));
    }

    /// How many decoders have wanted a stream since the last call. What they are given is kept, as
    /// a shard does.
    fn subscribed(&mut self) -> usize {
        let new = self.scenes.take_subscriptions();
        let count = new.len();
        self.subscriptions.extend(new);
        count
    }

    fn inputs(&self) -> usize {
        self.scenes.channels[0].ends.as_ref().unwrap().inputs.len()
    }

    fn kinds(&self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.events.pop()).map(|event| event.name()).collect()
    }
}

#[test]
fn a_scene_that_is_ready_is_taken_at_the_next_frame_and_the_other_is_in_preview_then() {
    let mut bench = bench();
    bench.tick();
    assert!(bench.preview_view().is_none());
    bench.preview("other");
    assert_eq!(bench.state(), PreviewState::Loading);
    assert_eq!(bench.settled("other"), PreviewState::Ready);
    assert_eq!(
        (bench.tick(), bench.view().active.as_str()),
        (16, "main"),
        "the programme is as it was"
    );
    let asked_at = bench.n;
    let taken = bench.take_ready(Some(json!({ "type": "cut" })), true);
    let main = Some("main".to_owned());
    let scene = "other".to_owned();
    let wanted = TakenView { scene, asked_frame: 0, frame: Some(asked_at), preview: main };
    assert_eq!(taken, wanted);
    assert_eq!((bench.tick(), bench.view().active.as_str()), (235, "other"));
    while bench.state() == PreviewState::Loading {
        bench.handle();
    }
    let taken = bench.take_ready(Some(json!({ "type": "cut" })), false);
    assert_eq!((taken.preview, bench.tick()), (None, 16));
    assert!(bench.kinds().contains(&"preview_ready"));
    let nothing = bench.take(None, true);
    assert!(matches!(bench.ask(nothing).try_recv(), Ok(Answer::Conflict(_))));
}

#[test]
fn a_take_may_ask_for_another_transition_than_the_usual_one() {
    let mut bench = bench();
    bench.tick();
    bench.settled("other");
    bench.take_ready(Some(json!({ "type": "fade", "duration_ms": 200 })), true);
    let lumas: Vec<_> = (0..10).map(|_| bench.tick()).collect();
    assert!(lumas.is_sorted() && lumas[0] < 100 && lumas[9] == 235, "{lumas:?}");
    bench.settled("main");
    let wipe = json!({ "type": "wipe", "shape": "clock", "duration_ms": 200 });
    let ask = bench.take(Some(wipe), true);
    assert!(matches!(bench.fulfil(ask), Answer::Taken(_)), "one that is worked out takes longer");
    bench.settled("other");
    let odd = bench.take(Some(json!({ "type": "melt" })), true);
    assert!(matches!(bench.ask(odd).try_recv(), Ok(Answer::Invalid(_))));
    assert_eq!(bench.state(), PreviewState::Ready, "and it is still there");
}

#[test]
fn an_edit_of_the_scene_in_preview_is_in_preview_and_one_of_another_loads_nothing() {
    let mut bench = bench();
    bench.tick();
    bench.settled("other");
    bench.put_scene("other", color("#808080"));
    assert_eq!(bench.state(), PreviewState::Loading);
    while bench.state() == PreviewState::Loading {
        bench.handle();
    }
    bench.put_scene("third", color("#101010"));
    assert_eq!(bench.state(), PreviewState::Ready);
    bench.take_ready(Some(json!({ "type": "cut" })), true);
    assert_eq!(bench.tick(), 126);
}

#[test]
fn a_scene_that_cannot_be_shown_says_why_and_the_programme_is_as_it_was() {
    let mut bench = bench();
    bench.tick();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logo.png");
    image::RgbaImage::from_pixel(8, 8, image::Rgba([255; 4])).save(&path).unwrap();
    let scene = json!({ "layer": [{ "name": "logo", "type": "image", "path": path }] });
    bench.put_scene("broken", scene);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(bench.settled("broken"), PreviewState::Failed);
    let reason = bench.preview_view().unwrap().reason.unwrap();
    assert!(reason.contains("logo.png"), "{reason}");
    assert_eq!((bench.tick(), bench.view().active.as_str()), (16, "main"));
    assert!(bench.kinds().contains(&"preview_failed"));
    let ask = bench.take(None, true);
    assert!(matches!(bench.fulfil(ask), Answer::Taken(_)), "its placeholder is shown");
    image::RgbaImage::from_pixel(8, 8, image::Rgba([255; 4])).save(&path).unwrap();
    bench.settled("other");
    assert_eq!(bench.settled("broken"), PreviewState::Ready, "it is tried again when it is put");
}

#[test]
fn a_scene_that_is_removed_leaves_the_preview() {
    let mut bench = bench();
    bench.tick();
    bench.settled("other");
    let ask = Ask::RemoveScene { channel: channel_name(), scene: "other".to_owned() };
    assert!(matches!(bench.ask(ask).try_recv(), Ok(Answer::Done)));
    bench.scenes.tick();
    assert!(bench.preview_view().is_none());
    let scene = Some("other".to_owned());
    let ask = Ask::PutPreview { channel: channel_name(), scene };
    assert!(matches!(bench.ask(ask).try_recv(), Ok(Answer::NotFound(_))));
    bench.preview("main");
    let ask = Ask::PutPreview { channel: channel_name(), scene: None };
    assert!(matches!(bench.ask(ask).try_recv(), Ok(Answer::Done)));
    assert!(bench.preview_view().is_none());
}

#[test]
fn an_input_of_several_scenes_is_decoded_once_and_from_when_its_layer_says_on() {
    let mut bench = bench();
    bench.tick();
    bench.put_scene("off", live("off"));
    bench.put_scene("cold", live("preview"));
    bench.put_scene(
        "small",
        json!({ "layer": [{
        "name": "cam", "type": "live", "stream": "live/cam", "width": "50%",
    }] }),
    );
    assert_eq!((bench.inputs(), bench.subscribed()), (0, 0));
    bench.settled("off");
    assert_eq!(bench.inputs(), 0);
    bench.settled("cold");
    assert_eq!((bench.inputs(), bench.subscribed()), (1, 1));
    bench.put_scene("always", live("always"));
    bench.put_scene("again", live("always"));
    assert_eq!((bench.inputs(), bench.subscribed()), (1, 0));
    bench.settled("small");
    assert_eq!(bench.inputs(), 2, "its pictures have another size");
    bench.settled("other");
    assert_eq!(bench.inputs(), 1);
    for scene in ["always", "again"] {
        let ask = Ask::RemoveScene { channel: channel_name(), scene: scene.to_owned() };
        assert!(matches!(bench.ask(ask).try_recv(), Ok(Answer::Done)));
    }
    bench.scenes.tick();
    assert_eq!(bench.inputs(), 0, "nobody needs it any more");
}

#[test]
fn inputs_that_are_always_warm_end_with_their_channel() {
    let mut bench = bench();
    bench.tick();
    bench.put_scene("always", live("always"));
    assert_eq!(bench.inputs(), 1);
    // The composer is gone.
    bench.changes = channel(1, Bell::new()).1;
    bench.scenes.tick();
    assert_eq!(bench.inputs(), 0);
}

#[test]
fn two_hundred_takes_decode_nothing_anew_and_keep_nothing() {
    let mut bench = bench();
    bench.tick();
    bench.put_scene("one", live("always"));
    bench.put_scene("two", live("preview"));
    let ask = bench.activate("one", 0);
    assert!(matches!(bench.fulfil(ask), Answer::Done));
    bench.preview("two");
    for _ in 0..200 {
        while bench.state() == PreviewState::Loading {
            bench.handle();
        }
        bench.take_ready(Some(json!({ "type": "cut" })), true);
        bench.tick();
        assert_eq!(bench.inputs(), 1);
    }
    assert_eq!(bench.subscriptions.len() + bench.subscribed(), 1);
    let inputs = bench.scenes.channels[0].ends.as_ref().unwrap().inputs.clone();
    let id = bench.scenes.channels[0].warm[0].clone();
    let takers = inputs.find(&id).unwrap().takers(0);
    assert!(takers <= 2, "{takers} take it");
}

#[test]
fn more_inputs_than_a_channel_keeps_warm_are_refused_with_what_to_do() {
    let mut bench = bench();
    bench.tick();
    let cam = |n: usize| {
        let stream = format!("live/{n}");
        json!({ "name": stream, "type": "live", "stream": stream, "warm": "always" })
    };
    let scene = |count: usize| json!({ "layer": (0..count).map(cam).collect::<Vec<_>>() });
    bench.put_scene("most", scene(16));
    bench.put_scene("same", scene(16));
    let ask = bench.put("more", None, scene(17));
    match bench.fulfil(ask) {
        Answer::Invalid(faults) => assert!(faults[0].contains("at most 16 inputs"), "{faults:?}"),
        other => panic!("{other:?}"),
    }
}
