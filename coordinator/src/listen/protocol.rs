//! What is spoken on connections, and what of it has to come first.

/// What is spoken at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/2 alone.
    Grpc,
    /// HTTP/1.1 alone.
    Http,
}

impl Protocol {
    /// Its name in ALPN.
    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Grpc => b"h2",
            Self::Http => b"http/1.1",
        }
    }

    /// What has to be said at once. The preface of HTTP/2 has a fixed length, and nothing else bounds the wait for it; for
    /// the head of a request HTTP/1.1 has a limit of its own.
    pub(super) fn opening_bytes(self) -> usize {
        match self {
            Self::Grpc => 24,
            Self::Http => 1,
        }
    }
}
