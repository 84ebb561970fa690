//! Presets: one small model under several instructions, announced as what they are. A preset always sets a system
//! prompt: with its own default one the 135M model drifts off.

use sha2::{Digest, Sha256};

/// Instructions and sampling of a demo provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// As configured and announced.
    pub name: &'static str,
    /// Put before every conversation.
    pub system: &'static str,
    /// Where the client does not say.
    pub temperature: f64,
    /// Where the client does not say.
    pub top_p: f64,
}

/// All presets. The first two are those that a provider without a config gets.
pub const PRESETS: [Preset; 2] = [
    Preset { name: "assistant", system: "You are a helpful assistant.", temperature: 0.2, top_p: 0.9 },
    Preset {
        name: "list",
        system: "You are a helpful assistant. Answer with a numbered list.",
        temperature: 0.2,
        top_p: 0.9,
    },
];

impl Preset {
    /// The preset of this name.
    pub fn parse(name: &str) -> Option<Self> {
        PRESETS.into_iter().find(|preset| preset.name == name)
    }

    /// The preset of a provider that configures none: the first byte of the SHA-256 of its handle, modulo 2, so that
    /// workers told apart by `PROVIDER_ID` alone can differ.
    pub fn of_handle(handle: &str) -> Self {
        let [assistant, list] = PRESETS;
        let first = Sha256::digest(handle.as_bytes()).first().copied().unwrap_or(0);
        if first.is_multiple_of(2) { assistant } else { list }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_both_presets_exist() {
        let names: Vec<_> = ["alpha", "beta", "gamma", "delta"].map(|handle| Preset::of_handle(handle).name).into();
        assert!(names.contains(&"assistant") && names.contains(&"list"), "{names:?}");
        assert_eq!(Preset::of_handle("alpha"), Preset::of_handle("alpha"));
        assert_eq!(Preset::parse("list").map(|p| p.name), Some("list"));
        assert_eq!(Preset::parse("pirate"), None);
    }
}
