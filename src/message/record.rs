//! The records of an answer: what its frames' data adds up to (protocol section 5.1).

use crate::{cbor, error::Error};
use alloc::{string::String, vec::Vec};
use core::fmt;
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

/// Most bytes of one record's payload.
pub const MAX_RECORD: usize = 1 << 20;

/// Token counts and why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens.
    pub prompt: u64,
    /// Completion tokens.
    pub completion: u64,
    /// Finish reason, as OpenAI names it, at most 64 bytes.
    pub finish: String,
    /// 0 backend, 1 counted, 2 estimated.
    pub source: u8,
}

/// One record of an answer: `type(1) | varint length | payload`.
#[derive(Clone, PartialEq, Eq)]
pub enum Record {
    /// 1: more text.
    Text(String),
    /// 2: a JSON event, untrusted.
    Json(Vec<u8>),
    /// 3: counts.
    Usage(Usage),
    /// 4: a signed receipt, not verified yet.
    Receipt(Vec<u8>),
    /// 6: the answer failed.
    Error {
        /// Code of protocol section 5.8.
        code: u16,
        /// Seconds until a new try may work, 0 for unknown.
        retry_after_s: u16,
    },
}

impl Record {
    /// The record's bytes in the stream.
    ///
    /// # Errors
    /// `TooLarge` when the payload is over [`MAX_RECORD`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut map = cbor::Map::new();
        let (kind, payload) = match self {
            Self::Text(text) => (1, text.as_bytes()),
            Self::Json(json) => (2, &json[..]),
            Self::Usage(usage) => {
                map.uint(0, usage.prompt).uint(1, usage.completion).text(2, &usage.finish).uint(3, usage.source);
                (3, &map.finish()[..])
            }
            Self::Receipt(wire) => (4, &wire[..]),
            Self::Error { code, retry_after_s } => {
                map.uint(0, *code).uint(1, *retry_after_s);
                (6, &map.finish()[..])
            }
        };
        if payload.len() > MAX_RECORD {
            return Err(Error::too_large("record"));
        }
        let mut bytes = Vec::with_capacity(payload.len() + 4);
        bytes.push(kind);
        let mut len = payload.len();
        while len >= 0x80 {
            bytes.push(len as u8 | 0x80);
            len >>= 7;
        }
        bytes.push(len as u8);
        bytes.extend_from_slice(payload);
        Ok(bytes)
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<Self, Error> {
        Ok(match kind {
            1 => Self::Text(core::str::from_utf8(payload).map_err(|_| Error::malformed("text"))?.into()),
            2 => Self::Json(payload.into()),
            3 => {
                let mut usage = Usage { prompt: 0, completion: 0, finish: String::new(), source: 0 };
                let mut reader = cbor::Reader::new(payload);
                reader.map(|key, r| {
                    match key {
                        0 => usage.prompt = r.uint()?,
                        1 => usage.completion = r.uint()?,
                        2 => usage.finish = r.text(64)?.into(),
                        3 => usage.source = r.u8()?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                reader.finish()?;
                Self::Usage(usage)
            }
            4 => Self::Receipt(payload.into()),
            6 => {
                let (mut code, mut retry_after_s) = (0, 0);
                let mut reader = cbor::Reader::new(payload);
                reader.map(|key, r| {
                    match key {
                        0 => code = r.u16()?,
                        1 => retry_after_s = r.u16()?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                reader.finish()?;
                Self::Error { code, retry_after_s }
            }
            5 | 7 | 8 => return Err(Error::unsupported("record")),
            _ => return Err(Error::malformed("record type")),
        })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::Json(_) => "Json(..)",
            Self::Usage(_) => "Usage(..)",
            Self::Receipt(_) => "Receipt(..)",
            Self::Error { .. } => "Error(..)",
        })
    }
}

/// Cuts the ordered data of frames into records. It never holds more than one record that is not whole.
#[derive(Debug, Default)]
pub struct RecordReader {
    buffer: Vec<u8>,
    read: usize,
    digest: RecordsDigest,
}

impl RecordReader {
    /// A reader that goes on where another stopped between two records.
    pub fn resume(digest: RecordsDigest) -> Self {
        Self { buffer: Vec::new(), read: 0, digest }
    }

    /// Takes the next frame's data. Call [`Self::next_record`] until it has none before the next.
    pub fn push(&mut self, data: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(data);
    }

    /// The next whole record, none until more data comes.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge` or `Unsupported`: the answer cannot be trusted from here on.
    pub fn next_record(&mut self) -> Result<Option<Record>, Error> {
        let rest = self.buffer.get(self.read..).unwrap_or_default();
        let Some((kind, after)) = rest.split_first() else { return Ok(None) };
        let Some((len, head)) = varint(after)? else { return Ok(None) };
        if len > MAX_RECORD {
            return Err(Error::too_large("record"));
        }
        let whole = 1 + head + len;
        let (Some(bytes), Some(payload)) = (rest.get(..whole), rest.get(1 + head..whole)) else { return Ok(None) };
        let record = Record::decode(*kind, payload)?;
        self.digest.update(&record, bytes);
        self.read += whole;
        Ok(Some(record))
    }

    /// True between two records: only here may a stream end, or a resumption begin.
    pub fn is_between_records(&self) -> bool {
        self.read == self.buffer.len()
    }

    /// The bytes of the record that is not whole yet, for a mirror.
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.read..).unwrap_or_default()
    }

    /// The digest of all records read so far, the receipt left out.
    pub fn digest(&self) -> &RecordsDigest {
        &self.digest
    }
}

/// SHA-256 of a record stream without its receipt, which commits to it (protocol section 5.4, key 13).
#[derive(Clone, Default)]
pub struct RecordsDigest(Sha256);

impl RecordsDigest {
    /// Takes a record and its bytes in the stream.
    pub fn update(&mut self, record: &Record, bytes: &[u8]) {
        if !matches!(record, Record::Receipt(_)) {
            self.0.update(bytes);
        }
    }

    /// The digest of what was taken so far.
    pub fn finish(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }

    /// Its state, for a mirror.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.serialize().to_vec()
    }

    /// The digest with this state.
    ///
    /// # Errors
    /// `Malformed` when it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("digest state");
        let state = SerializedState::<Sha256>::try_from(bytes).map_err(|_| WRONG)?;
        Sha256::deserialize(&state).map(Self).map_err(|_| WRONG)
    }
}

impl fmt::Debug for RecordsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordsDigest(..)")
    }
}

/// Unsigned LEB128 of at most 4 bytes in its shortest form, and how many bytes it took; none when it is not whole yet.
fn varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    let mut value = 0usize;
    for (i, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return if i > 0 && *byte == 0 { Err(Error::malformed("varint")) } else { Ok(Some((value, i + 1))) };
        }
    }
    if bytes.len() >= 4 { Err(Error::malformed("varint")) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn records() -> Vec<Record> {
        vec![
            Record::Text("h\u{e9}llo".into()),
            Record::Text(String::new()),
            Record::Json(br#"{"a":1}"#.to_vec()),
            Record::Text("x".repeat(40_000)),
            Record::Usage(Usage { prompt: 12, completion: 1 << 40, finish: "stop".into(), source: 1 }),
            Record::Receipt(vec![7; 300]),
            Record::Error { code: 10, retry_after_s: 5 },
        ]
    }

    #[test]
    fn records_survive_any_cut() {
        let stream: Vec<u8> = records().iter().flat_map(|record| record.encode().unwrap()).collect();
        for size in [1, 2, 7, 457, stream.len()] {
            let mut reader = RecordReader::default();
            let mut read = Vec::new();
            for data in stream.chunks(size) {
                reader.push(data);
                while let Some(record) = reader.next_record().unwrap() {
                    read.push(record);
                }
                let state = RecordsDigest::from_bytes(&reader.digest().to_bytes()).unwrap();
                assert_eq!(state.finish(), reader.digest().finish());
            }
            assert!(reader.is_between_records());
            assert_eq!(read, records());
        }
    }

    #[test]
    fn wrong_records_end_the_stream() {
        for bad in [
            &[0, 0][..],
            &[9, 0],
            &[5, 0],
            &[1, 1, 0xff],
            &[1, 0x80, 0],
            &[1, 0x81, 0x80, 0x80, 0x80],
            &[1, 0xff, 0xff, 0xff, 0x7f],
            &[3, 1, 0],
            &[6, 2, 0xa0, 0],
        ] {
            let mut reader = RecordReader::default();
            reader.push(bad);
            assert!(reader.next_record().is_err(), "{bad:?}");
        }
    }
}
