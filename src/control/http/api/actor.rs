//! Actor of a request: who asks for what a handler does, as events tell it.

use std::future::Future;

use axum::http::{HeaderMap, header};

use crate::control::auth::Caller;

/// What the command line of this program calls itself to the API.
pub const CLI_AGENT: &str = "stream-manager-cli";

tokio::task_local! {
    /// Who asks for what the handler does, as events tell it.
    static ACTOR: String;
}

/// Who asks for what is being done.
pub(super) fn actor() -> Option<String> {
    ACTOR.try_with(Clone::clone).ok()
}

/// Runs a handler, and what it calls, for `actor`.
pub(super) async fn scope<T>(actor: String, handler: impl Future<Output = T>) -> T {
    ACTOR.scope(actor, handler).await
}

/// Who asks, as events tell it: by which token, and whether by our own command line.
pub(super) fn told(caller: &Caller, headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let is_ours = agent.is_some_and(|agent| agent.starts_with(CLI_AGENT));
    match &caller.token {
        Some(name) if is_ours => format!("cli:{name}"),
        Some(name) => format!("token:{name}"),
        None if is_ours => "cli".to_owned(),
        None => "anybody".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::control::auth::Access;

    #[test]
    fn who_asks_is_told_by_the_name_of_its_token_and_the_command_line_as_such() {
        let caller =
            |token: Option<&str>| Caller { access: Access::Write, token: token.map(Arc::from) };
        let mut headers = HeaderMap::new();
        assert_eq!(told(&caller(Some("bot")), &headers), "token:bot");
        assert_eq!(told(&caller(None), &headers), "anybody");
        headers.insert(header::USER_AGENT, CLI_AGENT.parse().unwrap());
        assert_eq!(told(&caller(Some("admin")), &headers), "cli:admin");
        assert_eq!(told(&caller(None), &headers), "cli");
    }
}
