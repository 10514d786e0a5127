//! nginx-rtmp-module's `rtmp_stat` page, element by element, with its units: bits per second,
//! milliseconds. Typed readers such as NOALBS rely on every element being there.

use std::collections::BTreeMap;
use std::fmt::{Arguments, Display};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::entries::{DEFAULT_APP, Entry, aac_profile, avc_profile, entries};
use crate::command::{AudioView, ClientView, StreamView, VideoView};
use crate::control::http::shared::Shared;
use crate::media::Micros;

/// The version of nginx-rtmp-module whose elements these are, as that module states it.
const NGINX_RTMP_VERSION: &str = "1.1.4";

pub(super) async fn stat(State(shared): State<Arc<Shared>>) -> Response {
    let entries = entries(&shared).await;
    let kind = [(header::CONTENT_TYPE, "text/xml; charset=utf-8")];
    (kind, page(&shared, &entries)).into_response()
}

fn page(shared: &Shared, entries: &[Entry]) -> String {
    let figures = shared.state.registry.snapshot();
    let mut out = Xml(String::from("<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"));
    out.group("rtmp", |out| {
        out.element("nginx_version", format!("stream-manager {}", shared.state.info.version));
        out.element("nginx_rtmp_version", NGINX_RTMP_VERSION);
        out.element("compiler", "rustc");
        out.element("built", &shared.state.info.version);
        out.element("pid", std::process::id());
        out.element("uptime", format!("{:.0}", figures.uptime_s));
        out.element("naccepted", figures.node.accepted);
        out.element("bw_in", bits(figures.in_bps));
        out.element("bytes_in", figures.node.bytes_in);
        out.element("bw_out", bits(figures.out_bps));
        out.element("bytes_out", figures.node.bytes_out);
        out.group("server", |out| {
            for (app, entries) in applications(entries) {
                application(out, app, &entries, shared.api.time.now());
            }
        });
    });
    out.0
}

/// Streams by application. One application is always there, as nginx-rtmp always has those of its
/// configuration: readers expect at least one.
fn applications(entries: &[Entry]) -> BTreeMap<&str, Vec<&Entry>> {
    let mut apps = BTreeMap::from([(DEFAULT_APP, Vec::new())]);
    for entry in entries {
        apps.entry(entry.parts().0).or_default().push(entry);
    }
    apps
}

fn application(out: &mut Xml, name: &str, entries: &[&Entry], now: Micros) {
    out.group("application", |out| {
        out.element("name", name);
        out.group("live", |out| {
            for entry in entries {
                stream(out, entry, now);
            }
            out.element("nclients", entries.iter().map(|it| it.clients.len()).sum::<usize>());
        });
    });
}

fn stream(out: &mut Xml, entry: &Entry, now: Micros) {
    let Entry { stream, clients } = entry;
    let [audio, video] = stream.tracks;
    out.group("stream", |out| {
        out.element("name", entry.parts().1);
        out.element("time", now.since(stream.since).millis());
        out.element("bw_in", bits(stream.bitrate_bps));
        out.element("bytes_in", stream.bytes_in);
        out.element("bw_out", bits(stream.out_bps));
        out.element("bytes_out", stream.bytes_out);
        out.element("bw_audio", bits(audio.bitrate_bps));
        out.element("bw_video", bits(video.bitrate_bps));
        for one in clients {
            client(out, one, stream, now);
        }
        if entry.is_live() {
            out.group("meta", |out| {
                out.group("video", |out| video_meta(out, stream.video.as_ref()));
                out.group("audio", |out| audio_meta(out, stream.audio.as_ref()));
            });
        }
        out.element("nclients", clients.len());
        if entry.is_live() {
            out.flag("publishing");
            out.flag("active");
        }
    });
}

fn client(out: &mut Xml, client: &ClientView, stream: &StreamView, now: Micros) {
    let [audio, video] = stream.tracks.map(|track| track.newest_ms);
    let newest = match (audio, video) {
        (Some(audio), Some(video)) if ahead_ms(audio, video) > 0 => audio,
        (_, Some(time)) | (Some(time), None) => time,
        (None, None) => 0,
    };
    out.group("client", |out| {
        out.element("id", number_of(&client.id));
        out.element("address", client.address.ip());
        out.element("time", now.since(client.since).millis());
        if !client.agent.is_empty() {
            out.element("flashver", &client.agent);
        }
        out.element("dropped", client.dropped);
        let apart = audio.zip(video).map_or(0, |(audio, video)| ahead_ms(audio, video));
        out.element("avsync", apart);
        out.element("timestamp", newest);
        if client.state == "publisher" {
            out.flag("publishing");
        }
        out.flag("active");
    });
}

/// By how much RTMP time `a` is ahead of `b`, milliseconds.
const fn ahead_ms(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

/// nginx numbers connections and readers expect a number; ours have names.
fn number_of(id: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    #[expect(clippy::cast_possible_truncation, reason = "any 31 bits of the hash will do")]
    let number = hasher.finish() as u32;
    number >> 1
}

/// Sizes and rate are there even without video, and then 0.
fn video_meta(out: &mut Xml, video: Option<&VideoView>) {
    out.element("width", video.map_or(0, |video| video.width));
    out.element("height", video.map_or(0, |video| video.height));
    out.element("frame_rate", format!("{:.0}", video.map_or(0.0, |video| video.fps)));
    let Some(video) = video else { return };
    out.element("codec", &video.codec);
    if let Some([profile, compat, level]) = video.avc {
        out.element("profile", avc_profile(profile));
        out.element("compat", compat);
        out.element("level", format!("{:.1}", f64::from(level) / 10.0));
    }
}

fn audio_meta(out: &mut Xml, audio: Option<&AudioView>) {
    let Some(audio) = audio else { return };
    out.element("codec", &audio.codec);
    if let Some(object_type) = audio.aac_object_type {
        out.element("profile", aac_profile(object_type));
    }
    for (name, value) in [("channels", audio.channels), ("sample_rate", audio.sample_rate)] {
        if value > 0 {
            out.element(name, value);
        }
    }
}

fn bits(bps: f64) -> String {
    format!("{bps:.0}")
}

/// A document while it is written.
struct Xml(String);

impl Xml {
    fn group(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.line(format_args!("<{name}>"));
        inside(self);
        self.line(format_args!("</{name}>"));
    }

    fn element(&mut self, name: &str, value: impl Display) {
        let text = value.to_string();
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.line(format_args!("<{name}>{text}</{name}>"));
    }

    fn flag(&mut self, name: &str) {
        self.line(format_args!("<{name}/>"));
    }

    fn line(&mut self, text: Arguments<'_>) {
        self.0.push_str(&format!("{text}\n"));
    }
}
