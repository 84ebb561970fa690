//! The answer of one session as a stream of records, and which part of it each frame carried (protocol section 5.10):
//! a frame is cut again from here when it must be sent again, so no frame is kept. It seals nothing.

use crate::envelope::frame::{ATTEMPTS, ERROR, FINAL, MAX_DATA, PAD};
use crate::message::{MAX_RECORD, Record, RecordsDigest};
use alloc::{string::String, vec::Vec};
use zeroize::Zeroize;

/// Frames kept for the records that close an answer: usage, receipt, error.
const CLOSING_FRAMES: u32 = 8;
/// A longer text is cut, so that its begin shows before its end has come.
const TEXT_RECORD: usize = 1_024;

/// What one sequence number carried.
#[derive(Clone, Copy, Debug)]
struct Slot {
    start: u32,
    len: u16,
    kind: Kind,
    sent: u8,
}

/// The flags of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Records.
    Data,
    /// The records that end the answer.
    Final,
    /// The records that end a failed answer.
    FinalError,
    /// Nothing.
    Pad,
}

impl Kind {
    /// As it travels.
    pub(super) fn flags(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Final => FINAL,
            Self::FinalError => FINAL | ERROR,
            Self::Pad => PAD,
        }
    }
}

/// There is no room for more: the answer ends with finish reason `length`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The record stream and its frame table.
#[derive(Debug)]
pub(super) struct RecordStream {
    bytes: Vec<u8>,
    text: String,
    digest: RecordsDigest,
    framed: usize,
    slots: Vec<Slot>,
    max_frames: u32,
    closed: Option<Kind>,
    has_final: bool,
}

impl RecordStream {
    /// An empty stream of at most `max_frames` frames, the tail not counted.
    pub(super) fn new(max_frames: u32) -> Self {
        Self {
            bytes: Vec::new(),
            text: String::new(),
            digest: RecordsDigest::default(),
            framed: 0,
            slots: Vec::new(),
            max_frames: max_frames.max(CLOSING_FRAMES * 2),
            closed: None,
            has_final: false,
        }
    }

    /// Adds text; it becomes a record when a frame is cut.
    pub(super) fn push_text(&mut self, text: &str) -> Result<(), Full> {
        self.reserve(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    /// Adds one JSON event as a record, behind all text so far.
    pub(super) fn push_json(&mut self, json: Vec<u8>) -> Result<(), Full> {
        if json.len() > MAX_RECORD {
            return Err(Full);
        }
        self.reserve(json.len())?;
        self.push_record(&Record::Json(json));
        Ok(())
    }

    /// Adds a closing record, for which room is kept.
    pub(super) fn push_record(&mut self, record: &Record) {
        self.flush();
        if self.closed.is_none() {
            self.append(record);
        }
    }

    /// The digest of all records so far, text included.
    pub(super) fn digest(&mut self) -> [u8; 32] {
        self.flush();
        self.digest.finish()
    }

    /// Nothing follows; the frame with the last byte will be of this kind.
    pub(super) fn close(&mut self, kind: Kind) {
        self.flush();
        if self.closed.is_none() {
            self.closed = Some(kind);
        }
    }

    /// True when records stop coming.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// True when the frame that ends the answer was cut.
    pub(super) fn has_final(&self) -> bool {
        self.has_final
    }

    /// Sequence numbers given so far, the accept included: the next frame's number.
    pub(super) fn count(&self) -> u32 {
        self.slots.len() as u32 + 1
    }

    /// True when a frame has been cut that carries records.
    pub(super) fn has_data(&self) -> bool {
        self.framed > 0
    }

    /// Frames with content cut so far.
    pub(super) fn data_frames(&self) -> u32 {
        self.slots.iter().filter(|slot| slot.kind != Kind::Pad).count() as u32
    }

    /// Bytes that wait for a frame, roughly.
    pub(super) fn waiting(&self) -> usize {
        let text = if self.text.is_empty() { 0 } else { self.text.len() + 2 };
        self.bytes.len() - self.framed + text
    }

    /// Cuts the next frame with records, if any wait, and gives its sequence number.
    pub(super) fn cut(&mut self) -> Option<u32> {
        self.flush();
        let len = (self.bytes.len() - self.framed).min(MAX_DATA);
        if len == 0 || self.has_final {
            return None;
        }
        let ends = self.framed + len == self.bytes.len();
        let kind = match self.closed {
            Some(kind) if ends => kind,
            _ => Kind::Data,
        };
        self.has_final = kind != Kind::Data;
        self.slots.push(Slot { start: self.framed as u32, len: len as u16, kind, sent: 0 });
        self.framed += len;
        Some(self.slots.len() as u32)
    }

    /// Makes the next frame an empty one, while there is room for it.
    pub(super) fn pad(&mut self) -> Option<u32> {
        if !self.has_final && self.frames_needed(0) >= self.max_frames {
            return None;
        }
        self.slots.push(Slot { start: self.framed as u32, len: 0, kind: Kind::Pad, sent: 0 });
        Some(self.slots.len() as u32)
    }

    /// The attempt number, kind and records for sending frame `sequence` now; none when it was never cut or has been
    /// sent as often as allowed.
    pub(super) fn take(&mut self, sequence: u32) -> Option<(u8, Kind, &[u8])> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        let slot = self.slots.get_mut(index)?;
        if slot.sent >= ATTEMPTS {
            return None;
        }
        let attempt = slot.sent;
        slot.sent += 1;
        let start = slot.start as usize;
        let data = self.bytes.get(start..start + usize::from(slot.len))?;
        Some((attempt, slot.kind, data))
    }

    /// Erases the answer.
    pub(super) fn wipe(&mut self) {
        self.bytes.zeroize();
        self.text.zeroize();
    }

    fn reserve(&self, more: usize) -> Result<(), Full> {
        if self.closed.is_some() || self.frames_needed(more) > self.max_frames { Err(Full) } else { Ok(()) }
    }

    fn frames_needed(&self, more: usize) -> u32 {
        // Text costs three more bytes a record; a twentieth covers it.
        let waiting = self.waiting().saturating_add(more);
        let frames = (waiting + waiting / 20).div_ceil(MAX_DATA);
        u32::try_from(self.slots.len().saturating_add(frames)).unwrap_or(u32::MAX).saturating_add(CLOSING_FRAMES)
    }

    fn flush(&mut self) {
        if self.closed.is_some() {
            return;
        }
        let mut pieces = Vec::new();
        let mut rest = self.text.as_str();
        while !rest.is_empty() {
            let mut cut = rest.len().min(TEXT_RECORD);
            while !rest.is_char_boundary(cut) {
                cut -= 1;
            }
            let (head, tail) = rest.split_at(cut);
            pieces.push(String::from(head));
            rest = tail;
        }
        self.text.zeroize();
        for piece in pieces {
            self.append(&Record::Text(piece));
        }
    }

    fn append(&mut self, record: &Record) {
        // What is longer than a record was refused before.
        if let Ok(bytes) = record.encode() {
            self.digest.update(record, &bytes);
            self.bytes.extend_from_slice(&bytes);
        }
    }
}
