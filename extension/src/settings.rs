//! What the user set: defaults, checks and the rows they lie in.

use crate::port::Settings;
use crate::route;
use privacyai::client::{Choice, Hedging, Profile, Wishes};
use privacyai::effect::{Table, Write};
use privacyai::identity::ProviderId;
use privacyai::ranking::{self, Lists, Preset};
use std::str::FromStr;

/// Key of the settings in `Table::Settings`.
pub const SETTINGS: &[u8] = b"settings";

/// Key of the network file in `Table::Settings`.
pub const NETWORK: &[u8] = b"network";

/// Key of the conversation that was last open in `Table::Settings`.
pub const OPEN: &[u8] = b"open";

/// Most entry nodes: one light node runs for each (protocol section 6.3).
pub const ENTRY_NODES: usize = 3;

/// Most keys that can be changed; the panel has eleven.
const KEYS: usize = 32;

/// Most providers in a list of the user's.
const LISTED: usize = 1_000;

/// What speed, price, reputation and free slots weigh, each from 0 to 100.
pub type Weights = (u8, u8, u8, u8);

/// The weights of a way of choosing.
pub fn preset(prefer: &str) -> Weights {
    let preset = match prefer {
        "fastest" => Preset::Fastest,
        "cheapest" => Preset::Cheapest,
        "trusted" => Preset::Trusted,
        _ => Preset::Balanced,
    };
    let weights = preset.weights();
    (weights.speed, weights.price, weights.reputation, weights.load)
}

/// Says that an id is none.
pub const MALFORMED: &str = "This provider's id is malformed. Choose one from the list.";

/// Whether the user's lists keep a provider from being asked.
pub fn leaves_out(settings: &Settings, id: &str) -> bool {
    let lists = |list: &Option<Vec<String>>| list.iter().flatten().any(|one| one == id);
    lists(&settings.blocked) || (settings.allowed.iter().flatten().next().is_some() && !lists(&settings.allowed))
}

/// With a provider on this list, or off it.
pub fn listed(list: &Option<Vec<String>>, provider: &str, on: bool) -> Option<Vec<String>> {
    let mut ids = list.clone().unwrap_or_default();
    ids.retain(|id| id != provider);
    if on {
        ids.push(provider.into());
    }
    Some(ids)
}

/// Settings of a new installation.
pub fn default_settings() -> Settings {
    Settings { profile: "balanced".into(), theme: "system".into(), ..Settings::default() }
}

/// Refuses settings that could not be carried out; the sentence says what and where.
pub fn check(settings: &Settings) -> Result<(), String> {
    if settings.entry_nodes.len() > ENTRY_NODES {
        return Err(format!("At most {ENTRY_NODES} entry nodes can be used. Remove one."));
    }
    for address in &settings.entry_nodes {
        if route::entry_peer(address).is_none() {
            return Err(format!(
                "“{}” is no address that a browser can dial. It looks like /ip4/1.2.3.4/tcp/8000/ws/p2p/12D3….",
                address.chars().take(120).collect::<String>()
            ));
        }
    }
    let known = |value: &str, of: &[&str]| of.contains(&value);
    if !known(&settings.profile, &["balanced", "fast", "high"]) {
        return Err("The privacy level is unknown. Choose balanced, fast or high.".into());
    }
    if !known(&settings.theme, &["system", "light", "dark"]) {
        return Err("The theme is unknown. Choose system, light or dark.".into());
    }
    if settings.prefer.as_deref().is_some_and(|prefer| !known(prefer, &["balanced", "fastest", "cheapest", "trusted"]))
    {
        return Err("This way of choosing is unknown. Choose balanced, fastest, cheapest or trusted.".into());
    }
    for list in [&settings.blocked, &settings.allowed].into_iter().flatten() {
        if list.len() > LISTED {
            return Err(format!("At most {LISTED} providers can be listed. Take one off first."));
        }
        if list.iter().any(|id| ProviderId::from_str(id).is_err()) {
            return Err(MALFORMED.into());
        }
    }
    if settings.weights.is_some_and(|(speed, price, reputation, load)| {
        let weights = [speed, price, reputation, load];
        weights.iter().any(|weight| *weight > 100) || weights.iter().all(|weight| *weight == 0)
    }) {
        return Err("A weight goes from 0 to 100, and one of them must count. Set it anew.".into());
    }
    if settings.provider.as_deref().is_some_and(|id| ProviderId::from_str(id).is_err()) {
        return Err("The chosen provider's id is malformed. Choose one from the list.".into());
    }
    let short = |(what, keys): &(String, String)| what.len() <= 32 && keys.len() <= 32;
    if settings.keys.as_ref().is_some_and(|keys| keys.len() > KEYS || !keys.iter().all(short)) {
        return Err("These keys cannot be kept. Choose others.".into());
    }
    Ok(())
}

/// The profile as the client machine takes it.
pub fn profile(settings: &Settings) -> Profile {
    match settings.profile.as_str() {
        "fast" => Profile::Fast,
        "high" => Profile::High,
        _ => Profile::Balanced,
    }
}

/// How the client machine shall choose.
pub fn wishes(settings: &Settings) -> Wishes {
    let (speed, price, reputation, load) =
        settings.weights.unwrap_or_else(|| preset(settings.prefer.as_deref().unwrap_or_default()));
    let ids = |list: &Option<Vec<String>>| {
        list.iter().flatten().filter_map(|id| Some((ProviderId::from_str(id).ok()?, ()))).collect()
    };
    let lists = Lists { allowed: ids(&settings.allowed), blocked: ids(&settings.blocked) };
    let weights = ranking::Weights { speed, price, reputation, load };
    let hedging = if settings.hedge == Some(false) { Hedging::Never } else { Hedging::Allowed };
    Wishes { weights, lists, hedging }
}

/// Who shall answer: `once` for this question, else the chosen one, else the best.
pub fn choice(settings: &Settings, once: Option<&str>) -> Choice {
    once.or(settings.provider.as_deref())
        .and_then(|id| ProviderId::from_str(id).ok())
        .map_or(Choice::Automatic, Choice::Pinned)
}

/// A row of `Table::Settings`.
pub fn row(key: &[u8], value: Option<Vec<u8>>) -> Write {
    Write { table: Table::Settings, key: key.to_vec(), value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_can_be_carried_out() {
        let node = "/ip4/127.0.0.1/tcp/8000/ws/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf";
        let with = |change: fn(&mut Settings)| {
            let mut settings = Settings { entry_nodes: vec![node.into()], ..default_settings() };
            change(&mut settings);
            check(&settings).is_ok()
        };
        assert!(with(|_| ()));
        assert!(!with(|settings| settings.entry_nodes = vec!["x".into()]));
        assert!(!with(|settings| settings.entry_nodes = vec![settings.entry_nodes[0].clone(); 4]));
        assert!(!with(|settings| settings.profile = "loud".into()));
        assert!(!with(|settings| settings.theme = "pink".into()));
        assert!(with(|settings| settings.keys = Some(vec![("new".into(), "Alt+J".into())])));
        assert!(!with(|settings| settings.keys = Some(vec![("new".into(), "J".repeat(33))])));
        assert!(!with(|settings| settings.keys = Some(vec![(String::new(), String::new()); 33])));
        assert!(!with(|settings| settings.provider = Some("AAAA".into())));
        assert!(!with(|settings| settings.allowed = Some(vec!["AAAA".into()])));
        assert!(with(|settings| settings.weights = Some((0, 100, 0, 5))));
        assert!(!with(|settings| settings.weights = Some((0, 0, 0, 0))));
        assert!(!with(|settings| settings.weights = Some((0, 101, 0, 0))));
    }

    #[test]
    fn the_lists_and_the_weights_are_wishes() {
        let (one, other) = (ProviderId([1; 32]), ProviderId([2; 32]));
        let mut settings = Settings { prefer: Some("fastest".into()), ..default_settings() };
        assert_eq!(wishes(&settings).weights, Preset::Fastest.weights());
        settings.weights = Some((1, 2, 3, 4));
        settings.allowed = listed(&None, &one.to_string(), true);
        let wanted = wishes(&settings);
        assert_eq!(wanted.weights, ranking::Weights { speed: 1, price: 2, reputation: 3, load: 4 });
        assert!(wanted.lists.allow(&one) && !wanted.lists.allow(&other));
        let out = |settings: &Settings| [one, other].map(|id| leaves_out(settings, &id.to_string()));
        assert_eq!(out(&settings), [false, true]);
        settings.blocked = listed(&None, &one.to_string(), true);
        assert_eq!(out(&settings), [true, true]);
        (settings.allowed, settings.blocked) = (listed(&settings.allowed, &one.to_string(), false), None);
        assert_eq!(out(&settings), [false, false], "an empty list of the only ones is none");
    }
}
