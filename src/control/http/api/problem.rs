//! API errors as `application/problem+json` (RFC 9457), with a code for programs and a hint for
//! people.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::command::Answer;
use crate::control::auth::Access;
use crate::control::keystore::KeyError;

/// A refusal.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the code says which.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong.
    detail: String,
    /// The kind of problem: `not_found`, `conflict`, `invalid`, `unauthorized`, `read_only`,
    /// `forbidden`, `too_many`, `too_large`, `full`, `unavailable`, `method`.
    code: &'static str,
    /// What to do.
    hint: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: &str, hint: &str) -> Self {
        let (detail, hint) = (detail.to_owned(), hint.to_owned());
        let title = status.canonical_reason().unwrap_or("refused");
        Self { kind: "about:blank", title, status: status.as_u16(), detail, code, hint }
    }

    /// The HTTP status.
    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// What is wrong, and what to do, in one line.
    pub(super) fn into_words(self) -> String {
        let Self { detail, hint, .. } = self;
        format!("{detail}; {hint}")
    }

    pub(super) fn not_found(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail, "the list next to it shows all")
    }

    pub(super) fn conflict(detail: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail, "read it again, then change it")
    }

    pub(super) fn invalid(detail: &str, hint: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail, hint)
    }

    /// No token was sent, or one that is none of this node's. Which ones there are is not said.
    pub(super) fn unauthorized(has_token: bool) -> Self {
        let hint = "send `Authorization: Bearer TOKEN`; the tokens are in the files api-token and \
                    api-token-readonly of the data directory";
        let detail = match has_token {
            true => "the token that was sent is none of this node's",
            false => "no token was sent, and this needs one",
        };
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail, hint)
    }

    /// Whoever may do what `access` says asks for something that takes `needed`.
    pub(super) fn not_for(access: Access, needed: Access) -> Self {
        let (code, detail) = match access {
            Access::Read => ("read_only", "this token may only read"),
            Access::Operate | Access::Write => {
                ("forbidden", "this token may not change stream keys and the node itself")
            }
        };
        let hint = match needed {
            Access::Write => "use the token of the file api-token, or one with the role admin",
            Access::Read | Access::Operate => {
                "use the token of the file api-token, or one with the role operator"
            }
        };
        Self::new(StatusCode::FORBIDDEN, code, detail, hint)
    }

    pub(super) fn from_elsewhere(detail: &str) -> Self {
        let hint = "open it on this machine by its address, or send `Authorization: Bearer TOKEN`";
        Self::new(StatusCode::FORBIDDEN, "from_elsewhere", detail, hint)
    }

    pub(super) fn too_many(detail: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail, "ask again later")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let detail = format!("the body has more than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &detail, "send less")
    }

    /// Somebody else, or the node's owner, has to do something first.
    pub(super) fn conflict_with(detail: &str, hint: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail, hint)
    }

    pub(super) fn full(detail: &str) -> Self {
        let hint = "delete what no scene shows, or let the configuration allow more: [assets]";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "full", detail, hint)
    }

    pub(super) fn unavailable(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail, "try again in a moment")
    }

    pub(super) fn no_such_path() -> Self {
        let hint = "/api/v1/openapi.json lists all";
        Self::new(StatusCode::NOT_FOUND, "not_found", "the API has no such path", hint)
    }

    pub(super) fn method() -> Self {
        let (status, hint) = (StatusCode::METHOD_NOT_ALLOWED, "/api/v1/openapi.json lists all");
        Self::new(status, "method", "this path does not know that method", hint)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let body = serde_json::to_string(&self).unwrap_or_default();
        let challenge = (status == StatusCode::UNAUTHORIZED)
            .then_some([(header::WWW_AUTHENTICATE, "Bearer realm=\"stream-manager\"")]);
        (status, kind, challenge.map(axum::response::AppendHeaders), body).into_response()
    }
}

/// An answer of the controller that is none to what was asked.
impl From<Answer> for Problem {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::NotFound(text) => Self::not_found(&text),
            Answer::Conflict(text) => Self::conflict(&text),
            Answer::Invalid(faults) => Self::invalid(&faults.join("; "), "correct it"),
            Answer::Unavailable(text) => Self::unavailable(&text),
            Answer::Done
            | Answer::Named(_)
            | Answer::Streams(_)
            | Answer::Clients(_)
            | Answer::Recent(_)
            | Answer::Scenes(_)
            | Answer::Scene(_)
            | Answer::Screenshot(_)
            | Answer::Data(_)
            | Answer::Preview(_)
            | Answer::Taken(_)
            | Answer::Picture(_)
            | Answer::Overlays(_)
            | Answer::Audio(_)
            | Answer::Playback(_)
            | Answer::Schedule(_)
            | Answer::Shown { .. }
            | Answer::Config(_)
            | Answer::Reloaded(_) => Self::unavailable("the node answers something else"),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotFound(text) => Self::not_found(&text),
            KeyError::Invalid(text) => Self::invalid(&text, "correct it"),
            KeyError::Conflict(text) => Self::conflict(&text),
            KeyError::Store(error) => Self::unavailable(&error.to_string()),
        }
    }
}
