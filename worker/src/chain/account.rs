//! The account on the chain: a keystore on disk, made once and never replaced, opened only to sign.

use super::{
    Failure, command,
    keystore::{self, Cost, Fresh},
    passphrase::{Purpose, passphrase},
    settings::Settings,
};
use crate::state;
use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use getrandom::SysRng;
use rand_core::{Rng as _, UnwrapErr};
use std::{fs::File, io::Read as _, path::Path};
use zeroize::Zeroizing;

/// More is neither a keystore nor a key.
const MAX_BYTES: u64 = 64 * 1024;
/// Of a key in hexadecimal.
const KEY_DIGITS: usize = 64;

/// An account whose key is still closed.
pub struct Account {
    /// Its address.
    pub address: Address,
    text: String,
}

impl Account {
    /// Reads the keystore; its address needs no passphrase where the file names it.
    ///
    /// # Errors
    /// When there is none, or it is none.
    pub fn load(settings: &Settings) -> Result<Self, Failure> {
        let path = settings.keystore();
        let text = read(&path).map_err(|error| {
            format!(
                "the account's keystore {} cannot be read: {error}\n  to fix: make one with `worker chain account new`, \
                 or import one",
                path.display()
            )
        })?;
        let said = |error: keystore::KeystoreError| format!("{}: {error}", path.display());
        let address = match keystore::address(&text).map_err(said)? {
            Some(address) => address,
            None => keystore::open(&text, &passphrase(settings, Purpose::Open)?).map_err(said)?.address(),
        };
        Ok(Self { address, text: text.to_string() })
    }

    /// Opens the key.
    ///
    /// # Errors
    /// When the passphrase is wrong or missing.
    pub fn unlock(&self, settings: &Settings) -> Result<PrivateKeySigner, Failure> {
        let passphrase = passphrase(settings, Purpose::Open)?;
        keystore::open(&self.text, &passphrase)
            .map_err(|error| format!("{}: {error}", settings.keystore().display()).into())
    }
}

/// Carries out `worker chain account ..`.
///
/// # Errors
/// In words, with what to do.
pub fn execute(command: &command::Account, settings: &Settings) -> Result<(), Failure> {
    let path = settings.keystore();
    match command {
        command::Account::New => {
            refuse_second(&path)?;
            let mut secret = Zeroizing::new([0; 32]);
            let signer = loop {
                UnwrapErr(SysRng).fill_bytes(&mut *secret);
                // Zero, or over the order: one in 2^127.
                if let Ok(signer) = PrivateKeySigner::from_slice(&*secret) {
                    break signer;
                }
            };
            keep(&signer, &passphrase(settings, Purpose::Make)?, &path)?;
            println!("account {}", signer.address());
            println!(
                "its key lies in {} under the passphrase: keep a copy of both, nobody can restore them",
                path.display()
            );
            println!("send it ETH for gas, and INFERENCE to stake");
        }
        command::Account::Import { file } => {
            refuse_key(file)?;
            refuse_second(&path)?;
            let text = read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
            let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
            let (signer, passphrase) = match raw(&text) {
                Some(signer) => (signer, passphrase(settings, Purpose::Make)?),
                None => {
                    keystore::address(&text).map_err(|error| said(&error))?;
                    let passphrase = passphrase(settings, Purpose::Open)?;
                    (keystore::open(&text, &passphrase).map_err(|error| said(&error))?, passphrase)
                }
            };
            keep(&signer, &passphrase, &path)?;
            println!("account {}", signer.address());
            println!("its key lies in {} under the passphrase", path.display());
            if raw(&text).is_some() {
                println!("{} holds it in the open: erase it", file.display());
            }
        }
        command::Account::Show => {
            println!("account {}", Account::load(settings)?.address);
            println!("keystore {}", path.display());
        }
    }
    Ok(())
}

/// A key in hexadecimal, alone in its file.
fn raw(text: &str) -> Option<PrivateKeySigner> {
    text.trim().parse().ok()
}

/// A key where a file should be named is not said again. It stands in the shell's history already, and stood for all to
/// read in the list of processes.
fn refuse_key(file: &Path) -> Result<(), Failure> {
    let Some(text) = file.to_str().map(str::trim) else { return Ok(()) };
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.len() == KEY_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("this is a key, and what is asked for is a file with one\n  to fix: take this key for known to others now and \
                    move what it holds; make a new account with `worker chain account new`, or write another key into a \
                    file that only you can read, and name the file"
            .into());
    }
    Ok(())
}

fn refuse_second(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Err(format!(
            "there is an account already in {}\n  to fix: name another file with --keystore; this one is never replaced, \
             it may own a stake",
            path.display()
        )
        .into());
    }
    Ok(())
}

fn keep(signer: &PrivateKeySigner, passphrase: &str, path: &Path) -> Result<(), Failure> {
    let mut fresh = Fresh { salt: [0; 32], iv: [0; 16], id: [0; 16] };
    let mut rng = UnwrapErr(SysRng);
    rng.fill_bytes(&mut fresh.salt);
    rng.fill_bytes(&mut fresh.iv);
    rng.fill_bytes(&mut fresh.id);
    let text = keystore::seal(signer, passphrase, Cost::default(), &fresh)?;
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        state::create_private_dir(folder).map_err(failed)?;
    }
    state::write_private(path, text.as_bytes()).map_err(failed)?;
    Ok(())
}

/// A file's text, which may be a key.
fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
