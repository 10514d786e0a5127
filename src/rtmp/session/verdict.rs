//! Server answers to a client's requests: refusals, redirections, the end of a stream.

use crate::rtmp::amf0::Value;
use crate::rtmp::limits::{QUERY_BYTES_MAX, TEXT_BYTES_MAX};
use crate::rtmp::message::Command;
use crate::rtmp::name::truncate;
use crate::rtmp::{Query, Url, UrlError, relaying};

use super::auth::{self, Demand};
use super::client::{Client, ClientEvent, Step, call};
use super::status::{RECONNECT_REQUEST, text_of};

impl Client {
    /// Only failures of calls that matter: many servers do not know `releaseStream`.
    pub(super) fn error(&mut self, command: &Command) {
        let fatal = match self.step {
            Step::Connecting => command.transaction == call::CONNECT,
            Step::Creating => command.transaction == call::CREATE_STREAM,
            Step::Starting(_) => command.transaction == call::START,
            Step::Handshake(_) | Step::Started(_) | Step::Over => false,
        };
        if fatal {
            let info = command.object_with("code").unwrap_or(&Value::Null);
            let code = Some(text_of(info, "code")).filter(|code| !code.is_empty());
            self.refused(code.unwrap_or("NetConnection.Call.Failed"), info);
        }
    }

    pub(super) fn status(&mut self, command: &Command) {
        let Some(info) = command.object_with("code") else { return };
        let code = text_of(info, "code");
        let failed = text_of(info, "level").eq_ignore_ascii_case("error");
        match (code, &self.step) {
            ("NetStream.Publish.Start", Step::Starting(stream_id))
            | ("NetStream.Play.Start", Step::Starting(stream_id)) => {
                let stream_id = *stream_id;
                self.path = relaying::path_of(info);
                self.step = Step::Started(stream_id);
                self.events.push_back(ClientEvent::Started { stream_id });
            }
            (RECONNECT_REQUEST, Step::Over) => {}
            (RECONNECT_REQUEST, _) => self.asked_to_reconnect(text_of(info, "tcUrl")),
            _ if failed || is_end(code) => self.refused(code, info),
            _ => {}
        }
    }

    fn asked_to_reconnect(&mut self, tc_url: &str) {
        let to = self.url().and_then(|url| match tc_url {
            "" => Ok(url),
            tc_url => url.redirected(tc_url),
        });
        // One that leads nowhere is no reason to end what works: the server will close in time.
        if let Ok(to) = to {
            self.events.push_back(ClientEvent::Reconnect { to: Box::new(to) });
        }
    }

    /// A failure, or the end; unless the server only wants us elsewhere, or to know who we are.
    fn refused(&mut self, code: &str, info: &Value) {
        let description = text_of(info, "description");
        let redirection = info.get("ex").filter(|ex| ex.get("code") == Some(&Value::Number(302.0)));
        match (redirection, &self.step) {
            (_, Step::Over) => {}
            (Some(ex), _) => match self.url().and_then(|u| u.redirected(text_of(ex, "redirect"))) {
                Ok(to) => self.turn_away(ClientEvent::Redirect { to: Box::new(to) }),
                Err(error) => self.end(code, &format!("redirected, but it is {error}")),
            },
            (None, Step::Connecting) => match self.authentication(description) {
                Ok(Some(query)) => self.turn_away(ClientEvent::Authenticate { query }),
                Ok(None) => self.end(code, description),
                Err(hint) => self.end(code, hint),
            },
            (None, _) => self.end(code, description),
        }
    }

    /// What to put into the next `connect`, if the server asks who we are; an error says why that
    /// cannot be answered.
    fn authentication(&self, description: &str) -> Result<Option<Query>, &'static str> {
        let demand = auth::demand(description);
        let (demand, login) = match (demand, &self.spec.login) {
            (Demand::None, _) => return Ok(None),
            (Demand::Other, _) => return Err("the server asks for a login of an unknown kind"),
            (Demand::Failed(_), _) => return Err(BAD_LOGIN),
            (_, None) => return Err("the server asks for a login: add user:password@ to the URL"),
            (demand, Some(login)) => (demand, login),
        };
        let proof = match demand {
            Demand::Answer(challenge) => auth::answer(login, &challenge, self.nonce),
            _ => auth::introduction(login),
        };
        // The application may have a query of its own, from a redirection.
        let said = self.spec.query.expose();
        let own = said.split("authmod=").next().unwrap_or_default().trim_end_matches('&');
        let query = if own.is_empty() { proof } else { format!("{own}&{proof}") };
        // Asked again for what it has been told, the server does not accept it.
        if said == query || said.contains("&response=") || query.len() > QUERY_BYTES_MAX {
            return Err(BAD_LOGIN);
        }
        Ok(Some(Query::new(query)))
    }

    /// Our address, made anew from what `connect` says.
    fn url(&self) -> Result<Url, UrlError> {
        let url = Url::parse(&format!("{}/{}", self.spec.tc_url, self.spec.name.expose()))?;
        Ok(url.with_login(self.spec.login.clone()))
    }

    /// Nothing more is done on this connection.
    fn turn_away(&mut self, event: ClientEvent) {
        self.step = Step::Over;
        self.events.push_back(event);
    }

    /// It is over: refused if it never started.
    pub(super) fn end(&mut self, code: &str, description: &str) {
        // A code is a word of the protocol; anything else in its place is text like the other.
        let word = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let holds_name = self.bare_name().len() >= 8 && code.contains(self.bare_name());
        let proper = code.starts_with("Net") && code.len() < 64 && code.chars().all(word);
        let proper = proper && !holds_name;
        let code = if proper { code.to_owned() } else { self.public(code) };
        let description = self.public(description);
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Over => {}
            Step::Started(_) => self.events.push_back(ClientEvent::Ended { code, description }),
            _ => self.events.push_back(ClientEvent::Refused { code, description }),
        }
    }

    /// The stream name without its query.
    fn bare_name(&self) -> &str {
        let whole = self.spec.name.expose();
        whole.split('?').next().unwrap_or(whole)
    }

    /// A server's text without the stream name, control characters and what is too long.
    fn public(&self, text: &str) -> String {
        // First of all: a character that is taken out could have hidden the name.
        let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
        let whole = self.spec.name.expose();
        for secret in [whole, self.bare_name()].into_iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "***");
        }
        truncate(&mut text, TEXT_BYTES_MAX);
        text
    }
}

/// Codes that end a stream although their level may not say so.
fn is_end(code: &str) -> bool {
    matches!(
        code,
        "NetStream.Play.Stop"
            | "NetStream.Play.Complete"
            | "NetStream.Play.UnpublishNotify"
            | "NetStream.Play.StreamNotFound"
            | "NetStream.Play.Failed"
            | "NetStream.Publish.Denied"
            | "NetStream.Publish.BadName"
            | "NetStream.Publish.Rejected"
            | "NetStream.Unpublish.Success"
            | "NetStream.Failed"
            | "NetConnection.Connect.Closed"
            | "NetConnection.Connect.Rejected"
    )
}

const BAD_LOGIN: &str = "the server does not accept this user name and password";
