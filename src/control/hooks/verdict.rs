//! Hook verdicts: whether an answer is a yes or a no, and the reason it gives.

use serde_json::Value;

/// Longest reason of a hook that a peer is told, characters.
const REASON_CHARS_MAX: usize = 200;

/// What an HTTP answer says about an event that the hook decides about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The peer may go on.
    Allow,
    /// It may not; why, if the hook says so.
    Refuse(Option<String>),
    /// The server could not decide.
    Failed(String),
}

/// Keys of an object that say whether the peer may go on: by a truth value, or by a word.
const ANSWERS: [&str; 6] = ["allow", "allowed", "result", "ok", "success", "authorized"];

/// Words that mean no, by themselves or behind one of these keys.
const NO: [&str; 9] =
    ["false", "no", "deny", "denied", "refuse", "refused", "reject", "rejected", "forbidden"];

/// Reads an answer. A success allows, unless its body says no: a number other than 0 as SRS does,
/// `false`, a word that means no, or an object with one of these as its `code` or its answer. The
/// server's own failures (5xx) are no decision.
pub(super) fn judge(status: u16, body: &[u8]) -> Decision {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let reason = json.as_ref().and_then(reason);
    match status {
        200..=299 => match json.map_or_else(|| is_no(body), |json| says_no(&json)) {
            true => Decision::Refuse(reason),
            false => Decision::Allow,
        },
        500.. => Decision::Failed(format!("it answered with status {status}")),
        _ => Decision::Refuse(reason),
    }
}

fn says_no(json: &Value) -> bool {
    match json {
        Value::Object(members) => {
            members.get("code").is_some_and(refuses)
                || ANSWERS.iter().any(|key| match members.get(*key) {
                    Some(Value::Bool(allows)) => !allows,
                    Some(Value::String(word)) => is_no(word.as_bytes()),
                    _ => false,
                })
        }
        other => refuses(other),
    }
}

/// Whether a code is one that refuses: a whole number other than 0, also in quotes; or a no.
fn refuses(code: &Value) -> bool {
    match code {
        Value::Bool(allows) => !allows,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => {
            text.trim().parse::<i64>().is_ok_and(|number| number != 0) || is_no(text.as_bytes())
        }
        _ => false,
    }
}

fn is_no(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    NO.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
}

fn reason(json: &Value) -> Option<String> {
    let text = ["reason", "msg", "message"].iter().find_map(|key| json.get(key)?.as_str())?;
    let shown: String = text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_srs_and_nginx_rtmp_read_them() {
        for (status, body, allows) in [
            (200, "", true),
            (200, "0", true),
            (200, " 0\n", true),
            (204, "", true),
            (200, "OK", true),
            (200, "<html>", true),
            (200, r#"{"code":0}"#, true),
            (200, r#"{"code":"0","data":null}"#, true),
            (200, r#"{"ok":true}"#, true),
            (201, "[]", true),
            (200, "true", true),
            (200, r#"{"allow":true}"#, true),
            (200, r#"{"result":"allow"}"#, true),
            (200, r#"{"result":0}"#, true),
            (200, r#"{"allow":null,"note":"false"}"#, true),
            (200, "false", false),
            (200, " False\n", false),
            (200, "deny", false),
            (200, "\"no\"", false),
            (200, r#"{"allow":false}"#, false),
            (200, r#"{"allowed": false}"#, false),
            (200, r#"{"result":false}"#, false),
            (200, r#"{"result":"deny"}"#, false),
            (200, r#"{"ok":false}"#, false),
            (200, r#"{"success":"false"}"#, false),
            (200, r#"{"code":false}"#, false),
            (200, r#"{"code":0,"allow":false}"#, false),
            (200, "1", false),
            (200, "-1", false),
            (200, "\"403\"", false),
            (200, r#"{"code":403}"#, false),
            (200, r#"{"code":"1"}"#, false),
            (200, r#"{"code":0.5}"#, false),
            (301, "", false),
            (403, "0", false),
            (404, "", false),
        ] {
            let said = judge(status, body.as_bytes());
            assert_eq!(said == Decision::Allow, allows, "{status} {body}: {said:?}");
            assert!(!matches!(said, Decision::Failed(_)), "{status} {body}");
        }
    }

    #[test]
    fn a_server_that_fails_has_not_decided() {
        assert!(matches!(judge(500, b"0"), Decision::Failed(_)));
        assert!(matches!(judge(503, b""), Decision::Failed(_)));
    }

    #[test]
    fn the_reason_is_one_short_line() {
        let of = |body: &str| match judge(403, body.as_bytes()) {
            Decision::Refuse(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(of(r#"{"reason":"not you\n"}"#).as_deref(), Some("not you"));
        assert_eq!(of(r#"{"code":1,"msg":"no"}"#).as_deref(), Some("no"));
        assert_eq!(of("no"), None);
        assert_eq!(of(&format!("{{\"msg\":\"{}\"}}", "x".repeat(999))).unwrap().len(), 200);
    }
}
