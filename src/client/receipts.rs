//! The receipts of answers: what one says must fit the exchange that it came in, record for record, and those that do are
//! kept (protocol section 5.4).

use super::exchange::{Claim, Stream};
use crate::{
    effect::{Batch, Millis, Row, Table, Write},
    map::Map,
    receipt::{Counts, Kept, Receipt, model_hash},
};
use alloc::{string::String, vec::Vec};

/// Receipts kept at once, the oldest goes first: three questions a day for two years.
const KEPT: usize = 2_048;
/// A receipt is kept for so long (protocol section 5.4).
const KEEP_MS: u64 = 90 * 86_400_000;

/// The kept receipts, by their channel binding: when each came, and its row, in case that the store is lost. A row is half
/// a KiB, so all of them are 1 MiB at most.
#[derive(Default)]
pub(super) struct Receipts {
    kept: Map<[u8; 32], (Millis, Vec<u8>)>,
    batch: Batch,
}

impl Receipts {
    /// Takes the stored rows; one that cannot be read is deleted.
    pub(super) fn restore(&mut self, rows: &[Row], now: Millis) {
        for row in rows.iter().filter(|row| row.table == Table::Receipts) {
            match (<[u8; 32]>::try_from(row.key.as_slice()), Kept::decode(&row.value)) {
                (Ok(cb), Ok(kept)) => drop(self.kept.insert(cb, (kept.at, row.value.clone()))),
                _ => self.batch.push(Write { table: Table::Receipts, key: row.key.clone(), value: None }),
            }
        }
        self.tidy(now);
    }

    /// Keeps the receipt of an answer that ends now, if it is right. Counts that look wrong are kept with it: they are
    /// signed, and nobody can prove a tokenizer.
    pub(super) fn keep(&mut self, stream: &Stream, model: &str, counts: Counts, now: Millis) -> Option<Kept> {
        let Claim::Came(wire) = &stream.receipt else { return None };
        if !verify(stream, model, wire) {
            return None;
        }
        let (operational, cb) = (*stream.session.operational(), *stream.session.channel_binding());
        let kept = Kept { at: now, operational, model: String::from(model), wire: wire.clone(), counts };
        let row = kept.encode();
        self.kept.insert(cb, (now, row.clone()));
        self.batch.push(Write { table: Table::Receipts, key: cb.into(), value: Some(row) });
        self.tidy(now);
        Some(kept)
    }

    /// What changed since the last call.
    pub(super) fn take_batch(&mut self) -> Batch {
        core::mem::take(&mut self.batch)
    }

    /// All of them go to a store that lost them.
    pub(super) fn store_again(&mut self) {
        self.batch = self
            .kept
            .iter()
            .map(|(cb, (_, row))| Write { table: Table::Receipts, key: cb.to_vec(), value: Some(row.clone()) })
            .collect();
    }

    /// Deletes what is too old and what is too much.
    fn tidy(&mut self, now: Millis) {
        while let Some((cb, at)) = self.kept.iter().map(|(cb, (at, _))| (*cb, *at)).min_by_key(|(_, at)| *at) {
            if self.kept.len() <= KEPT && now.0.saturating_sub(at.0) <= KEEP_MS {
                return;
            }
            self.kept.remove(&cb);
            self.batch.push(Write { table: Table::Receipts, key: cb.into(), value: None });
        }
    }
}

/// Whether a receipt is signed and speaks of this exchange, of exactly these records, and of what was shown as its counts.
fn verify(stream: &Stream, model: &str, wire: &[u8]) -> bool {
    let session = &stream.session;
    let commitments = session.commit(&stream.reader.digest().finish());
    Receipt::open(wire, session.operational()).is_ok_and(|receipt| {
        receipt.provider == *session.provider()
            && receipt.op_seq == session.op_seq()
            && receipt.cb == *session.channel_binding()
            && receipt.bhash == *session.bhash()
            && receipt.model == model_hash(model)
            && (receipt.prompt, receipt.completion) == (stream.usage.prompt, stream.usage.completion)
            && receipt.finish == stream.usage.finish
            && receipt.request_commitment == commitments.request
            && receipt.response_commitment == commitments.response
    })
}
