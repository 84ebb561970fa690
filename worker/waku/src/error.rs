//! What can go wrong in a node, told by what the caller should do about it.

use std::{error, fmt, io};

/// Why the node could not do what was asked.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// What the caller should do about an [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another program listens on this TCP port: choose another one, or 0 for a free one.
    PortInUse(u16),
    /// The node cannot listen on the address asked for.
    Listen,
    /// The configuration is wrong; the text names the field.
    Config(String),
    /// This is no multiaddr the node can dial.
    Address(String),
    /// The message store cannot be opened, read or written.
    Store,
    /// The message breaks a rule of the network; the text names it. Sending it again cannot help.
    InvalidMessage(String),
    /// The encoded message is larger than [`crate::MAX_MESSAGE_BYTES`]; holds its size in bytes.
    TooLarge(usize),
    /// The network has no such shard.
    UnknownShard(u16),
    /// The query breaks a rule of the store protocol; the text names it.
    InvalidQuery(String),
    /// The node is saturated: try again a little later.
    Busy,
    /// The node has been shut down.
    Closed,
}

impl Error {
    /// What the caller should do about it.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    pub(crate) fn with_source(kind: ErrorKind, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// Names the port when it is taken, whatever layer of the transport says so.
    pub(crate) fn listening(port: u16, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        let mut cause: Option<&(dyn error::Error + 'static)> = Some(&*source);
        let mut busy = false;
        while let Some(error) = cause {
            busy |= error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::AddrInUse);
            cause = error.source();
        }
        let kind = if busy { ErrorKind::PortInUse(port) } else { ErrorKind::Listen };
        Self::with_source(kind, source)
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        Self::with_source(ErrorKind::Store, source)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortInUse(port) => write!(f, "port {port} is in use by another program"),
            Self::Listen => f.write_str("cannot listen for connections"),
            Self::Config(what) => write!(f, "invalid configuration: {what}"),
            Self::Address(what) => write!(f, "not an address of a Waku node: {what}"),
            Self::Store => f.write_str("the message store failed"),
            Self::InvalidMessage(rule) => write!(f, "invalid message: {rule}"),
            Self::TooLarge(size) => write!(f, "message of {size} bytes is too large"),
            Self::UnknownShard(shard) => write!(f, "the network has no shard {shard}"),
            Self::InvalidQuery(rule) => write!(f, "invalid query: {rule}"),
            Self::Busy => f.write_str("the node is busy"),
            Self::Closed => f.write_str("the node has been shut down"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}
