//! Query parameters of the API: a request with one that its path does not know is refused. What is
//! known is what the `OpenAPI` document says, which is made from the handlers.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::{MatchedPath, Query, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};

use super::openapi;
use super::problem::Problem;

/// Characters of a parameter's name that the refusal repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// Names of the query parameters of each method of each path, as the router writes paths.
static KNOWN: LazyLock<HashMap<(String, Method), Vec<String>>> = LazyLock::new(|| {
    let document = openapi::describe();
    let operations = document.paths.paths.into_iter().flat_map(|(path, item)| {
        let of = move |(method, operation)| ((path.clone(), method), query_names(operation));
        operations(item).map(of)
    });
    operations.collect()
});

fn operations(item: PathItem) -> impl Iterator<Item = (Method, Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
}

fn query_names(operation: Operation) -> Vec<String> {
    let parameters = operation.parameters.into_iter().flatten();
    let names = parameters.filter_map(|parameter| match parameter {
        RefOr::T(it) if matches!(it.parameter_in, ParameterIn::Query) => Some(it.name),
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    names.collect()
}

/// Refuses a query with a parameter that the path and method do not know. Paths and methods that
/// there are not are left to the router.
pub(super) async fn known_only(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(request: &Request) -> Result<(), Problem> {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return Ok(()) };
    let method = match request.method() {
        &Method::HEAD => Method::GET,
        method => method.clone(),
    };
    let Some(known) = KNOWN.get(&(path.as_str().to_owned(), method)) else { return Ok(()) };
    let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let Query(given) = query.map_err(|_| {
        Problem::invalid("the query cannot be read", "write it as ?name=value&name=value")
    })?;
    let unknown = given.into_iter().map(|(name, _)| name).find(|name| !known.contains(name));
    let Some(unknown) = unknown else { return Ok(()) };
    let shown: String = unknown.chars().take(SHOWN_CHARS_MAX).collect();
    let hint = match &known[..] {
        [] => "this path takes none".to_owned(),
        known => format!("this path takes {}", known.join(", ")),
    };
    let shown = shown.escape_debug();
    Err(Problem::invalid(&format!("there is no query parameter `{shown}` here"), &hint))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every method and path there is, with the names of its query parameters.
    pub(in crate::control::http::api) fn all() -> Vec<(String, Method, Vec<String>)> {
        let all = KNOWN
            .iter()
            .map(|((path, method), names)| (path.clone(), method.clone(), names.clone()));
        all.collect()
    }

    #[test]
    fn the_document_says_which_parameters_there_are() {
        let of = |path: &str| KNOWN[&(path.to_owned(), Method::GET)].clone();
        assert_eq!(of("/api/v1/events"), ["since", "limit"]);
        assert_eq!(of("/api/v1/clients"), ["stream"]);
        assert!(of("/api/v1/streams/{app}/{name}").is_empty(), "those of the path are none");
    }
}
