//! Request bodies and queries of the API, and the errors for those that cannot be read.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Bytes of a request's body: a scene with many layers has some thousands.
pub(super) const BODY_BYTES_MAX: usize = 256 << 10;

/// A body of JSON, whatever its content type says. An empty one is read like `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            match error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                true => Problem::too_large(BODY_BYTES_MAX),
                false => Problem::invalid("the body did not come whole", "send it again"),
            }
        })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| {
            let detail = without_values(&error.to_string());
            Problem::invalid(&detail, "/api/v1/openapi.json says what it should be")
        })
    }
}

/// What stands behind the `?`.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let query = query.map_err(|error| {
            let detail = without_values(&error.body_text());
            Problem::invalid(&detail, "/api/v1/openapi.json says what it should be")
        })?;
        Ok(Self(query.0))
    }
}

/// What the middleware left with the request; the type's default if it left nothing.
pub(super) fn left<T: Clone + Send + Sync + 'static>(extensions: &Extensions) -> Option<T> {
    extensions.get::<T>().cloned()
}

/// Values may be secrets and are not repeated: serde puts them in double quotes.
fn without_values(text: &str) -> String {
    let parts = text.split('"').enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { part } else { "…" }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        let error = serde_json::from_str::<u32>("\"sec-ret\"").unwrap_err().to_string();
        assert!(error.contains("sec-ret"));
        let told = without_values(&error);
        assert!(told.contains("invalid type") && !told.contains("sec-ret"), "{told}");
    }
}
