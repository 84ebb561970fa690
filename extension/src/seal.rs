//! Sealing of stored rows by WebCrypto. Both keys are non-extractable: no code, ours included, can read them. They
//! protect the profile's files against someone who copies them without the browser's own key store; they do not protect
//! against a program that runs as this user in this browser.

use crate::platform::{self, object};
use js_sys::{Array, Promise, Reflect, Uint8Array};
use privacyai::effect::Table;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// First byte of a sealed row.
const VERSION: u8 = 1;

/// Bytes of the AES-GCM nonce.
const NONCE: usize = 12;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = generateKey, catch)]
    fn generate_key(algorithm: &JsValue, extractable: bool, usages: &Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], catch)]
    fn encrypt(algorithm: &JsValue, key: &JsValue, data: &Uint8Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], catch)]
    fn decrypt(algorithm: &JsValue, key: &JsValue, data: &Uint8Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], catch)]
    fn sign(algorithm: &str, key: &JsValue, data: &Uint8Array) -> Result<Promise, JsValue>;
}

/// The two keys of a database: one seals rows, one makes their names unreadable.
#[derive(Clone, Debug)]
pub struct SealingKeys {
    pub(super) seal: JsValue,
    pub(super) name: JsValue,
}

impl SealingKeys {
    /// New keys.
    pub async fn generate() -> Result<Self, JsValue> {
        let aes = object(&[("name", &"AES-GCM".into()), ("length", &256.into())]);
        let seal = generate_key(&aes, false, &platform::strings(["encrypt", "decrypt"]))?;
        let hmac = object(&[("name", &"HMAC".into()), ("hash", &"SHA-256".into())]);
        let name = generate_key(&hmac, false, &platform::strings(["sign"]))?;
        Ok(Self { seal: JsFuture::from(seal).await?, name: JsFuture::from(name).await? })
    }

    /// The pair as IndexedDB keeps it: two `CryptoKey`s, cloned without being read.
    pub fn to_js(&self) -> JsValue {
        object(&[("seal", &self.seal), ("name", &self.name)])
    }

    /// The pair back from IndexedDB.
    pub fn from_js(pair: &JsValue) -> Option<Self> {
        let part = |name: &str| Reflect::get(pair, &name.into()).ok().filter(JsValue::is_object);
        Some(Self { seal: part("seal")?, name: part("name")? })
    }

    /// Under which name a row lies: always the same for one key, and telling nothing about it.
    pub async fn row_name(&self, table: Table, key: &[u8]) -> Result<Vec<u8>, JsValue> {
        let mut labelled = vec![table_byte(table)];
        labelled.extend_from_slice(key);
        let data = Uint8Array::from(labelled.as_slice());
        let mac = JsFuture::from(sign("HMAC", &self.name, &data)?).await?;
        Ok(Uint8Array::new(&mac).to_vec())
    }

    /// Seals a row's key and value, bound to its table and name.
    pub async fn seal(&self, table: Table, name: &[u8], key: &[u8], value: &[u8]) -> Result<Vec<u8>, JsValue> {
        let length = u16::try_from(key.len()).map_err(|_| JsValue::from("key too long"))?;
        let mut plain = Vec::with_capacity(2 + key.len() + value.len());
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(key);
        plain.extend_from_slice(value);
        let nonce: [u8; NONCE] = platform::random();
        let algorithm = aes_gcm(&nonce, table, name);
        let data = Uint8Array::from(plain.as_slice());
        let ciphertext = JsFuture::from(encrypt(&algorithm, &self.seal, &data)?).await?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&Uint8Array::new(&ciphertext).to_vec());
        Ok(sealed)
    }

    /// Opens a row; nothing when it was not sealed by these keys for this table and name.
    pub async fn open(&self, table: Table, name: &[u8], sealed: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE)?;
        if *version != VERSION {
            return None;
        }
        let algorithm = aes_gcm(nonce, table, name);
        let opened = decrypt(&algorithm, &self.seal, &Uint8Array::from(ciphertext)).ok()?;
        let plain = Uint8Array::new(&JsFuture::from(opened).await.ok()?).to_vec();
        let (length, rest) = plain.split_first_chunk::<2>()?;
        let (key, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        Some((key.to_vec(), value.to_vec()))
    }
}

fn aes_gcm(nonce: &[u8], table: Table, name: &[u8]) -> JsValue {
    let mut bound = b"privacyai row\0".to_vec();
    bound.push(table_byte(table));
    bound.extend_from_slice(name);
    object(&[
        ("name", &"AES-GCM".into()),
        ("iv", &Uint8Array::from(nonce).into()),
        ("additionalData", &Uint8Array::from(bound.as_slice()).into()),
    ])
}

fn table_byte(table: Table) -> u8 {
    match table {
        Table::Providers => 0,
        Table::Conversations => 1,
        Table::Messages => 2,
        Table::Settings => 3,
        Table::Receipts => 4,
        Table::Announcement => 5,
        Table::Health => 6,
        Table::Ratings => 7,
        Table::Quota => 8,
    }
}
