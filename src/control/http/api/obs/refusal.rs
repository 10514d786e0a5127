//! Refusal of a request: a status of the protocol with a comment, and reading a request's fields.

use serde_json::{Map, Value};

use super::protocol::status;
use crate::command::Answer;
use crate::control::http::api::problem::Problem;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: u16,
    pub comment: String,
}

impl Refusal {
    pub(super) fn new(code: u16, comment: impl Into<String>) -> Self {
        Self { code, comment: comment.into() }
    }

    pub(super) fn not_found(what: &str, name: &str) -> Self {
        Self::new(status::RESOURCE_NOT_FOUND, format!("there is no {what} `{name}`"))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let code = match problem.status() {
            400 => status::INVALID_REQUEST_FIELD,
            404 => status::RESOURCE_NOT_FOUND,
            409 => status::INVALID_RESOURCE_STATE,
            503 => status::NOT_READY,
            _ => status::GENERIC_ERROR,
        };
        Self::new(code, problem.into_words())
    }
}

impl From<Answer> for Refusal {
    fn from(answer: Answer) -> Self {
        Problem::from(answer).into()
    }
}

/// The fields of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// A field that may be left out; `null` is the same.
    pub(super) fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn needed<T>(
        self,
        key: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, Refusal> {
        let value = self.get(key).ok_or_else(|| {
            Refusal::new(status::MISSING_REQUEST_FIELD, format!("the field `{key}` is missing"))
        })?;
        read(value).ok_or_else(|| {
            let comment = format!("the field `{key}` has to be {what}");
            Refusal::new(status::INVALID_REQUEST_FIELD_TYPE, comment)
        })
    }

    pub(super) fn text(self, key: &str) -> Result<&'a str, Refusal> {
        self.needed(key, "a string", Value::as_str)
    }

    pub(super) fn flag(self, key: &str) -> Result<bool, Refusal> {
        self.needed(key, "true or false", Value::as_bool)
    }

    pub(super) fn object(self, key: &str) -> Result<&'a Map<String, Value>, Refusal> {
        self.needed(key, "an object", Value::as_object)
    }

    /// A number in this range.
    pub(super) fn number(
        self,
        key: &str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<f64, Refusal> {
        let number = self.needed(key, "a number", Value::as_f64)?;
        if range.contains(&number) {
            return Ok(number);
        }
        let comment = format!("the field `{key}` has to be {} to {}", range.start(), range.end());
        Err(Refusal::new(status::REQUEST_FIELD_OUT_OF_RANGE, comment))
    }
}
