//! Keys as JSON, the way the API has them, and as text for people.

use serde_json::{Value, json};

use super::{KeyEdit, KeyView, Lifetime, NewKey};
use crate::control::time::date;
use crate::keys::Takeover;

/// A key as the API shows it: times in milliseconds since 1970, no secret.
#[must_use]
pub fn to_json(view: &KeyView) -> Value {
    let info = &view.info;
    let millis = |seconds: Option<u64>| seconds.map(|seconds| seconds.saturating_mul(1_000));
    json!({
        "id": view.id(),
        "type": info.key_type.name(),
        "stream": info.stream,
        "owner": info.owner,
        "label": info.label,
        "created_at": millis(Some(info.created_at)),
        "expires_at": millis(info.expires_at),
        "allowed_ips": info.allowed_ips.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "revoked": info.revoked,
        "last_used_at": millis(info.last_used_at),
        "failed_attempts": info.failed_attempts,
        "bitrate_bps": info.limits.bitrate_bps,
        "viewers": info.limits.viewers,
        "max_width": info.limits.max_width,
        "max_height": info.limits.max_height,
        "max_fps": info.limits.max_fps,
        "takeover": info.takeover == Takeover::Take,
        "aliases": view.aliases.iter().map(|alias| alias.expose()).collect::<Vec<_>>(),
        // Only a node knows.
        "live": null,
    })
}

/// What the API is asked to make. `expires_in_s` is left out for the type's own lifetime and 0 for
/// a key without end.
#[must_use]
pub fn request(new: &NewKey) -> Value {
    let mut body = json!({
        "stream": new.stream,
        "type": new.key_type.name(),
        "owner": new.owner,
        "label": new.label,
        "allowed_ips": new.allowed_ips.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "bitrate_bps": new.limits.bitrate_bps,
        "viewers": new.limits.viewers,
        "max_width": new.limits.max_width,
        "max_height": new.limits.max_height,
        "max_fps": new.limits.max_fps,
        "takeover": new.takeover == Takeover::Take,
        "alias": new.alias,
    });
    match new.lifetime {
        Lifetime::OfType => {}
        Lifetime::Seconds(seconds) => body["expires_in_s"] = seconds.into(),
        Lifetime::Endless => body["expires_in_s"] = 0.into(),
    }
    body
}

/// What the API is asked to change; what stays as it is is left out, and `null` means any.
#[must_use]
pub fn edit_request(edit: &KeyEdit) -> Value {
    let mut body = serde_json::Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("owner", edit.owner.as_deref().map(Value::from));
    put("label", edit.label.as_deref().map(Value::from));
    put(
        "expires_in_s",
        edit.lifetime.and_then(|lifetime| match lifetime {
            Lifetime::OfType => None,
            Lifetime::Seconds(seconds) => Some(seconds.into()),
            Lifetime::Endless => Some(0.into()),
        }),
    );
    let ranges = edit.allowed_ips.as_ref();
    put("allowed_ips", ranges.map(|all| all.iter().map(ToString::to_string).collect()));
    put("takeover", edit.takeover.map(|takeover| (takeover == Takeover::Take).into()));
    put("bitrate_bps", edit.bitrate_bps.map(Value::from));
    put("viewers", edit.viewers.map(Value::from));
    put("max_width", edit.max_width.map(Value::from));
    put("max_height", edit.max_height.map(Value::from));
    put("max_fps", edit.max_fps.map(Value::from));
    Value::Object(body)
}

/// All keys as a table, at `now` seconds since 1970.
#[must_use]
pub fn table(keys: &[Value], now: u64) -> String {
    if keys.is_empty() {
        return "There are no stream keys. Make one: stream-manager keys create --stream NAME\n"
            .to_owned();
    }
    let head = [
        "ID",
        "TYPE",
        "STREAM",
        "STATE",
        "LIVE",
        "EXPIRES",
        "LAST USED",
        "LIMITS",
        "OWNER",
        "LABEL",
        "ALIASES",
    ];
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(keys.iter().map(|key| {
        [
            text(key, "id"),
            text(key, "type"),
            text(key, "stream"),
            state(key, now).to_owned(),
            live(key),
            moment(key, "expires_at"),
            moment(key, "last_used_at"),
            or_none(limits(key)),
            or_none(text(key, "owner")),
            or_none(text(key, "label")),
            list(key, "aliases"),
        ]
    }));
    let mut widths = [0; 11];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// Everything about one key.
#[must_use]
pub fn details(key: &Value, now: u64) -> String {
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let count = |name: &str| key[name].as_u64().map_or_else(|| "any".to_owned(), |n| n.to_string());
    let takeover = if key["takeover"] == true { "yes" } else { "no" };
    let lines = [
        ("id", text(key, "id")),
        ("type", text(key, "type")),
        ("stream", text(key, "stream")),
        ("state", state(key, now).to_owned()),
        ("live", live(key)),
        ("owner", or(text(key, "owner"), "-")),
        ("label", or(text(key, "label"), "-")),
        ("aliases", or(list(key, "aliases"), "-")),
        ("allowed from", or(list(key, "allowed_ips"), "anywhere")),
        ("bitrate", count("bitrate_bps")),
        ("viewers", count("viewers")),
        ("width", count("max_width")),
        ("height", count("max_height")),
        ("frames/s", count("max_fps")),
        ("takes over", takeover.to_owned()),
        ("created", moment(key, "created_at")),
        ("expires", moment(key, "expires_at")),
        ("last used", moment(key, "last_used_at")),
        ("refused", key["failed_attempts"].as_u64().unwrap_or_default().to_string()),
    ];
    let mut out = String::new();
    for (name, value) in lines {
        out.push_str(&format!("{name:<12}  {value}\n"));
    }
    out
}

/// A new key, with the secret that is shown once, and where to put it.
#[must_use]
pub fn once(made: &Value) -> String {
    let key = &made["key"];
    let expires = match key["expires_at"].as_u64() {
        Some(_) => format!("good until {}", moment(key, "expires_at")),
        None => "without end".to_owned(),
    };
    format!(
        "Key {} for {}, {expires}.\n\n  Server      {}\n  Stream key  {}\n\n\
         The stream key is shown this once and cannot be read again.\n",
        text(key, "id"),
        text(key, "stream"),
        text(made, "server"),
        text(made, "secret"),
    )
}

fn text(key: &Value, name: &str) -> String {
    key[name].as_str().unwrap_or_default().to_owned()
}

fn list(key: &Value, name: &str) -> String {
    let items = key[name].as_array().into_iter().flatten().filter_map(Value::as_str);
    items.collect::<Vec<_>>().join(", ")
}

/// Where from somebody publishes with it now: `?` if that is not known here.
fn live(key: &Value) -> String {
    let Some(uses) = key["live"].as_array() else { return "?".to_owned() };
    let addresses: Vec<_> = uses.iter().filter_map(|it| it["address"].as_str()).collect();
    if addresses.is_empty() { "-".to_owned() } else { addresses.join(", ") }
}

/// Such as `6000 kb/s, 9 viewers, 1920x1080, 60 fps, from 192.0.2.0/24, takes over`.
fn limits(key: &Value) -> String {
    let number = |name: &str| key[name].as_u64();
    let size = match (number("max_width"), number("max_height")) {
        (None, None) => None,
        (Some(width), None) => Some(format!("{width} pixels wide")),
        (None, Some(height)) => Some(format!("{height} pixels high")),
        (Some(width), Some(height)) => Some(format!("{width}x{height}")),
    };
    let from = Some(list(key, "allowed_ips")).filter(|all| !all.is_empty());
    let words = [
        number("bitrate_bps").map(|bps| format!("{} kb/s", bps.div_ceil(1_000))),
        number("viewers").map(|count| format!("{count} viewers")),
        size,
        number("max_fps").map(|fps| format!("{fps} fps")),
        from.map(|all| format!("from {all}")),
        (key["takeover"] == true).then(|| "takes over".to_owned()),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn state(key: &Value, now: u64) -> &'static str {
    let over = key["expires_at"].as_u64().is_some_and(|end| end / 1_000 <= now);
    match key["revoked"] == true {
        true => "revoked",
        false if over => "expired",
        false => "good",
    }
}

fn moment(key: &Value, name: &str) -> String {
    key[name].as_u64().map_or_else(|| "never".to_owned(), |millis| date(millis / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Alias, KeyHash, KeyInfo, KeyType};

    fn view() -> KeyView {
        let mut info = KeyInfo::new(KeyType::Regular, "live/a", 1_700_000_000);
        "Ada".clone_into(&mut info.owner);
        let aliases = vec![Alias::new("studio").unwrap()];
        KeyView { hash: KeyHash::of(""), info, aliases }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_700_000_000), "2023-11-14 22:13 UTC");
        assert_eq!(date(4_107_542_399), "2100-02-28 23:59 UTC");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00 UTC");
    }

    #[test]
    fn a_table_has_a_row_for_each_key_and_columns_below_each_other() {
        let mut revoked = view();
        revoked.info.revoked = true;
        let mut endless = view();
        endless.info.expires_at = None;
        let all = [view(), revoked, endless].map(|view| to_json(&view));
        let text = table(&all, 1_700_000_001);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        let at = lines[0].find("STREAM").unwrap();
        assert!(lines[1..].iter().all(|line| line[at..].starts_with("live/a ")), "{text}");
        assert!(lines[1].contains("good") && lines[1].contains("2023-12-14 22:13"), "{text}");
        assert!(lines[2].contains("revoked") && lines[3].contains("never"), "{text}");
        assert!(table(&all, 1_800_000_000).contains("expired"));
        let mut limited = to_json(&view());
        for (name, value) in [
            ("bitrate_bps", 6_000_000),
            ("viewers", 9),
            ("max_width", 1_920),
            ("max_height", 1_080),
        ] {
            limited[name] = value.into();
        }
        assert!(table(&[limited.clone()], 0).contains(" ?  "), "who is live is not known");
        limited["live"] = json!([{ "address": "192.0.2.7:9", "client": "ABCDEFGH" }]);
        let text = table(&[limited], 0);
        let row = text.lines().nth(1).unwrap();
        for word in ["192.0.2.7:9", "6000 kb/s, 9 viewers, 1920x1080"] {
            assert!(row.contains(word), "no {word} in {row}");
        }
        assert!(table(&[], 0).contains("keys create"));
    }

    #[test]
    fn one_key_is_shown_with_everything_and_a_new_one_with_its_secret() {
        let key = to_json(&view());
        let text = details(&key, 1_700_000_001);
        for word in ["bda32e1479002ef4", "Ada", "studio", "anywhere", "2023-11-14 22:13 UTC"] {
            assert!(text.contains(word), "no {word} in {text}");
        }
        let made = json!({"key": key, "secret": "s3cret", "server": "rtmp://h/live"});
        let text = once(&made);
        assert!(text.contains("s3cret") && text.contains("rtmp://h/live"), "{text}");
    }

    #[test]
    fn an_edit_is_asked_for_with_what_changes_and_nothing_else() {
        let edit = KeyEdit {
            label: Some("Camera".to_owned()),
            viewers: Some(None),
            max_fps: Some(Some(60)),
            lifetime: Some(Lifetime::Endless),
            ..KeyEdit::default()
        };
        let want = json!({"label": "Camera", "viewers": null, "max_fps": 60, "expires_in_s": 0});
        assert_eq!(edit_request(&edit), want);
    }

    #[test]
    fn what_the_api_is_asked_says_when_a_key_has_no_end() {
        let mut new = NewKey::for_stream("live/a");
        assert_eq!(request(&new).get("expires_in_s"), None);
        new.lifetime = Lifetime::Endless;
        assert_eq!(request(&new)["expires_in_s"], 0);
        new.lifetime = Lifetime::Seconds(60);
        assert_eq!(request(&new)["expires_in_s"], 60);
    }
}
