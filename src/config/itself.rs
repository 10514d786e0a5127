//! Self-relay check: pulls, pushes and outputs that lead to the very node that has them.

use std::net::{IpAddr, UdpSocket};

use super::Config;
use crate::rtmp::Url;

impl Config {
    /// Pulls, pushes and outputs that lead to this node itself, each in a sentence with what to do.
    /// Names of other machines are not looked up.
    #[must_use]
    pub fn relays_to_itself(&self) -> Vec<String> {
        let pulls = self.pulls.iter().filter(|pull| self.is_itself(&pull.url)).map(|pull| {
            let (name, stream) = (&pull.name, &pull.stream);
            if path_of(&pull.url) == *stream {
                format!(
                    "pull {name} takes {stream} from {stream} of this node itself, so nothing \
                     ever comes; give the address of another node"
                )
            } else {
                format!("pull {name} takes {stream} from this node itself; is that meant?")
            }
        });
        let outputs = self.channels.iter().flat_map(|channel| {
            let of_channel = |name: &String| format!("output {name} of channel {}", channel.name);
            let outputs = channel.outputs.iter();
            outputs.map(move |output| (of_channel(&output.name), &channel.stream, &output.url))
        });
        let pushes = self.pushes.iter();
        let pushes = pushes.map(|push| (format!("push {}", push.name), &push.stream, &push.url));
        let pushes = outputs.chain(pushes).filter(|(.., url)| self.is_itself(url));
        let pushes = pushes.map(|(name, stream, _)| {
            format!(
                "{name} sends {stream} to this node itself, which refuses it under the same name; \
                 give the address of another node, or a key for another name"
            )
        });
        pulls.chain(pushes).collect()
    }

    fn is_itself(&self, url: &Url) -> bool {
        let port = if url.is_secure() { self.tls.rtmps_port } else { Some(self.rtmp.port) };
        port == Some(url.port()) && is_here(url.host(), self.rtmp.bind)
    }
}

/// Application and name, without a query.
fn path_of(url: &Url) -> String {
    let name = url.name().expose();
    format!("{}/{}", url.app(), name.split('?').next().unwrap_or(name))
}

/// Whether a node that listens on `bind` is what `host` leads to.
fn is_here(host: &str, bind: IpAddr) -> bool {
    if host.eq_ignore_ascii_case("localhost") || is_own_name(host) {
        return bind.is_unspecified() || bind.is_loopback() || is_own_name(host);
    }
    let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() else { return false };
    if bind.is_unspecified() { is_of_this_machine(address) } else { address == bind }
}

fn is_own_name(host: &str) -> bool {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    !own.trim().is_empty() && host.eq_ignore_ascii_case(own.trim())
}

/// Only an address of this machine can be bound to.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        Config::parse(text, "x").unwrap().relays_to_itself()
    }

    fn pull(url: &str) -> String {
        format!("[[pull]]\nname=\"p\"\nstream=\"live/a\"\nurl=\"{url}\"\n")
    }

    #[test]
    fn relays_to_the_node_itself_are_named_without_their_keys() {
        let text = "[[channel]]\nname=\"c\"\noutput=[{name=\"o\", url=\"rtmp://[::1]/x/s3cret\"}]\n\
                    [[push]]\nname=\"ring\"\nstream=\"live/b\"\nurl=\"rtmp://localhost/live/s3cret\"\n";
        let told = told(&format!("{}{text}", pull("rtmp://127.0.0.1/live/a?token=s3cret")));
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].contains("pull p takes live/a from live/a of this node itself"),
            "{told:?}"
        );
        assert!(told[1].contains("output o of channel c sends live/c"), "{told:?}");
        assert!(told[2].contains("push ring sends live/b"), "{told:?}");
        assert!(!told.concat().contains("s3cret"), "{told:?}");
        assert!(self::told(&pull("rtmp://127.0.0.1/live/b"))[0].contains("is that meant?"));
    }

    #[test]
    fn relays_to_other_nodes_are_none_of_them() {
        for url in ["rtmp://127.0.0.1:1936/live/a", "rtmp://192.0.2.1/live/a", "rtmp://h/live/a"] {
            assert_eq!(told(&pull(url)), Vec::<String>::new(), "{url}");
        }
        let bound = format!("[rtmp]\nbind=\"127.0.0.2\"\n{}", pull("rtmp://127.0.0.1/live/a"));
        assert_eq!(told(&bound), Vec::<String>::new());
    }
}
