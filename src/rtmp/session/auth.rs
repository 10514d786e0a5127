//! Adobe's authentication of publishers, as a client: the server refuses `connect` and says in the
//! description what it wants to see in the query of the next one. The password itself is not sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};

use crate::rtmp::Login;

/// What the description of a refused `connect` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand<'a> {
    /// Nothing: it was refused for another reason.
    None,
    /// A user name.
    User,
    /// An answer to a challenge.
    Answer(Challenge<'a>),
    /// What was sent is wrong; the reason in the server's words.
    Failed(&'a str),
    /// A way of authentication that is not spoken.
    Other,
}

/// What the answer is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge<'a> {
    salt: &'a str,
    challenge: &'a str,
    opaque: &'a str,
}

/// Reads descriptions such as `[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] :`
/// and `[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=u&salt=s&challenge=c`.
pub(super) fn demand(description: &str) -> Demand<'_> {
    let wants = description.contains("code=403 need auth");
    if !description.contains("authmod=adobe") {
        let other = wants || description.contains("authmod=");
        return if other { Demand::Other } else { Demand::None };
    }
    if wants {
        return Demand::User;
    }
    let Some((_, query)) = description.split_once('?') else { return Demand::None };
    let (mut reason, mut challenge) = ("", Challenge::default());
    for (name, value) in query.trim_end().split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "reason" => reason = value,
            "salt" => challenge.salt = value,
            "challenge" => challenge.challenge = value,
            "opaque" => challenge.opaque = value,
            _ => {}
        }
    }
    match reason {
        "needauth" => Demand::Answer(challenge),
        reason => Demand::Failed(reason),
    }
}

/// The query of the second `connect`.
pub(super) fn introduction(login: &Login) -> String {
    format!("authmod=adobe&user={}", login.user())
}

/// The query of the third `connect`. `nonce` makes the answer differ from every other.
pub(super) fn answer(login: &Login, challenge: &Challenge<'_>, nonce: u32) -> String {
    let nonce = format!("{nonce:08x}");
    let Challenge { salt, challenge, opaque } = *challenge;
    let secret = digest(&[login.user(), salt, login.expose_password()]);
    let asked = if opaque.is_empty() { challenge } else { opaque };
    let response = digest(&[&secret, asked, &nonce]);
    let mut query =
        format!("authmod=adobe&user={}&challenge={nonce}&response={response}", login.user());
    if !opaque.is_empty() {
        query.push_str("&opaque=");
        query.push_str(opaque);
    }
    query
}

fn digest(parts: &[&str]) -> String {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part));
    BASE64.encode(md5.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_the_dialogue_is_recognised() {
        let reject = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
        assert_eq!(demand(reject), Demand::User);
        let challenge = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
                         ?reason=needauth&user=bob&salt=S0=&challenge=C1==&opaque=O2==";
        let want = Challenge { salt: "S0=", challenge: "C1==", opaque: "O2==" };
        assert_eq!(demand(challenge), Demand::Answer(want));
        for reason in ["authfailed", "nosuchuser"] {
            let failed = format!("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason={reason}");
            assert_eq!(demand(&failed), Demand::Failed(reason));
        }
        let limelight = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ";
        assert_eq!(demand(limelight), Demand::Other);
        for other in ["", "no such application", "[ AccessManager.Reject ] : [ authmod=adobe ]"] {
            assert_eq!(demand(other), Demand::None, "{other}");
        }
    }

    #[test]
    fn the_answer_is_the_one_other_clients_give() {
        // hash = base64(md5(user + salt + password)), then base64(md5(hash + opaque + nonce)).
        let login = Login::new("bob", "s3cret");
        let challenge = Challenge { salt: "SALT", challenge: "CHAL", opaque: "OPAQ" };
        let hash = BASE64.encode(Md5::digest("bobSALTs3cret"));
        let response = BASE64.encode(Md5::digest(format!("{hash}OPAQ000000ff")));
        let want =
            format!("authmod=adobe&user=bob&challenge=000000ff&response={response}&opaque=OPAQ");
        assert_eq!(answer(&login, &challenge, 255), want);
        // Without an opaque value the challenge takes its place.
        let challenge = Challenge { opaque: "", ..challenge };
        let response = BASE64.encode(Md5::digest(format!("{hash}CHAL000000ff")));
        let want = format!("authmod=adobe&user=bob&challenge=000000ff&response={response}");
        assert_eq!(answer(&login, &challenge, 255), want);
        assert!(!want.contains("s3cret"));
    }
}
