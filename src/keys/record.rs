//! The record of a key as a store holds it: JSON that other programs write too, so that whatever is
//! clear is understood, and whatever is not is refused with the field's name.

use serde_json::{Map, Value};

use super::address::AddressRange;
use super::info::{KeyInfo, KeyLimits, KeyType, Takeover};
use super::name::{note, public_name};

/// Unix times from here on are milliseconds: as seconds they would be in the year 5138.
const MILLIS_FROM: u64 = 100_000_000_000;

/// Unix times from here on are microseconds.
const MICROS_FROM: u64 = 100_000_000_000_000;

/// Fields that may stand in `limits` or beside it.
const LIMITS: [&str; 5] = ["bitrate_bps", "viewers", "max_width", "max_height", "max_fps"];

type Fields = Map<String, Value>;

impl TryFrom<Value> for KeyInfo {
    type Error = String;

    /// Reads a record. The text of an error names the field.
    fn try_from(value: Value) -> Result<Self, String> {
        let Value::Object(mut fields) = value else {
            return Err("it is no JSON object".to_owned());
        };
        let limits = limits(&mut fields)?;
        Ok(Self {
            key_type: key_type(&mut fields)?,
            owner: text(&mut fields, "owner")?,
            stream: stream(&mut fields)?,
            label: text(&mut fields, "label")?,
            created_at: moment(&mut fields, "created_at")?.unwrap_or_default(),
            expires_at: expires_at(&mut fields)?,
            allowed_ips: allowed_ips(&mut fields)?,
            revoked: truth(&mut fields, "revoked")?.unwrap_or_default(),
            last_used_at: moment(&mut fields, "last_used_at")?,
            failed_attempts: whole(&mut fields, "failed_attempts")?.unwrap_or_default(),
            limits,
            takeover: takeover(&mut fields)?,
            other: fields,
        })
    }
}

/// A field that is there and not `null`.
fn take(fields: &mut Fields, name: &str) -> Option<Value> {
    fields.remove(name).filter(|value| !value.is_null())
}

fn wrong(name: &str, what: &str) -> String {
    format!("`{name}` {what}")
}

fn key_type(fields: &mut Fields) -> Result<KeyType, String> {
    let Some(value) = take(fields, "type") else { return Ok(KeyType::Regular) };
    let word = value.as_str().map(|text| text.trim().to_ascii_lowercase());
    match word.as_deref() {
        Some("regular") => Ok(KeyType::Regular),
        Some("alias") => Ok(KeyType::Alias),
        Some("development") => Ok(KeyType::Development),
        _ => Err(wrong("type", "is none of regular, alias and development")),
    }
}

fn stream(fields: &mut Fields) -> Result<String, String> {
    let Some(value) = take(fields, "stream") else {
        return Err(wrong("stream", "is missing: the public name, such as \"live/show\""));
    };
    let name = value.as_str().ok_or_else(|| wrong("stream", "is no text"))?.trim();
    if !name.contains('/') {
        return Err(wrong("stream", "has no application; write it like \"live/show\""));
    }
    public_name(name).map_err(|error| wrong("stream", &format!("is no name: {error}")))
}

fn text(fields: &mut Fields, name: &str) -> Result<String, String> {
    let text = match take(fields, name) {
        None => return Ok(String::new()),
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(wrong(name, "is no text")),
    };
    note(&text).map_err(|_| wrong(name, "is not one line of at most 200 characters"))
}

/// A whole number, also as text or with nothing but zeros behind the point.
fn whole(fields: &mut Fields, name: &str) -> Result<Option<u64>, String> {
    let Some(value) = take(fields, name) else { return Ok(None) };
    let number = match &value {
        Value::Number(number) => number.as_u64().or_else(|| exactly(number)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.map(Some).ok_or_else(|| wrong(name, "is no whole number from 0 on"))
}

/// A whole number with a point, as some programs write all numbers.
fn exactly(number: &serde_json::Number) -> Option<u64> {
    let whole = number.as_f64().filter(|number| number.fract() == 0.0)?;
    format!("{whole:.0}").parse().ok()
}

/// Unix time in seconds, milliseconds or microseconds, by its magnitude; parts of a second are left
/// out.
fn moment(fields: &mut Fields, name: &str) -> Result<Option<u64>, String> {
    if let Some(Value::Number(number)) = fields.get(name)
        && let Some(seconds) = number.as_f64().filter(|seconds| *seconds > 0.0)
        && seconds < MILLIS_FROM as f64
    {
        fields.insert(name.to_owned(), seconds.floor().into());
    }
    let time = whole(fields, name);
    let time = time.map_err(|_| wrong(name, "is no time in seconds since 1970"))?;
    Ok(time.map(|time| match time {
        MICROS_FROM.. => time / 1_000_000,
        MILLIS_FROM.. => time / 1_000,
        seconds => seconds,
    }))
}

fn expires_at(fields: &mut Fields) -> Result<Option<u64>, String> {
    match moment(fields, "expires_at")? {
        Some(0) => Err(wrong("expires_at", "is 0; write null for a key without end")),
        time => Ok(time),
    }
}

/// A list of addresses and networks, or a text with commas between them.
fn allowed_ips(fields: &mut Fields) -> Result<Vec<AddressRange>, String> {
    const NAME: &str = "allowed_ips";
    let texts: Vec<String> = match take(fields, NAME) {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        Some(Value::String(text)) => text.split(',').map(str::to_owned).collect(),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(|| wrong(NAME, "is no list of texts"))?
        }
        Some(_) => return Err(wrong(NAME, "is no list of texts")),
    };
    let ranges = texts.iter().map(|text| text.trim().parse());
    let ranges: Result<_, _> = ranges.collect();
    ranges.map_err(|error: super::BadAddressRange| {
        wrong(NAME, &format!("holds a wrong one: {error}"))
    })
}

/// `true` or `false`, also as text or as 1 or 0.
fn truth(fields: &mut Fields, name: &str) -> Result<Option<bool>, String> {
    let Some(value) = take(fields, name) else { return Ok(None) };
    let word = match &value {
        Value::Bool(is) => return Ok(Some(*is)),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "true" | "1" => Ok(Some(true)),
        "false" | "0" => Ok(Some(false)),
        _ => Err(wrong(name, "is neither true nor false")),
    }
}

/// `true` or `false` as the API has it, or the words `take` and `refuse`.
fn takeover(fields: &mut Fields) -> Result<Takeover, String> {
    const NAME: &str = "takeover";
    let word =
        fields.get(NAME).and_then(Value::as_str).map(|text| text.trim().to_ascii_lowercase());
    let takes = match word.as_deref() {
        Some("take") => Some(true),
        Some("refuse") => Some(false),
        _ => {
            let takes = truth(fields, NAME);
            takes.map_err(|_| wrong(NAME, "is neither true nor false"))?
        }
    };
    fields.remove(NAME);
    Ok(if takes == Some(true) { Takeover::Take } else { Takeover::Refuse })
}

/// What stands in `limits`, and beside it as in the API; what stands in it counts.
fn limits(fields: &mut Fields) -> Result<KeyLimits, String> {
    let mut inner = match take(fields, "limits") {
        None => Map::new(),
        Some(Value::Object(inner)) => inner,
        Some(_) => return Err(wrong("limits", "is no JSON object")),
    };
    for name in LIMITS {
        let beside = take(fields, name);
        if let Some(value) = beside.filter(|_| inner.get(name).is_none_or(Value::is_null)) {
            inner.insert(name.to_owned(), value);
        }
    }
    let mut small = |name| match whole(&mut inner, name)?.map(u32::try_from).transpose() {
        Ok(number) => Ok(number),
        Err(_) => Err(wrong(name, "is too large a number")),
    };
    let (viewers, max_fps) = (small("viewers")?, small("max_fps")?);
    let (max_width, max_height) = (small("max_width")?, small("max_height")?);
    let bitrate_bps = whole(&mut inner, "bitrate_bps")?;
    match inner.keys().next() {
        // One that is misspelt would be no limit.
        Some(unknown) => Err(format!("`limits` has the unknown field `{unknown}`")),
        None => Ok(KeyLimits { bitrate_bps, viewers, max_width, max_height, max_fps }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<KeyInfo, String> {
        serde_json::from_value(value).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_record_needs_a_stream_and_all_else_has_a_default() {
        let bare = read(json!({"stream": "live/a"})).unwrap();
        let nulls = read(json!({
            "stream": "live/a", "type": null, "owner": null, "label": null, "created_at": null,
            "expires_at": null, "allowed_ips": null, "revoked": null, "last_used_at": null,
            "failed_attempts": null, "limits": null, "takeover": null, "viewers": null,
        }));
        assert_eq!(nulls.unwrap(), bare);
        let mut want = KeyInfo::new(KeyType::Regular, "live/a", 0);
        want.expires_at = None;
        assert_eq!(bare, want);
    }

    #[test]
    fn what_is_clear_is_understood_in_many_forms() {
        let at =
            |value: Value| read(json!({"stream": "a/b", "expires_at": value})).unwrap().expires_at;
        for value in [
            json!(1_700_000_000),
            json!(1_700_000_000_123_u64),
            json!(1_700_000_000_123_456_u64),
            json!(1_700_000_000.0),
            json!(1_700_000_000.75),
            json!("1700000000"),
            json!("1700000000123"),
        ] {
            assert_eq!(at(value.clone()), Some(1_700_000_000), "{value}");
        }
        for (value, takes) in [
            (json!(true), Takeover::Take),
            (json!("take"), Takeover::Take),
            (json!(false), Takeover::Refuse),
            (json!("refuse"), Takeover::Refuse),
            (json!(null), Takeover::Refuse),
        ] {
            let info = read(json!({"stream": "a/b", "takeover": value})).unwrap();
            assert_eq!(info.takeover, takes);
            assert!(info.other.is_empty());
        }
        for value in [json!(true), json!(1), json!("true")] {
            assert!(read(json!({"stream": "a/b", "revoked": value})).unwrap().revoked);
        }
        for value in [json!(["192.0.2.1", "::1"]), json!("192.0.2.1, ::1")] {
            let info = read(json!({"stream": "a/b", "allowed_ips": value})).unwrap();
            assert_eq!(info.allowed_ips.len(), 2);
        }
        let info = read(json!({"stream": "a/b", "type": "Alias", "owner": 7})).unwrap();
        assert_eq!((info.key_type, info.owner.as_str()), (KeyType::Alias, "7"));
    }

    #[test]
    fn limits_count_wherever_they_stand_and_are_written_in_their_place() {
        let info = read(json!({
            "stream": "a/b", "bitrate_bps": 5_000_000, "viewers": 9,
            "limits": {"viewers": "3", "max_fps": 30.0},
        }));
        let info = info.unwrap();
        let KeyLimits { bitrate_bps, viewers, max_fps, .. } = info.limits;
        assert_eq!((bitrate_bps, viewers, max_fps), (Some(5_000_000), Some(3), Some(30)));
        let written = serde_json::to_value(&info).unwrap();
        assert_eq!(written["limits"]["bitrate_bps"], 5_000_000);
        assert!(written.get("bitrate_bps").is_none() && written.get("viewers").is_none());
    }

    #[test]
    fn what_is_not_clear_is_refused_by_its_name() {
        for (field, value) in [
            ("stream", json!("show")),
            ("stream", json!("live/a b")),
            ("stream", json!(7)),
            ("type", json!("admin")),
            ("owner", json!("two\nlines")),
            ("label", json!("x".repeat(201))),
            ("label", json!(["x"])),
            ("created_at", json!("yesterday")),
            ("expires_at", json!(0)),
            ("expires_at", json!(-1)),
            ("expires_at", json!("2030-01-01")),
            ("last_used_at", json!(true)),
            ("allowed_ips", json!(["here"])),
            ("allowed_ips", json!([7])),
            ("allowed_ips", json!({})),
            ("revoked", json!("perhaps")),
            ("failed_attempts", json!(0.5)),
            ("takeover", json!("always")),
            ("viewers", json!(5_000_000_000_u64)),
            ("max_fps", json!("fast")),
            ("limits", json!([])),
            ("limits", json!({"bitrate": 1})),
        ] {
            let mut record = json!({"stream": "live/a"});
            record[field] = value.clone();
            let error = read(record).unwrap_err();
            assert!(error.contains(&format!("`{field}`")), "{field} {value}: {error}");
        }
        assert!(read(json!({"type": "regular"})).unwrap_err().contains("`stream` is missing"));
        assert!(read(json!("text")).unwrap_err().contains("JSON object"));
    }
}
