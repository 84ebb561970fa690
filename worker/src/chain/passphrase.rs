//! The passphrase of the keystore: from a file, from the environment, or asked for without showing it. It is never an
//! argument, which every user of the machine could read.

use super::{
    Failure,
    settings::{PASSPHRASE, Settings},
};
use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::Path,
};
use zeroize::Zeroizing;

/// Longer is no passphrase.
const MAX_BYTES: usize = 4_096;

/// Whether a key is being made: then it is asked for twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Open a keystore.
    Open,
    /// Make one.
    Make,
}

/// The passphrase.
///
/// # Errors
/// When there is none, or it is empty.
pub fn passphrase(settings: &Settings, purpose: Purpose) -> Result<Zeroizing<String>, Failure> {
    let text = if let Some(path) = settings.passphrase_file() {
        from_file(path)?
    } else if let Some(set) = std::env::var_os(PASSPHRASE) {
        Zeroizing::new(set.into_string().map_err(|_| format!("{PASSPHRASE} is no text"))?)
    } else if io::stdin().is_terminal() {
        let first = ask("Passphrase of the keystore: ")?;
        if purpose == Purpose::Make && *ask("Once more: ")? != *first {
            return Err("the two passphrases differ".into());
        }
        first
    } else {
        return Err(format!(
            "nothing says the keystore's passphrase\n  to fix: name a file with it (--passphrase-file, or \
             passphrase_file in [chain] of worker.toml), set {PASSPHRASE}, or run this in a terminal"
        )
        .into());
    };
    if text.is_empty() { Err("the passphrase is empty".into()) } else { Ok(text) }
}

/// The first line of a file: of `$CREDENTIALS_DIRECTORY` when the service manager gives one of that name.
fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let given = std::env::var_os("CREDENTIALS_DIRECTORY")
        .zip(path.file_name())
        .map(|(folder, name)| Path::new(&folder).join(name))
        .filter(|given| given.is_file());
    let path = given.as_deref().unwrap_or(path);
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES));
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64).read_to_string(&mut text))
        .map_err(|error| format!("passphrase_file {} cannot be read: {error}", path.display()))?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// A line that the terminal does not show.
fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let hidden = Hidden::begin();
    eprint!("{prompt}");
    io::stderr().flush()?;
    let line = hidden.line();
    drop(hidden);
    eprintln!();
    let line = line?.ok_or("no passphrase was given")?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// While it lives the terminal does not show what is typed. Nor does it send signals, which would end the program and leave
/// the terminal as it is: what interrupts ends the line instead.
#[cfg(unix)]
struct Hidden(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Hidden {
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
        let stdin = io::stdin();
        let Ok(shown) = tcgetattr(&stdin) else { return Self(None) };
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        hidden.local_modes.insert(LocalModes::ICANON);
        hidden.special_codes[SpecialCodeIndex::VEOL] = shown.special_codes[SpecialCodeIndex::VINTR];
        let _ = tcsetattr(&stdin, OptionalActions::Flush, &hidden);
        Self(Some(shown))
    }

    /// None when it was interrupted. The terminal gives a line at a time; nothing else keeps a copy of it.
    fn line(&self) -> io::Result<Option<Zeroizing<String>>> {
        let mut bytes = Zeroizing::new([0; MAX_BYTES]);
        let read = rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), bytes.as_mut_slice()))?;
        let line = &bytes[..read];
        let interrupt = self.0.as_ref().map(|shown| shown.special_codes[rustix::termios::SpecialCodeIndex::VINTR]);
        if interrupt.is_some() && line.last().copied() == interrupt {
            return Ok(None);
        }
        let text = std::str::from_utf8(line).map_err(|_| io::Error::other("the passphrase is no text"))?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(shown) = &self.0 {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, shown);
        }
    }
}

/// Elsewhere what is typed is shown, and the prompt says nothing else; a file or the environment is better there.
#[cfg(not(unix))]
struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> Self {
        Self
    }

    fn line(&self) -> io::Result<Option<Zeroizing<String>>> {
        use io::BufRead as _;
        let mut line = Zeroizing::new(String::with_capacity(MAX_BYTES));
        io::stdin().lock().take(MAX_BYTES as u64).read_line(&mut line)?;
        Ok(Some(line))
    }
}
