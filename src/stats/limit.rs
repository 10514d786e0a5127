//! Limits that a peer can meet, as they are counted.

/// Why a peer was turned away, or ended, although it broke no rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Connections of the node.
    Connections,
    /// Connections of one address.
    ConnectionsPerIp,
    /// How often one address connects.
    ConnectRate,
    /// Wrong keys of one address.
    Banned,
    /// How often one address asks to publish.
    PublishRate,
    /// Bits per second that go out of the node.
    Egress,
    /// Viewers that a stream's key allows.
    Viewers,
    /// Bits per second that a publisher's key allows.
    Bitrate,
    /// Size or frames per second that a publisher's key allows.
    Picture,
    /// What one connection may make us keep or do: bytes of unfinished messages, answers that it
    /// does not read, commands a second.
    PerConnection,
    /// Bytes of unfinished messages of all peers.
    Buffers,
    /// Time for the handshake and `connect`, or for an HTTP request.
    Handshake,
    /// Time between streams.
    Idle,
    /// Time without a byte from the peer.
    Silence,
    /// Time in which the peer takes nothing.
    Blocked,
}

impl Limit {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 15] = [
        Self::Connections,
        Self::ConnectionsPerIp,
        Self::ConnectRate,
        Self::Banned,
        Self::PublishRate,
        Self::Egress,
        Self::Viewers,
        Self::Bitrate,
        Self::Picture,
        Self::PerConnection,
        Self::Buffers,
        Self::Handshake,
        Self::Idle,
        Self::Silence,
        Self::Blocked,
    ];

    /// The value of the `limit` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerIp => "connections_per_ip",
            Self::ConnectRate => "connect_rate",
            Self::Banned => "banned",
            Self::PublishRate => "publish_rate",
            Self::Egress => "egress",
            Self::Viewers => "viewers",
            Self::Bitrate => "bitrate",
            Self::Picture => "picture",
            Self::PerConnection => "per_connection",
            Self::Buffers => "buffers",
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Silence => "silence",
            Self::Blocked => "blocked",
        }
    }
}
