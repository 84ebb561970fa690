//! The account's secret key under a passphrase: Web3 Secret Storage, version 3, as wallets and Foundry write and read it.
//! Nothing here touches a disk.

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy::primitives::{Address, B256, hex, keccak256};
use alloy::signers::local::PrivateKeySigner;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Half of the derived key opens the secret, the other half shows that the passphrase was right.
const HALF: usize = 16;
/// A secret key of secp256k1.
const SECRET_BYTES: usize = 32;
/// The most memory that a keystore may make its reader use, 1 GiB: four times what the strictest wallet writes.
const MAX_MEMORY: u64 = 1 << 30;
/// The most times that memory may be gone over.
const MAX_PASSES: u32 = 64;
/// The most rounds of PBKDF2: minutes, not hours.
const MAX_ROUNDS: u32 = 100_000_000;
/// The longest salt.
const MAX_SALT: usize = 1_024;

/// What guessing one passphrase costs: scrypt over 2^log_n blocks of 1 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Binary logarithm of the blocks.
    pub log_n: u8,
}

impl Default for Cost {
    /// 128 MiB and half a second, OWASP's first choice for scrypt.
    fn default() -> Self {
        Self { log_n: 17 }
    }
}

/// The bytes that must never come twice.
#[derive(Clone, Copy)]
pub struct Fresh {
    /// Salt of the derivation.
    pub salt: [u8; 32],
    /// First counter block of the cipher.
    pub iv: [u8; 16],
    /// The file's id.
    pub id: [u8; 16],
}

/// Why a keystore does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// It is no keystore of version 3.
    #[error("this is no keystore (Web3 Secret Storage, version 3)")]
    Malformed,
    /// It asks for more memory or time than any wallet does.
    #[error("this keystore asks for more memory or time than any wallet does")]
    Excessive,
    /// The passphrase does not fit.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// What is inside is no key, or not that of the address which the file names.
    #[error("this keystore holds no key, or not that of the address which it names")]
    Key,
}

#[derive(Serialize, Deserialize)]
struct File {
    #[serde(default)]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default)]
    id: Option<String>,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    #[serde(flatten)]
    kdf: Kdf,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt { dklen: usize, n: u64, p: u32, r: u32, salt: String },
    Pbkdf2 { c: u32, dklen: usize, prf: String, salt: String },
}

/// The text of a keystore with this key.
///
/// # Errors
/// When the cost is out of range.
pub fn seal(signer: &PrivateKeySigner, passphrase: &str, cost: Cost, fresh: &Fresh) -> Result<String, KeystoreError> {
    let kdf = Kdf::Scrypt {
        dklen: 2 * HALF,
        n: 1_u64.checked_shl(u32::from(cost.log_n)).ok_or(KeystoreError::Excessive)?,
        p: 1,
        r: 8,
        salt: hex::encode(fresh.salt),
    };
    let derived = derive(&kdf, passphrase)?;
    let mut secret = Zeroizing::new(signer.to_bytes().0);
    apply(&derived, &fresh.iv, &mut *secret)?;
    let file = File {
        address: Some(hex::encode(signer.address())),
        crypto: Crypto {
            cipher: CIPHER.to_owned(),
            cipherparams: CipherParams { iv: hex::encode(fresh.iv) },
            ciphertext: hex::encode(secret.as_slice()),
            mac: hex::encode(mac(&derived, secret.as_slice())),
            kdf,
        },
        id: Some(uuid(fresh.id)),
        version: 3,
    };
    serde_json::to_string_pretty(&file).map_err(|_| KeystoreError::Malformed)
}

/// The key of a keystore.
///
/// # Errors
/// Each kind says what the caller does about it.
pub fn open(text: &str, passphrase: &str) -> Result<PrivateKeySigner, KeystoreError> {
    let file = parse(text)?;
    let bytes = |text: &str| hex::decode(text).map_err(|_| KeystoreError::Malformed);
    let iv: [u8; 16] = bytes(&file.crypto.cipherparams.iv)?.try_into().map_err(|_| KeystoreError::Malformed)?;
    let mut secret = Zeroizing::new(bytes(&file.crypto.ciphertext)?);
    if secret.len() != SECRET_BYTES {
        return Err(KeystoreError::Malformed);
    }
    let derived = derive(&file.crypto.kdf, passphrase)?;
    // What is compared is no secret: whoever measures the time has the file.
    if bytes(&file.crypto.mac)? != mac(&derived, &secret).as_slice() {
        return Err(KeystoreError::Passphrase);
    }
    apply(&derived, &iv, &mut secret)?;
    let signer = PrivateKeySigner::from_slice(&secret).map_err(|_| KeystoreError::Key)?;
    match &file.address {
        Some(named) if parse_address(named)? != signer.address() => Err(KeystoreError::Key),
        _ => Ok(signer),
    }
}

/// The address that a keystore says it is of; not every wallet writes it.
///
/// # Errors
/// When it is no keystore.
pub fn address(text: &str) -> Result<Option<Address>, KeystoreError> {
    parse(text)?.address.as_deref().map(parse_address).transpose()
}

const CIPHER: &str = "aes-128-ctr";

fn parse(text: &str) -> Result<File, KeystoreError> {
    let file: File = serde_json::from_str(text).map_err(|_| KeystoreError::Malformed)?;
    if file.version != 3 || file.crypto.cipher != CIPHER { Err(KeystoreError::Malformed) } else { Ok(file) }
}

fn parse_address(text: &str) -> Result<Address, KeystoreError> {
    text.parse().map_err(|_| KeystoreError::Malformed)
}

fn derive(kdf: &Kdf, passphrase: &str) -> Result<Zeroizing<[u8; 2 * HALF]>, KeystoreError> {
    let mut derived = Zeroizing::new([0; 2 * HALF]);
    let (Kdf::Scrypt { dklen, salt, .. } | Kdf::Pbkdf2 { dklen, salt, .. }) = kdf;
    let salt = hex::decode(salt).map_err(|_| KeystoreError::Malformed)?;
    if *dklen != derived.len() || salt.len() > MAX_SALT {
        return Err(KeystoreError::Malformed);
    }
    match kdf {
        Kdf::Scrypt { n, p, r, .. } => {
            if !n.is_power_of_two() || *n < 2 || *p == 0 || *r == 0 {
                return Err(KeystoreError::Malformed);
            }
            let memory = n.checked_mul(128).and_then(|bytes| bytes.checked_mul(u64::from(*r)));
            if memory.is_none_or(|bytes| bytes > MAX_MEMORY) || *p > MAX_PASSES {
                return Err(KeystoreError::Excessive);
            }
            let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| KeystoreError::Excessive)?;
            let params = scrypt::Params::new(log_n, *r, *p).map_err(|_| KeystoreError::Excessive)?;
            scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *derived)
                .map_err(|_| KeystoreError::Malformed)?;
        }
        Kdf::Pbkdf2 { c, prf, .. } => {
            if prf != "hmac-sha256" || *c == 0 {
                return Err(KeystoreError::Malformed);
            }
            if *c > MAX_ROUNDS {
                return Err(KeystoreError::Excessive);
            }
            pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), &salt, *c, &mut *derived);
        }
    }
    Ok(derived)
}

fn apply(derived: &[u8; 2 * HALF], iv: &[u8; 16], bytes: &mut [u8]) -> Result<(), KeystoreError> {
    ctr::Ctr128BE::<aes::Aes128>::new_from_slices(&derived[..HALF], iv)
        .map_err(|_| KeystoreError::Malformed)?
        .apply_keystream(bytes);
    Ok(())
}

fn mac(derived: &[u8; 2 * HALF], ciphertext: &[u8]) -> B256 {
    keccak256([&derived[HALF..], ciphertext].concat())
}

/// A random UUID, version 4 (RFC 9562 section 5.4).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two examples of the specification of Web3 Secret Storage.
    const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr",
        "cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt",
        "kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,
        "salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
        "mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr",
        "cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
        "kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256",
        "salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    const CHEAP: Cost = Cost { log_n: 1 };
    const FRESH: Fresh = Fresh { salt: [1; 32], iv: [2; 16], id: [3; 16] };

    #[test]
    fn the_specifications_examples_open() {
        for text in [SCRYPT, PBKDF2] {
            assert_eq!(hex::encode(open(text, "testpassword").unwrap().to_bytes()), SECRET);
            assert_eq!(address(text), Ok(None));
        }
    }

    #[test]
    fn what_is_sealed_opens_with_its_passphrase_alone() {
        let signer = PrivateKeySigner::from_slice(&[7; 32]).unwrap();
        let text = seal(&signer, "a pass phrase", CHEAP, &FRESH).unwrap();
        assert_eq!(address(&text), Ok(Some(signer.address())));
        assert_eq!(open(&text, "a pass phrase").unwrap(), signer);
        assert_eq!(open(&text, "").unwrap_err(), KeystoreError::Passphrase);
        assert!(!text.contains(&hex::encode([7; 32])));
        assert!(text.contains("03030303-0303-4303-8303-030303030303"), "{text}");
        let stranger = PrivateKeySigner::from_slice(&[8; 32]).unwrap().address();
        let swapped = text.replace(&hex::encode(signer.address()), &hex::encode(stranger));
        assert_eq!(open(&swapped, "a pass phrase").unwrap_err(), KeystoreError::Key);
    }

    #[test]
    fn crafted_files_neither_panic_nor_fill_the_memory() {
        let text = seal(&PrivateKeySigner::from_slice(&[7; 32]).unwrap(), "p", CHEAP, &FRESH).unwrap();
        let check = |from: &str, to: &str, kind: KeystoreError| {
            assert!(text.contains(from), "{from} is not in {text}");
            assert_eq!(open(&text.replace(from, to), "p").unwrap_err(), kind, "{from} -> {to}");
        };
        use KeystoreError::{Excessive, Malformed, Passphrase};
        check("\"n\": 2", "\"n\": 1099511627776", Excessive);
        check("\"n\": 2", "\"n\": 9223372036854775808", Excessive);
        check("\"n\": 2", "\"n\": 3", Malformed);
        check("\"n\": 2", "\"n\": 0", Malformed);
        check("\"n\": 2", "\"n\": 1", Malformed);
        check("\"n\": 2", "\"n\": 4", Passphrase);
        check("\"r\": 8", "\"r\": 4294967295", Excessive);
        check("\"r\": 8", "\"r\": 0", Malformed);
        check("\"p\": 1", "\"p\": 4294967295", Excessive);
        check("\"dklen\": 32", "\"dklen\": 8", Malformed);
        check("\"dklen\": 32", "\"dklen\": 1000000000000", Malformed);
        check(&hex::encode([2; 16]), "0202", Malformed);
        check(&hex::encode([2; 16]), "zz", Malformed);
        check("\"version\": 3", "\"version\": 4", Malformed);
        check("aes-128-ctr", "aes-256-gcm", Malformed);
        check("scrypt", "argon2", Malformed);
        for wrong in ["", "{}", "null", "[]", "7"] {
            assert_eq!(open(wrong, "p").unwrap_err(), Malformed, "{wrong}");
        }
        let rounds = PBKDF2.replace("\"c\":262144", "\"c\":4294967295");
        assert_eq!(open(&rounds, "testpassword").unwrap_err(), Excessive);
    }
}
