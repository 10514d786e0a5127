//! Web pages from elsewhere that may use the API. By default there are none; those that may still
//! need a token.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header, request::Parts};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::web::Cors;

/// Lets them in.
pub(super) fn allow<S: Clone + Send + Sync + 'static>(router: Router<S>, cors: Cors) -> Router<S> {
    if cors == Cors::Nobody {
        return router;
    }
    let origin = AllowOrigin::predicate(move |origin: &HeaderValue, parts: &Parts| {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let origin = origin.to_str().unwrap_or_default();
        cors.allowed(origin, host.unwrap_or_default()).is_some()
    });
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let headers: [HeaderName; 3] = [header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH];
    let layer = CorsLayer::new().allow_origin(origin).allow_methods(methods);
    router.layer(layer.allow_headers(headers).expose_headers([header::ETAG]))
}
