//! GGUF files: bounds that hold before candle parses one, and the conversion that makes a pulled model fast.

use super::LoadError;
use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Metadata entries; SmolLM2 has 40.
const MAX_ENTRIES: u64 = 4_096;
/// Tensors; a model of 80 layers has about 1,000.
const MAX_TENSORS: u64 = 16_384;
/// Bytes of one string; chat templates are the longest.
const MAX_STRING: u64 = 1 << 20;
/// Elements of one array; vocabularies reach 262,144 tokens and more merges.
const MAX_ELEMENTS: u64 = 1 << 21;
/// Arrays in arrays.
const MAX_DEPTH: u32 = 2;

/// How weights are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quant {
    /// 16-bit floats: fast prefill, twice the file.
    #[default]
    F16,
    /// 8-bit blocks, for small machines.
    #[serde(rename = "q8_0")]
    Q8,
    /// As shipped. Q4_1 has no fast kernel.
    Keep,
}

impl Quant {
    /// As configured, announced and in names of files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8 => "q8_0",
            Self::Keep => "keep",
        }
    }
}

/// Opens a file and reads its header, after all its counts and sizes were found plausible.
///
/// # Errors
/// When it cannot be read or is no sound GGUF.
pub fn open(path: &Path) -> Result<(Content, BufReader<File>), LoadError> {
    let mut file = BufReader::new(File::open(path)?);
    check_header(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    let content = Content::read(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok((content, file))
}

/// Walks a header with its own bounds: candle multiplies dimensions unchecked, divides by the alignment and builds
/// every array in memory.
///
/// # Errors
/// When a count, size, type or alignment is out of bounds, or the file ends early.
pub fn check_header(file: &mut (impl Read + Seek)) -> Result<(), LoadError> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut walk = Walk { file, size };
    if walk.u32()? != u32::from_le_bytes(*b"GGUF") {
        return Err(LoadError::Unusable("its first bytes"));
    }
    if !(2..=3).contains(&walk.u32()?) {
        return Err(LoadError::Unusable("its GGUF version"));
    }
    let tensors = walk.count(MAX_TENSORS)?;
    let entries = walk.count(MAX_ENTRIES)?;
    for _ in 0..entries {
        let key = walk.string()?;
        let kind = walk.u32()?;
        if key == b"general.alignment" {
            let alignment = if kind == TYPE_U32 { walk.u32()? } else { 0 };
            if !alignment.is_power_of_two() || alignment > 4_096 {
                return Err(LoadError::Unusable("its alignment"));
            }
        } else {
            walk.skip_value(kind, 0)?;
        }
    }
    for _ in 0..tensors {
        walk.string()?;
        let dimensions = walk.u32()?;
        if dimensions > 4 {
            return Err(LoadError::Unusable("a tensor's dimensions"));
        }
        let mut elements: u64 = 1;
        for _ in 0..dimensions {
            elements = elements.checked_mul(walk.u64()?).ok_or(LoadError::Unusable("a tensor's size"))?;
        }
        // The tightest block type takes an eighth of a byte an element.
        if elements / 8 > size {
            return Err(LoadError::Unusable("a tensor's size"));
        }
        walk.u32()?;
        if walk.u64()? > size {
            return Err(LoadError::Unusable("a tensor's offset"));
        }
    }
    Ok(())
}

const TYPE_U32: u32 = 4;
const TYPE_STRING: u32 = 8;
const TYPE_ARRAY: u32 = 9;

struct Walk<'a, R> {
    file: &'a mut R,
    size: u64,
}

impl<R: Read + Seek> Walk<'_, R> {
    fn u32(&mut self) -> Result<u32, LoadError> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, LoadError> {
        let mut bytes = [0; 8];
        self.file.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn count(&mut self, most: u64) -> Result<u64, LoadError> {
        let count = self.u64()?;
        if count > most { Err(LoadError::Unusable("its header's counts")) } else { Ok(count) }
    }

    fn string(&mut self) -> Result<Vec<u8>, LoadError> {
        let length = self.count(MAX_STRING)?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(LoadError::Unusable("its length")) }
    }

    fn skip(&mut self, bytes: u64) -> Result<(), LoadError> {
        let at = self.file.stream_position()?;
        let to = at.checked_add(bytes).filter(|to| *to <= self.size).ok_or(LoadError::Unusable("its length"))?;
        // A short way forward stays inside the reader's buffer.
        self.file.seek_relative(i64::try_from(to - at).unwrap_or(i64::MAX))?;
        Ok(())
    }

    fn skip_value(&mut self, kind: u32, depth: u32) -> Result<(), LoadError> {
        match kind {
            TYPE_STRING => self.string().map(drop),
            TYPE_ARRAY => {
                let kind = self.u32()?;
                let length = self.count(MAX_ELEMENTS)?;
                if let Some(width) = width(kind) {
                    return self.skip(length.saturating_mul(width));
                }
                if depth >= MAX_DEPTH {
                    return Err(LoadError::Unusable("its nested arrays"));
                }
                for _ in 0..length {
                    self.skip_value(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => self.skip(width(kind).ok_or(LoadError::Unusable("a value's type"))?),
        }
    }
}

/// Bytes of a value of fixed size.
const fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Writes `from` to `to` with the layers' blocks as `quant`; embedding, norms and metadata stay.
///
/// # Errors
/// When `from` is no sound GGUF or a file fails.
pub fn convert(from: &Path, to: &Path, quant: Quant) -> Result<(), LoadError> {
    let (content, mut file) = open(from)?;
    let target = match quant {
        Quant::F16 => GgmlDType::F16,
        Quant::Q8 => GgmlDType::Q8_0,
        Quant::Keep => return std::fs::copy(from, to).map(drop).map_err(LoadError::from),
    };
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort();
    let mut tensors = Vec::with_capacity(names.len());
    for name in names {
        let tensor = content.tensor(&mut file, name, &Device::Cpu)?;
        let is_block = name.starts_with("blk.") && tensor.rank() == 2 && tensor.dtype() != GgmlDType::F32;
        let tensor = if is_block && tensor.dtype() != target {
            QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, target)?
        } else {
            tensor
        };
        tensors.push((name.as_str(), tensor));
    }
    let mut metadata: Vec<(&str, &Value)> = content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    metadata.sort_by_key(|(key, _)| *key);
    let borrowed: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut writer = BufWriter::new(File::create(to)?);
    gguf_file::write(&mut writer, &metadata, &borrowed)?;
    writer.flush()?;
    writer.get_ref().sync_all()?;
    Ok(())
}
