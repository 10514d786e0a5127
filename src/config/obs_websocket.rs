//! obs-websocket listener settings, `[obs_websocket]`: where programs that control OBS connect, and
//! which channel they control.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::fault::{Faults, quoted};
use super::field::{bind, private_file};
use super::section::Section;
use super::{ChannelConfig, HttpConfig};

/// `[obs_websocket]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObsWebSocketConfig {
    /// Whether it listens at all.
    pub enabled: bool,
    /// Address it listens on.
    pub bind: IpAddr,
    /// Port it listens on.
    pub port: u16,
    /// The channel that is controlled; by default the first one.
    pub channel: Option<String>,
    /// The file that holds its password; by default `obs-websocket-password` in the data directory.
    /// Made at the start if it is not there.
    pub password_file: Option<PathBuf>,
}

impl Default for ObsWebSocketConfig {
    fn default() -> Self {
        let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { enabled: false, bind, port: 4_455, channel: None, password_file: None }
    }
}

impl ObsWebSocketConfig {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }
}

/// Reads `[obs_websocket]`, if it is there.
pub(super) fn read(
    top: &mut Section<'_>,
    faults: &mut Faults<'_>,
    http: &HttpConfig,
    channels: &[ChannelConfig],
) -> ObsWebSocketConfig {
    let default = ObsWebSocketConfig::default();
    let Some(mut s) = top.table(faults, "obs_websocket", "[obs_websocket]") else {
        return default;
    };
    let enabled = s.flag(faults, "enabled", default.enabled);
    let bind = bind(&mut s, faults, default.bind);
    let channel = s.parsed(faults, "channel", |text| Ok(text.to_owned()));
    if let Some(channel) = &channel
        && !channels.iter().any(|it| it.name == channel.value)
    {
        let text = format!("there is no channel {}", quoted(&channel.value));
        faults.add(&channel.span, text);
    }
    if enabled && channels.is_empty() {
        let text = "it controls a channel, and there is none; add a [[channel]]";
        faults.add(&s.place("enabled"), text.to_owned());
    }
    if enabled && !http.enabled {
        let text = "it needs the API; say `enabled = true` in [http]";
        faults.add(&s.place("enabled"), text.to_owned());
    }
    let password_file = s.parsed(faults, "password_file", private_file);
    let port = s.whole(faults, "port", 1..=u16::MAX).unwrap_or(default.port);
    s.finish(faults);
    ObsWebSocketConfig {
        enabled,
        bind,
        port,
        channel: channel.map(|found| found.value),
        password_file: password_file.map(|found| found.value),
    }
}
