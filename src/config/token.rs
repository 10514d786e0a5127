//! `[[http.token]]`: further tokens of the API, with names and roles.

use std::collections::HashMap;

use super::fault::{Faults, quoted};
use super::field::{needed_name, private_file, unique};
use super::section::Section;
use super::{Role, TokenConfig};

/// Most tokens beside the two that each node has.
const TOKENS_MAX: usize = 64;

/// Names of the two tokens that each node has.
const TAKEN: [&str; 2] = ["admin", "read-only"];

/// Reads all `[[http.token]]`.
pub(super) fn read_all(http: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<TokenConfig> {
    let (mut tokens, mut names) = (Vec::new(), HashMap::new());
    for (index, mut s) in http.tables(faults, "token", "[[http.token]]").into_iter().enumerate() {
        if index == TOKENS_MAX {
            faults.add(s.span(), format!("a node has at most {TOKENS_MAX} [[http.token]]"));
            break;
        }
        let name = needed_name(&mut s, faults);
        if let Some(name) = &name {
            unique(faults, &mut names, "a token with the name", name);
            if TAKEN.contains(&name.value.as_str()) {
                let shown = quoted(&name.value);
                let text =
                    format!("{shown} is the name of a token of the node's own; choose another");
                faults.add(&name.span, text);
            }
        }
        let words =
            [("admin", Role::Admin), ("operator", Role::Operator), ("read-only", Role::ReadOnly)];
        let role = s.needed(faults, "role").and_then(|_| s.word(faults, "role", &words));
        let found = s.needed(faults, "file").is_some();
        let file = s.parsed(faults, "file", private_file).filter(|_| found);
        s.finish(faults);
        if let (Some(name), Some(role), Some(file)) = (name, role, file) {
            tokens.push(TokenConfig { name: name.value, role, file: file.value });
        }
    }
    tokens
}
