//! Waku.
