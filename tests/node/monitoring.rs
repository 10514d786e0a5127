//! A real Prometheus scrapes a node with faults: the alerts of `deploy/` see them, and every
//! expression of the dashboard is understood.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::config::Config;
use crate::keyring::{key_picture, publisher};
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::web::Answer;
use crate::wire::VIDEO;

fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// Runs promtool, which has to be content.
fn promtool(arguments: &[&str]) -> String {
    let ended = Command::new("promtool").args(arguments).output();
    let ended = ended.expect("promtool: `make deps` installs what the tests need");
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "promtool {arguments:?}: {out}{err}");
    out
}

/// A Prometheus that scrapes a node once a second and evaluates the alerts.
struct Prometheus {
    _server: Program,
    _dir: TempDir,
    port: u16,
}

impl Prometheus {
    fn of(node: &Node) -> Self {
        let dir = TempDir::new().unwrap();
        let rules = deployed("prometheus/alerts.yml");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}']\nscrape_configs:\n  - job_name: stream-manager\n    \
             static_configs: [{{targets: ['127.0.0.1:{}']}}]\n",
            rules.display(),
            node.http_port()
        );
        let file = dir.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        promtool(&["check", "config", file.to_str().unwrap()]);
        let port = free_port();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg("--log.level=warn");
        Self { _server: Program::spawn("prometheus", command), _dir: dir, port }
    }

    /// What its API answers; nothing while it does not.
    fn get(&self, path: &str) -> Option<Value> {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let answer = Answer::to(self.port, "GET", path, "Connection: close\n");
        (answer.status == 200).then(|| serde_json::from_str(&answer.text()).ok())?
    }

    /// Names of alerts that fire or are about to, each with its stream or output.
    fn alerts(&self) -> BTreeSet<[String; 2]> {
        let alerts = self.get("/api/v1/alerts").unwrap_or_default();
        let alerts = alerts["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let label = |alert: &Value, name: &str| {
            alert["labels"][name].as_str().unwrap_or_default().to_owned()
        };
        let about = |alert: &Value| label(alert, "stream") + &label(alert, "output");
        alerts.iter().map(|alert| [label(alert, "alertname"), about(alert)]).collect()
    }

    fn understands(&self, expression: &str) {
        promtool(&["query", "instant", &format!("http://127.0.0.1:{}", self.port), expression]);
    }
}

/// Every expression of the dashboard, with something in place of its variables.
fn expressions() -> Vec<String> {
    let text = std::fs::read_to_string(deployed("grafana/stream-manager.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let known = [("$job", "stream-manager"), ("$instance", ".*"), ("$stream", ".*")];
    let known = known.into_iter().chain([("$channel", ".*")]);
    let filled = |expression: &str| {
        known.clone().fold(expression.to_owned(), |text, (name, with)| text.replace(name, with))
    };
    targets.map(|target| filled(target["expr"].as_str().unwrap())).collect()
}

/// Names of our metrics in a text of expressions.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let ours = ["stream_", "rtmp_", "encoder_", "output_", "pull_", "record_", "process_", "hook_"];
    let is_ours = |word: &&str| ours.iter().any(|prefix| word.starts_with(prefix));
    words.filter(is_ours).map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn the_alerts_are_what_promtool_takes_and_each_fault_has_its_own() {
    promtool(&["check", "rules", deployed("prometheus/alerts.yml").to_str().unwrap()]);
    promtool(&["test", "rules", deployed("prometheus/alerts_test.yml").to_str().unwrap()]);
}

#[test]
fn prometheus_sees_the_faults_of_a_node_and_the_dashboard_asks_for_what_there_is() {
    let _turn = beside_others();
    let nobody = format!("rtmp://127.0.0.1:{}/app/key", free_port());
    let config = Config::new().publish_open().channel("demo").layer("color", "color = \"#ff0000\"");
    let config = config
        .output("cdn", &nobody)
        .pull("live/copy", &nobody, "mode = \"always\"")
        .more("[metrics]\nstreams_max = 4\n");
    let node = Node::start(&config);
    let prometheus = Prometheus::of(&node);

    // One without keyframes, one that is silent, one that leaves, and one more than has series.
    let (mut nokey, stream) = publisher(&node, "nokey");
    let (_silent, _) = publisher(&node, "silent");
    let (mut gone, gone_stream) = publisher(&node, "gone");
    gone.send(VIDEO, gone_stream, 0, &key_picture(1)).unwrap();
    wait_until(SOON, "the streams have series", || {
        (node.metric("stream_live", &["live/gone"]) > 0.5).then_some(())
    });
    let (more, _) = publisher(&node, "more");
    wait_until(SOON, "one has none", || {
        (node.metric("stream_series_left_out", &[]) > 0.5).then_some(())
    });
    let page = node.http("/metrics").1;
    let series = page.lines().filter(|line| line.starts_with("stream_live{"));
    assert_eq!(series.count(), 4, "{page}");
    drop(more);
    wait_until(SOON, "all that are live have series", || {
        (node.metric("stream_series_left_out", &[]) < 0.5).then_some(())
    });
    drop(gone);
    let wanted = [
        ["StreamUnplayable", "live/nokey"],
        ["StreamUnplayable", "live/silent"],
        ["StreamWithoutData", "live/silent"],
        ["StreamLost", "live/gone"],
        ["OutputDown", "cdn"],
        ["PullDown", "live/copy"],
    ];
    let wanted: BTreeSet<_> = wanted.map(|alert| alert.map(str::to_owned)).into();
    let (began, mut sent) = (Instant::now(), 0);
    let alerts = wait_until(2 * SOON, "the faults are seen", || {
        while u128::from(sent) * 40 < began.elapsed().as_millis() {
            let picture = [0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41];
            nokey.send(VIDEO, stream, sent * 40, &picture).unwrap();
            sent += 1;
        }
        let alerts = prometheus.alerts();
        wanted.is_subset(&alerts).then_some(alerts)
    });
    let well = ["EncoderStopped", "NodeDown"];
    assert!(alerts.iter().all(|[name, _]| !well.contains(&name.as_str())), "{alerts:?}");

    let page = node.http("/metrics").1;
    let rules = std::fs::read_to_string(deployed("prometheus/alerts.yml")).unwrap();
    let of_rules = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let all: Vec<_> = expressions().into_iter().chain(of_rules.map(str::to_owned)).collect();
    for expression in &all {
        prometheus.understands(expression);
        for name in metrics_in(expression) {
            // Webhooks have figures only where there are any.
            let there = page.contains(&format!("# TYPE {name} ")) || name.starts_with("hook_");
            assert!(there, "{expression} asks for {name}, which the node does not have");
        }
    }
    assert!(all.len() > 30, "{}", all.len());
}
