//! Which keys do what. All but Enter and Esc can be changed or be off; those without Ctrl or Alt act outside text fields
//! only and can be off together.

use super::state::App;

/// Something a key does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// Its name in the settings.
    pub id: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Its keys, unless the user chose others.
    pub first: &'static str,
}

/// All that can be changed.
pub const KEYS: [Key; 11] = [
    Key { id: "edit", what: "Edit the last question (empty field)", first: "Up" },
    Key { id: "palette", what: "Commands", first: "Ctrl+K" },
    Key { id: "providers", what: "Switch provider", first: "Alt+M" },
    Key { id: "new", what: "New chat", first: "Alt+N" },
    Key { id: "history", what: "Chats", first: "Alt+H" },
    Key { id: "details", what: "Details of the newest answer", first: "Alt+D" },
    Key { id: "rate", what: "Rate the newest answer, then 1 to 5", first: "Alt+R" },
    Key { id: "search", what: "Search in a list", first: "/" },
    Key { id: "next", what: "Next in a list", first: "J" },
    Key { id: "previous", what: "Previous in a list", first: "K" },
    Key { id: "keys", what: "The list of keys", first: "?" },
];

/// The name under which the settings say that single keys are off.
pub const SINGLE: &str = "single";
/// Its value then.
pub const OFF: &str = "off";

/// What the user chose: name and keys, empty for none.
pub type Chosen = Vec<(String, String)>;

/// A pressed key and what was held with it.
#[derive(Clone, Copy, Debug)]
pub struct Press<'a> {
    /// What it writes.
    pub key: &'a str,
    /// Its place.
    pub code: &'a str,
    /// Ctrl, or Cmd.
    pub control: bool,
    /// Alt.
    pub alt: bool,
}

/// The keys as text, "Alt+M"; none for Enter, Esc, Tab and those that are only held.
pub fn combination(press: Press<'_>) -> Option<String> {
    let Press { key, code, control, alt } = press;
    // With Alt many layouts write another letter, so there the key's place counts.
    let place = code.strip_prefix("Key").or(code.strip_prefix("Digit")).filter(|_| alt);
    let name = match key {
        "Enter" | "Escape" | "Tab" | "Control" | "Alt" | "Shift" | "Meta" | "AltGraph" | "Dead" | "Process"
        | "Unidentified" => return None,
        " " => "Space".to_owned(),
        _ => place.unwrap_or(key.strip_prefix("Arrow").unwrap_or(key)).to_uppercase_one(),
    };
    Some(format!("{}{}{name}", if control { "Ctrl+" } else { "" }, if alt { "Alt+" } else { "" }))
}

trait UppercaseOne {
    fn to_uppercase_one(&self) -> String;
}

impl UppercaseOne for str {
    /// A single letter as a capital; names stay as they are.
    fn to_uppercase_one(&self) -> String {
        if self.chars().count() == 1 { self.to_ascii_uppercase() } else { self.to_owned() }
    }
}

/// Whether these keys have neither Ctrl nor Alt.
pub fn is_single(keys: &str) -> bool {
    !keys.starts_with("Ctrl+") && !keys.starts_with("Alt+")
}

/// The keys that do this now; empty when none do.
pub fn keys_of(chosen: &Chosen, id: &str) -> String {
    let first = KEYS.iter().find(|key| key.id == id).map_or("", |key| key.first);
    chosen.iter().find(|(name, _)| name == id).map_or(first, |(_, keys)| keys).to_owned()
}

/// What these keys do now.
pub fn does(chosen: &Chosen, keys: &str) -> Option<&'static str> {
    let off = chosen.iter().any(|(name, value)| name == SINGLE && value == OFF);
    if keys.is_empty() || (off && is_single(keys)) {
        return None;
    }
    KEYS.iter().find(|key| keys_of(chosen, key.id) == keys).map(|key| key.id)
}

/// Gives something other keys, or none; refused with what they do already.
pub fn choose(chosen: &mut Chosen, id: &str, keys: &str) -> Result<(), String> {
    let other = KEYS.iter().find(|key| !keys.is_empty() && key.id != id && keys_of(chosen, key.id) == keys);
    if let Some(other) = other {
        return Err(format!("{keys} is taken: {}.", other.what));
    }
    chosen.retain(|(name, _)| name != id);
    if KEYS.iter().any(|key| key.id == id && key.first != keys) {
        chosen.push((id.to_owned(), keys.to_owned()));
    }
    Ok(())
}

/// A name with its keys, for a tooltip: "Chats (Alt+H)".
pub fn named(app: App, name: &str, id: &str) -> String {
    let keys = app.settings.with(|settings| keys_of(&settings.keys.clone().unwrap_or_default(), id));
    if keys.is_empty() { name.to_owned() } else { format!("{name} ({keys})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(key: &str, code: &str, control: bool, alt: bool) -> Option<String> {
        combination(Press { key, code, control, alt })
    }

    #[test]
    fn writes_what_is_pressed() {
        assert_eq!(press("µ", "KeyM", false, true).as_deref(), Some("Alt+M"));
        assert_eq!(press("k", "KeyK", true, false).as_deref(), Some("Ctrl+K"));
        assert_eq!(press("?", "Slash", false, false).as_deref(), Some("?"));
        assert_eq!(press("ArrowUp", "ArrowUp", false, false).as_deref(), Some("Up"));
        assert_eq!(press("F2", "F2", false, false).as_deref(), Some("F2"));
        for key in ["Enter", "Escape", "Tab", "Shift", "Alt"] {
            assert_eq!(press(key, key, false, false), None, "{key} stays what it is");
        }
    }

    #[test]
    fn changes_and_switches_off() {
        let mut chosen = Chosen::new();
        assert_eq!(does(&chosen, "Alt+M"), Some("providers"));
        assert_eq!(choose(&mut chosen, "providers", "Alt+N"), Err("Alt+N is taken: New chat.".into()));
        choose(&mut chosen, "providers", "Alt+P").unwrap();
        assert_eq!((does(&chosen, "Alt+P"), does(&chosen, "Alt+M")), (Some("providers"), None));
        choose(&mut chosen, "new", "Alt+M").unwrap();
        choose(&mut chosen, "search", "").unwrap();
        assert_eq!((does(&chosen, "Alt+M"), does(&chosen, "/"), does(&chosen, "")), (Some("new"), None, None));
        choose(&mut chosen, "search", "/").unwrap();
        choose(&mut chosen, "new", "Alt+N").unwrap();
        choose(&mut chosen, "providers", "Alt+M").unwrap();
        assert!(chosen.is_empty(), "nothing is kept of what is as at first: {chosen:?}");
        chosen.push((SINGLE.into(), OFF.into()));
        assert_eq!((does(&chosen, "J"), does(&chosen, "Up"), does(&chosen, "Ctrl+K")), (None, None, Some("palette")));
    }
}
