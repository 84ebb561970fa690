//! The deterministic CBOR profile of signed and inner objects (protocol section 2.4; RFC 8949 section 4.2.1): integer
//! keys ascending, definite lengths, shortest integers, no floats, no tags. The reader checks while it reads, skipped
//! values included, and never encodes again.

use crate::error::Error;
use alloc::vec::Vec;
use minicbor::{Decoder, Encoder, data::Type};

/// How deep arrays and maps may nest.
const MAX_DEPTH: u8 = 4;

/// Keys from here on are extensions: unknown ones are skipped. Unknown ones below are critical.
const FIRST_IGNORABLE_KEY: u64 = 64;

const SHAPE: Error = Error::malformed("cbor");

/// Reads one value after another.
pub(crate) struct Reader<'a> {
    decoder: Decoder<'a>,
    depth: u8,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { decoder: Decoder::new(bytes), depth: 0 }
    }

    /// Nothing may follow.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.decoder.position() == self.decoder.input().len() {
            Ok(())
        } else {
            Err(Error::malformed("trailing bytes"))
        }
    }

    pub(crate) fn uint(&mut self) -> Result<u64, Error> {
        let start = self.decoder.position();
        let value = self.decoder.u64().map_err(|_| SHAPE)?;
        self.shortest(start, value, 0)?;
        Ok(value)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.uint()?.try_into().map_err(|_| SHAPE)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.uint()?.try_into().map_err(|_| SHAPE)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.uint()?.try_into().map_err(|_| SHAPE)
    }

    /// A byte string of at most `max` bytes.
    pub(crate) fn bytes(&mut self, max: usize) -> Result<&'a [u8], Error> {
        let start = self.decoder.position();
        let value = self.decoder.bytes().map_err(|_| SHAPE)?;
        self.shortest(start, value.len() as u64, value.len())?;
        if value.len() <= max { Ok(value) } else { Err(SHAPE) }
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.bytes(N)?.try_into().map_err(|_| SHAPE)
    }

    /// A text of at most `max` bytes of UTF-8.
    pub(crate) fn text(&mut self, max: usize) -> Result<&'a str, Error> {
        let start = self.decoder.position();
        let value = self.decoder.str().map_err(|_| SHAPE)?;
        self.shortest(start, value.len() as u64, value.len())?;
        if value.len() <= max { Ok(value) } else { Err(SHAPE) }
    }

    /// An amount: 0 to 12 bytes, big endian, no leading zero.
    pub(crate) fn amount(&mut self) -> Result<u128, Error> {
        let bytes = self.bytes(12)?;
        if bytes.first() == Some(&0) {
            return Err(Error::malformed("amount"));
        }
        Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
    }

    /// An array of at most `max` items; `item` reads one, given its index.
    pub(crate) fn array(
        &mut self,
        max: u64,
        mut item: impl FnMut(u64, &mut Self) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let start = self.decoder.position();
        let count = self.decoder.array().map_err(|_| SHAPE)?.ok_or(SHAPE)?;
        self.shortest(start, count, 0)?;
        if count > max {
            return Err(SHAPE);
        }
        self.nested(|reader| (0..count).try_for_each(|index| item(index, reader)))?;
        Ok(count)
    }

    /// A map; `field` reads the value of a key it knows and returns true, or returns false.
    pub(crate) fn map(&mut self, mut field: impl FnMut(u64, &mut Self) -> Result<bool, Error>) -> Result<(), Error> {
        let start = self.decoder.position();
        let count = self.decoder.map().map_err(|_| SHAPE)?.ok_or(SHAPE)?;
        self.shortest(start, count, 0)?;
        self.nested(|reader| {
            let mut last = None;
            for _ in 0..count {
                let key = reader.uint()?;
                if last.is_some_and(|last| last >= key) {
                    return Err(Error::malformed("order of keys"));
                }
                last = Some(key);
                if !field(key, reader)? {
                    if key < FIRST_IGNORABLE_KEY {
                        return Err(Error::malformed("unknown critical key"));
                    }
                    reader.skip()?;
                }
            }
            Ok(())
        })
    }

    /// Passes over one value and checks it all the same.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        match self.decoder.datatype().map_err(|_| SHAPE)? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => self.uint().map(drop),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
                let start = self.decoder.position();
                let value = i128::from(self.decoder.int().map_err(|_| SHAPE)?);
                // A negative integer n travels as -1 - n.
                self.shortest(start, u64::try_from(-1 - value).map_err(|_| SHAPE)?, 0)
            }
            Type::Bytes => self.bytes(usize::MAX).map(drop),
            Type::String => self.text(usize::MAX).map(drop),
            Type::Array => self.array(u64::MAX, |_, reader| reader.skip()).map(drop),
            Type::Map => self.map(|_, reader| reader.skip().map(|()| true)),
            _ => Err(SHAPE),
        }
    }

    /// One value as it travels, checked, of at most `max` bytes.
    pub(crate) fn item(&mut self, max: usize) -> Result<&'a [u8], Error> {
        let start = self.decoder.position();
        self.skip()?;
        let item = self.decoder.input().get(start..self.decoder.position()).ok_or(SHAPE)?;
        if item.len() <= max { Ok(item) } else { Err(SHAPE) }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::malformed("depth"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// The head that began at `start` and is followed by `content` bytes must be the shortest one for `argument`.
    fn shortest(&self, start: usize, argument: u64, content: usize) -> Result<(), Error> {
        let head = match argument {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        let used = self.decoder.position().checked_sub(start).and_then(|used| used.checked_sub(content));
        if used == Some(head) { Ok(()) } else { Err(Error::malformed("length of an integer")) }
    }
}

/// Writes a map, field by field in the order of keys. A `Vec` takes every write, so no result of the encoder is an error.
pub(crate) struct Map {
    count: u64,
    fields: Encoder<Vec<u8>>,
    #[cfg(debug_assertions)]
    last: Option<u64>,
}

impl Map {
    pub(crate) fn new() -> Self {
        Self {
            count: 0,
            fields: Encoder::new(Vec::new()),
            #[cfg(debug_assertions)]
            last: None,
        }
    }

    pub(crate) fn uint(&mut self, key: u64, value: impl Into<u64>) -> &mut Self {
        let _ = self.key(key).u64(value.into());
        self
    }

    pub(crate) fn bytes(&mut self, key: u64, value: &[u8]) -> &mut Self {
        let _ = self.key(key).bytes(value);
        self
    }

    pub(crate) fn text(&mut self, key: u64, value: &str) -> &mut Self {
        let _ = self.key(key).str(value);
        self
    }

    pub(crate) fn amount(&mut self, key: u64, value: u128) -> &mut Self {
        let _ = self.key(key).bytes(trim(&value.to_be_bytes()));
        self
    }

    /// A value that is encoded already.
    pub(crate) fn raw(&mut self, key: u64, value: &[u8]) -> &mut Self {
        self.key(key).writer_mut().extend_from_slice(value);
        self
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut map = Encoder::new(Vec::with_capacity(self.fields.writer().len() + 9));
        let _ = map.map(self.count);
        let mut bytes = map.into_writer();
        bytes.extend_from_slice(self.fields.writer());
        bytes
    }

    fn key(&mut self, key: u64) -> &mut Encoder<Vec<u8>> {
        #[cfg(debug_assertions)]
        {
            debug_assert!(self.last < Some(key), "keys are written in order");
            self.last = Some(key);
        }
        self.count += 1;
        let _ = self.fields.u64(key);
        &mut self.fields
    }
}

/// An array of values that are encoded already.
pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    let mut array = Encoder::new(Vec::new());
    let _ = array.array(items.len() as u64);
    let mut bytes = array.into_writer();
    items.iter().for_each(|item| bytes.extend_from_slice(item));
    bytes
}

pub(crate) fn uint(value: u64) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    let _ = encoder.u64(value);
    encoder.into_writer()
}

pub(crate) fn bytes(value: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(value.len() + 9));
    let _ = encoder.bytes(value);
    encoder.into_writer()
}

pub(crate) fn text(value: &str) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(value.len() + 9));
    let _ = encoder.str(value);
    encoder.into_writer()
}

pub(crate) fn amount(value: u128) -> Vec<u8> {
    bytes(trim(&value.to_be_bytes()))
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], good: bool) {
        let mut reader = Reader::new(bytes);
        let result = reader.skip().and_then(|()| reader.finish());
        assert_eq!(result.is_ok(), good, "{bytes:02x?}: {result:?}");
    }

    #[test]
    fn only_the_deterministic_profile_reads() {
        for good in [
            &[0x17][..],
            &[0x18, 24],
            &[0x19, 1, 0],
            &[0x20],
            &[0x38, 24],
            &[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x42, 1, 2],
            &[0x62, b'a', b'b'],
            &[0x82, 1, 2],
            &[0xa2, 1, 2, 3, 4],
            &[0x81, 0x81, 0x81, 0x81, 0],
        ] {
            check(good, true);
        }
        for bad in [
            &[][..],
            &[0x18, 23],
            &[0x19, 0, 24],
            &[0x1a, 0, 0, 1, 0],
            &[0x38, 23],
            &[0x58, 2, 1, 2],
            &[0x78, 1, b'a'],
            &[0x98, 1, 0],
            &[0xb8, 1, 0, 0],
            &[0x5f, 0x41, 1, 0xff],
            &[0x7f, 0x61, b'a', 0xff],
            &[0x9f, 1, 0xff],
            &[0xbf, 1, 2, 0xff],
            &[0xa2, 3, 2, 1, 4],
            &[0xa2, 1, 2, 1, 4],
            &[0xa1, 0x61, b'a', 1],
            &[0xf5],
            &[0xf6],
            &[0xf9, 0, 0],
            &[0xc0, 0],
            &[0x61, 0xff],
            &[0x42, 1],
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[1, 1],
        ] {
            check(bad, false);
        }
    }

    #[test]
    fn unknown_keys_below_64_are_critical() {
        let read = |key: u8| {
            let bytes = if key < 24 { alloc::vec![0xa1, key, 0] } else { alloc::vec![0xa1, 0x18, key, 0] };
            Reader::new(&bytes).map(|_, _| Ok(false)).is_ok()
        };
        assert!(!read(0) && !read(63) && read(64) && read(255));
    }

    #[test]
    fn amounts_have_one_form() {
        for value in [0, 1, 255, 256, (1 << 96) - 1] {
            let encoded = amount(value);
            assert_eq!(Reader::new(&encoded).amount(), Ok(value));
        }
        assert!(Reader::new(&[0x41, 0]).amount().is_err());
        assert!(Reader::new(&bytes(&[1; 13])).amount().is_err());
    }
}
