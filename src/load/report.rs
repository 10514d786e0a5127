//! Figures for people and for programs.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::media::Micros;

/// Longest time a histogram holds, microseconds.
const LONGEST: u64 = 60_000_000;

/// Figures in the order they are shown.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(&'static str, String)>,
    values: Map<String, Value>,
}

impl Report {
    /// A number with its unit; `digits` behind the point.
    pub(crate) fn number(&mut self, name: &'static str, value: f64, unit: &str, digits: usize) {
        self.rows.push((name, format!("{value:.digits$} {unit}").trim_end().to_owned()));
        self.values.insert(key(name, unit), json!(value));
    }

    /// A fact in words, and for programs.
    pub(crate) fn fact(&mut self, name: &'static str, text: String, value: Value) {
        self.rows.push((name, text));
        self.values.insert(key(name, ""), value);
    }

    /// A histogram of microseconds.
    pub(crate) fn times(&mut self, name: &'static str, times: &Times) {
        let at = |share: f64| times.0.value_at_quantile(share);
        let figures = [
            ("p50", at(0.5)),
            ("p90", at(0.9)),
            ("p99", at(0.99)),
            ("p99.9", at(0.999)),
            ("max", times.0.max()),
        ];
        let texts: Vec<_> = figures
            .iter()
            .map(|(label, us)| format!("{label} {:.3}", Micros(*us).secs_f64() * 1e3))
            .collect();
        self.rows.push((name, format!("{} ms ({} samples)", texts.join(", "), times.0.len())));
        let mut values: Map<String, Value> =
            figures.iter().map(|(label, us)| ((*label).to_owned(), json!(us))).collect();
        values.insert("samples".to_owned(), json!(times.0.len()));
        self.values.insert(key(name, "us"), Value::Object(values));
    }

    pub(crate) fn text(self, as_json: bool) -> String {
        if as_json {
            return format!("{:#}\n", Value::Object(self.values));
        }
        self.rows.iter().map(|(name, value)| format!("{name:<22} {value}\n")).collect()
    }
}

fn key(name: &str, unit: &str) -> String {
    let words = format!("{name} {unit}").replace('%', "percent").replace('/', " per ");
    words.split_whitespace().collect::<Vec<_>>().join("_").to_lowercase()
}

/// How long things took, 1 microsecond to a minute.
#[derive(Clone, Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Default for Times {
    #[expect(clippy::expect_used, reason = "these bounds are always possible")]
    fn default() -> Self {
        Self(Histogram::new_with_max(LONGEST, 3).expect("1 to a minute at three digits"))
    }
}

impl Times {
    pub(crate) fn add(&mut self, micros: u64) {
        self.0.saturating_record(micros.max(1));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        // Both have the same bounds.
        self.0.add(&other.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_get_the_same_figures() {
        let made = || {
            let mut report = Report::default();
            report.number("CPU", 93.64, "us/Mbit", 1);
            report.fact("clock", "kept by NTP".to_owned(), json!({ "kept": true }));
            let mut times = Times::default();
            (1..=1_000).for_each(|us| times.add(us));
            report.times("latency", &times);
            report
        };
        let text = made().text(false);
        assert!(text.contains("CPU                    93.6 us/Mbit\n"), "{text}");
        assert!(text.contains("p50 0.500"), "{text}");
        let json: Value = serde_json::from_str(&made().text(true)).unwrap();
        assert_eq!(
            (&json["cpu_us_per_mbit"], &json["clock"]["kept"]),
            (&json!(93.64), &json!(true))
        );
        assert_eq!(json["latency_us"]["samples"], 1_000);
    }
}
