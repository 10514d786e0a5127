//! The status page: one HTML file with what does not change filled in. Its script fetches
//! `/status.json` for the rest.

use super::NodeInfo;
use crate::control::banner::rtmp_url;
use crate::stats::{ChannelEntry, Registry};

/// The page with `{{...}}` where something is filled in.
const TEMPLATE: &str = include_str!("page.html");

/// The page for this node.
pub(super) fn render(info: &NodeInfo, registry: &Registry) -> String {
    let rtmp = rtmp_url(info.rtmp);
    fill(TEMPLATE, |word| match word {
        "node" => escaped(&info.name),
        "version" => escaped(&info.version),
        "rtmp" => escaped(&rtmp),
        "everywhere" => info.rtmp.ip().is_unspecified().to_string(),
        "channels" => registry.channels.iter().map(|entry| card(&rtmp, entry)).collect(),
        _ => String::new(),
    })
}

fn card(rtmp: &str, entry: &ChannelEntry) -> String {
    let name = escaped(&entry.name);
    let url = escaped(&format!("{rtmp}/{}", entry.stream));
    format!(
        "<article data-channel=\"{name}\"><h3>{name}</h3>\
         <p class=\"url\"><code>{url}</code><button type=\"button\">Copy</button></p>\
         <dl></dl></article>\n"
    )
}

/// Replaces each `{{word}}` once; what is filled in is not looked at again.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut text = String::with_capacity(template.len() + 1_024);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((word, after)) = after.split_once("}}") else { break };
        text.push_str(before);
        text.push_str(&value(word));
        rest = after;
    }
    text + rest
}

/// `text` with nothing in it that HTML would read as markup, in content or in an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn rendered(node: &str, channel: &str) -> String {
        let info = NodeInfo {
            name: node.to_owned(),
            version: "1.2.3".to_owned(),
            rtmp: "0.0.0.0:1935".parse().unwrap(),
        };
        let entry = ChannelEntry {
            name: channel.to_owned(),
            stream: format!("live/{channel}"),
            stats: Arc::default(),
        };
        render(&info, &Registry::new(Vec::new(), vec![entry], Vec::new()))
    }

    #[test]
    fn the_page_names_the_node_and_how_to_watch() {
        let page = rendered("studio", "demo");
        for part in ["studio", "1.2.3", "rtmp://127.0.0.1:1935/live/demo", "/metrics", "/healthz"] {
            assert!(page.contains(part), "no {part}");
        }
        assert!(!page.contains("{{") && !page.contains("}}"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = rendered("studio", "demo");
        for word in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn names_are_text_and_never_markup() {
        let page = rendered("<script>x</script>{{rtmp}}", "a\"'><b>&");
        assert!(page.contains("&lt;script&gt;x&lt;/script&gt;{{rtmp}}"));
        assert!(page.contains("data-channel=\"a&quot;&#39;&gt;&lt;b&gt;&amp;\""));
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    }
}
