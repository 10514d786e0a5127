//! API client: requests with a node's tokens, and what the node's events say.

use serde_json::Value;

use crate::node::Node;
use crate::web::Answer;

/// The token of who may do everything.
pub(crate) fn token(node: &Node) -> String {
    token_in(node, "data/api-token")
}

/// The token in this file, if its path is not whole one of the scenario's directory.
pub(crate) fn token_in(node: &Node, file: &str) -> String {
    std::fs::read_to_string(node.file(file)).unwrap().trim().to_owned()
}

/// Asks for something, such as `GET /events`, as who may do everything. Gives the status, and the
/// body, as text if it is not JSON.
pub(crate) fn ask(node: &Node, request: &str, body: &Value) -> (u16, Value) {
    ask_with(node, &token(node), request, body)
}

/// The same with this token.
pub(crate) fn ask_with(node: &Node, token: &str, request: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (method, path) = request.split_once(' ').unwrap();
    let (port, length) = (node.http_port(), body.len());
    let text = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let answer = Answer::to_bytes(port, text.as_bytes());
    let status = answer.status;
    let text = answer.text();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The same for what has to be done.
pub(crate) fn done(node: &Node, request: &str, body: &Value) -> Value {
    let (status, answer) = ask(node, request, body);
    assert!((200..300).contains(&status), "{request}: {status} {answer}");
    answer
}

/// All events that the node remembers, oldest first.
pub(crate) fn events(node: &Node) -> Vec<Value> {
    let events = done(node, "GET /events?limit=1000", &Value::Null);
    events.as_array().unwrap().clone()
}

/// Those of one kind.
pub(crate) fn events_of(node: &Node, kind: &str) -> Vec<Value> {
    events(node).into_iter().filter(|event| event["kind"] == kind).collect()
}
