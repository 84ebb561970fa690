//! The environment variables that a worker is set by. They stand above the configuration file.

use super::ConfigError;

/// The longest PROVIDER_ID, in bytes: it is a folder's name and the announced handle.
pub const MAX_PROVIDER_ID_BYTES: usize = 40;
/// The longest PROVIDER_NAME, in bytes (protocol section 2.4).
pub const MAX_PROVIDER_NAME_BYTES: usize = 64;
/// PROVIDER_ID when nothing is said.
pub const DEFAULT_PROVIDER_ID: &str = "provider";
/// The state folder of this name holds the addresses of local workers.
const RESERVED_PROVIDER_ID: &str = "local";

/// Which market the worker joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Loopback only, free ports; workers of this machine find each other by themselves.
    #[default]
    Local,
    /// The network of a network file or an invite.
    Network,
}

impl Mode {
    /// As it stands in MARKETPLACE_MODE.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Network => "network",
        }
    }
}

/// What the environment says; what it leaves out, the file or a default says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// PROVIDER_ID
    pub provider_id: Option<String>,
    /// PROVIDER_NAME
    pub provider_name: Option<String>,
    /// MARKETPLACE_MODE
    pub mode: Option<Mode>,
    /// ENABLE_PAYMENTS=true: asked for and not there yet.
    pub payments: bool,
}

impl Environment {
    /// Reads the variables by `look_up`, which gives none for one that is not set. An empty one counts as not set.
    ///
    /// # Errors
    /// Names the variable and what to set instead.
    pub fn read(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let look_up = |name: &str| look_up(name).filter(|value| !value.is_empty());
        if !switch("ENABLE_ENCRYPTION", look_up("ENABLE_ENCRYPTION"), true)? {
            return Err(ConfigError::environment(
                "ENABLE_ENCRYPTION=false is refused: every prompt and answer is sealed end to end, and the protocol has \
                 no unsealed form that a client would send or take",
                "unset ENABLE_ENCRYPTION or set it to true",
            ));
        }
        Ok(Self {
            provider_id: look_up("PROVIDER_ID")
                .map(|id| check_provider_id(&id).map(|()| id))
                .transpose()
                .map_err(|rule| ConfigError::environment(format!("PROVIDER_ID: {rule}"), PROVIDER_ID_FIX))?,
            provider_name: look_up("PROVIDER_NAME")
                .map(|name| check_provider_name(&name).map(|()| name))
                .transpose()
                .map_err(|rule| {
                ConfigError::environment(format!("PROVIDER_NAME: {rule}"), "choose another name")
            })?,
            mode: look_up("MARKETPLACE_MODE").map(|mode| parse_mode(&mode).ok_or(mode)).transpose().map_err(
                |mode| {
                    ConfigError::environment(
                        format!("MARKETPLACE_MODE={mode} is no mode"),
                        "set it to local (this machine only) or network (join a network file or an invite)",
                    )
                },
            )?,
            payments: switch("ENABLE_PAYMENTS", look_up("ENABLE_PAYMENTS"), false)?,
        })
    }
}

/// What to do about a wrong PROVIDER_ID.
pub(super) const PROVIDER_ID_FIX: &str = "use 1 to 40 of a-z, 0-9 and '-', for instance gpt-provider";

/// It names a folder and is announced, so it is plain.
pub(super) fn check_provider_id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > MAX_PROVIDER_ID_BYTES {
        return Err(format!("has {} bytes; 1 to {MAX_PROVIDER_ID_BYTES} are allowed", id.len()));
    }
    if let Some(wrong) = id.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(format!("{wrong:?} is not allowed in it"));
    }
    if id == RESERVED_PROVIDER_ID {
        return Err(format!("{RESERVED_PROVIDER_ID:?} is reserved for the addresses of local workers"));
    }
    Ok(())
}

/// It is shown to users, so it is one line of text.
pub(super) fn check_provider_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() || name.len() > MAX_PROVIDER_NAME_BYTES {
        return Err(format!("has {} bytes; 1 to {MAX_PROVIDER_NAME_BYTES} are allowed", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err("has a control character in it".to_owned());
    }
    Ok(())
}

pub(super) fn parse_mode(text: &str) -> Option<Mode> {
    match text {
        "local" => Some(Mode::Local),
        "network" => Some(Mode::Network),
        _ => None,
    }
}

fn switch(name: &str, value: Option<String>, default: bool) -> Result<bool, ConfigError> {
    match value.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None => Ok(default),
        Some("true" | "1" | "yes" | "on") => Ok(true),
        Some("false" | "0" | "no" | "off") => Ok(false),
        Some(other) => Err(ConfigError::environment(
            format!("{name}={other} is neither true nor false"),
            "set it to true or false",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: Result<Environment, &str>) {
        let read = Environment::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        match (read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{variables:?}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{variables:?}: {error}"),
            (read, expected) => panic!("{variables:?}: {read:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn variables_are_read_or_refused_by_name() {
        check(&[], Ok(Environment::default()));
        check(&[("PROVIDER_ID", "")], Ok(Environment::default()));
        check(
            &[("PROVIDER_ID", "gpt-provider"), ("PROVIDER_NAME", "GPT"), ("MARKETPLACE_MODE", "network")],
            Ok(Environment {
                provider_id: Some("gpt-provider".into()),
                provider_name: Some("GPT".into()),
                mode: Some(Mode::Network),
                payments: false,
            }),
        );
        check(&[("ENABLE_ENCRYPTION", "true"), ("ENABLE_PAYMENTS", "false")], Ok(Environment::default()));
        check(&[("ENABLE_PAYMENTS", "TRUE")], Ok(Environment { payments: true, ..Environment::default() }));
        check(&[("ENABLE_ENCRYPTION", "false")], Err("sealed end to end"));
        check(&[("ENABLE_ENCRYPTION", "0")], Err("ENABLE_ENCRYPTION"));
        check(&[("ENABLE_ENCRYPTION", "maybe")], Err("neither true nor false"));
        check(&[("PROVIDER_ID", "../up")], Err("PROVIDER_ID: '.' is not allowed"));
        check(&[("PROVIDER_ID", "GPT")], Err("PROVIDER_ID: 'G' is not allowed"));
        check(&[("PROVIDER_ID", "local")], Err("reserved"));
        check(&[("PROVIDER_ID", &"a".repeat(41))], Err("41 bytes"));
        check(&[("PROVIDER_NAME", "a\nb")], Err("control character"));
        check(&[("PROVIDER_NAME", &"n".repeat(65))], Err("65 bytes"));
        check(&[("MARKETPLACE_MODE", "main")], Err("MARKETPLACE_MODE=main"));
    }
}
