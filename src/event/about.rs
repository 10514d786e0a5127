//! What a connection says about itself.

/// What is known of a connection beside its address. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// `rtmp`, `rtmps`, `http-flv` or `ws-flv`.
    pub protocol: &'static str,
    /// The URL of its application: scheme, host and the first part of the path. Empty if it did
    /// not say.
    pub tc_url: String,
    /// Name and version of the program, as it gives them. Empty if it did not say.
    pub agent: String,
}
