//! Who a provider is: its root key's hash.

/// SHA-256 over the labelled root key; 32 bytes, never truncated (protocol section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(pub [u8; 32]);
