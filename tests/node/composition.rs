//! Composition: what drawing a programme takes, layer by layer, as the API and the metrics tell it.

use serde_json::{Value, json};

use crate::api::{ask, done};
use crate::config::Config;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};

const COMPOSITION: &str = "GET /channels/demo/composition";

#[test]
fn the_dearest_layers_of_the_scene_on_the_air_are_told() {
    let _turn = beside_others();
    let layers = "[[channel.scene]]\nname = \"studio\"\nbackground = \"#000000\"\n\
         [[channel.scene.layer]]\nname = \"sign\"\ntype = \"color\"\ncolor = \"#ff0000\"\n\
         x = 10\ny = 10\nwidth = 40\nheight = 40\n\
         [[channel.scene.layer]]\nname = \"time\"\ntype = \"clock\"\n\
         x = 60\ny = 10\nwidth = 200\nheight = 40\n\
         [[channel.scene]]\nname = \"pause\"\nbackground = \"#ffffff\"\n\
         [[channel.scene.layer]]\nname = \"wait\"\ntype = \"spinner\"\n\
         x = 60\ny = 10\nwidth = 40\nheight = 40\n";
    let node = Node::start(&Config::new().channel("demo").more(layers));
    let of = |layer: &Value, what: &str| layer[what].as_f64().unwrap();
    let told = |names: &[&str]| {
        wait_until(SOON, "what drawing takes is told", || {
            let told = done(&node, COMPOSITION, &Value::Null);
            let layers = told["layers"].as_array()?;
            let [dearest, still @ ..] = &layers[..] else { return None };
            let is_drawn = of(dearest, "us_per_frame") > 0.0 && of(&told, "frames") > 0.0;
            // Once everything was drawn for the first time.
            let is_still = still.iter().all(|layer| of(layer, "pixels_per_frame") == 0.0);
            let is_it = layers.iter().map(|layer| &layer["name"]).eq(names);
            (is_it && is_drawn && is_still).then_some(told)
        })
    };
    let studio = told(&["time", "sign"]);
    assert_eq!(studio["scene"], "studio");
    let time = &studio["layers"][0];
    assert!(of(time, "pixels_per_frame") > 0.0 && of(time, "cache_bytes") > 0.0, "{studio}");
    assert!(of(&studio, "us_per_frame") >= of(time, "us_per_frame"), "{studio}");
    assert!(of(&studio, "cache_bytes") >= of(time, "cache_bytes"), "{studio}");
    let page = node.http("/metrics").1;
    for series in [
        "composer_draw_seconds_count{channel=\"demo\"}",
        "composer_pixels_total{channel=\"demo\"}",
        "composer_layer_seconds_total{channel=\"demo\",layer=\"time\"}",
        "composer_layer_cache_bytes{channel=\"demo\",layer=\"time\"}",
    ] {
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        assert!(value.is_some_and(|value: f64| value > 0.0), "{series} {value:?}");
    }

    done(&node, "POST /channels/demo/scenes/pause/activate", &json!({}));
    assert_eq!(told(&["wait"])["scene"], "pause");
    assert!(!node.http("/metrics").1.contains("layer=\"time\""));
    let (status, _) = ask(&node, "GET /channels/none/composition", &Value::Null);
    assert_eq!(status, 404);
}
