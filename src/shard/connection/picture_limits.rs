//! Picture limits of a publisher: its announced size and frame rate, held against those of its key.

use super::Connection;
use crate::keys::Announced;
use crate::media::Kind;
use crate::rtmp::PublishRefusal;
use crate::rtmp::amf0::{Decoder, Value};
use crate::shard::shared::Shared;
use crate::stats::Limit;

impl Connection {
    /// Looks at a message of a publisher whose key limits the picture; false if it is ended.
    pub(super) fn keeps_picture_within(
        &mut self,
        shared: &mut Shared,
        kind: Kind,
        body: &[u8],
    ) -> bool {
        let limits = self.credentials.limits;
        if kind != Kind::Data || !limits.limit_picture() {
            return true;
        }
        let Some(text) = announced(body).and_then(|it| limits.exceeded_by(&it)) else {
            return true;
        };
        shared.cx.stats.limit_met(Limit::Picture);
        self.end_publisher(shared, PublishRefusal::Denied, &text);
        false
    }
}

/// What metadata says about the picture; `None` if it is other data.
fn announced(body: &[u8]) -> Option<Announced> {
    let mut decoder = Decoder::new(body);
    if decoder.string()? != "onMetaData" {
        return None;
    }
    let members = decoder.value().ok()??;
    let number = |name| members.get(name).and_then(Value::as_number);
    Some(Announced {
        width: number("width"),
        height: number("height"),
        fps: number("framerate").or_else(|| number("videoframerate")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(name: &str, members: &[(&str, f64)]) -> Vec<u8> {
        let mut body = Vec::new();
        Value::from(name).encode(&mut body);
        let members = members.iter().map(|(name, n)| ((*name).to_owned(), (*n).into()));
        Value::EcmaArray(members.collect()).encode(&mut body);
        body
    }

    #[test]
    fn size_and_rate_are_read_from_metadata_and_nothing_else() {
        let all = [("width", 640.0), ("height", 360.0), ("framerate", 25.0)];
        let want = Announced { width: Some(640.0), height: Some(360.0), fps: Some(25.0) };
        assert_eq!(announced(&data("onMetaData", &all)), Some(want));
        assert_eq!(announced(&data("onCuePoint", &all)), None);
        let other = announced(&data("onMetaData", &[("videoframerate", 50.0)]));
        assert_eq!(other, Some(Announced { fps: Some(50.0), ..Announced::default() }));
        assert_eq!(announced(b"\x02\x00\x0aonMetaData"), None);
        assert_eq!(announced(b""), None);
    }
}
