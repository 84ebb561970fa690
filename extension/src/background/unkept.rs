//! What the browser's store did not take and is tried again: the last write of each row, so that what was deleted
//! meanwhile does not come back.

use privacyai::effect::{Batch, Table, Write};
use privacyai::map::sort;

/// It.
#[derive(Default)]
pub struct Unkept {
    batch: Batch,
    /// Not tried again before this monotonic time.
    pub until: f64,
    /// What was told of it.
    pub told: Option<String>,
}

impl Unkept {
    /// All of it.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Whether a row of this table waits.
    pub fn holds(&self, table: Table) -> bool {
        self.batch.iter().any(|write| write.table == table)
    }

    /// Writes that came up after those that wait; what waits for the same rows is not written any more.
    pub fn add(&mut self, batch: Batch) {
        self.batch.extend(batch);
        if self.batch.len() < 2 {
            return;
        }
        let mut writes: Vec<(usize, Write)> = std::mem::take(&mut self.batch).into_iter().enumerate().collect();
        // Of one row the latest stands first. No row is left twice, so their order does not matter any more.
        sort(&mut writes, &|(at, a), (bt, b)| (a.table, &a.key, bt).cmp(&(b.table, &b.key, at)));
        writes.dedup_by(|(_, later), (_, first)| (later.table, &later.key) == (first.table, &first.key));
        self.batch = writes.into_iter().map(|(_, write)| write).collect();
    }

    /// What of it makes room.
    pub fn frees(&self) -> Batch {
        self.batch.iter().filter(|write| write.value.is_none()).cloned().collect()
    }

    /// What makes room is written.
    pub fn freed(&mut self) {
        self.batch.retain(|write| write.value.is_some());
    }

    /// All of it is written; gives whether it was told that it was not.
    pub fn kept(&mut self) -> bool {
        self.batch.clear();
        self.until = 0.0;
        self.told.take().is_some()
    }

    /// Nothing of it is wanted any more.
    pub fn forget(&mut self) {
        self.batch.clear();
        self.until = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use privacyai::effect::Table::{Conversations, Messages};

    fn put(table: Table, key: &str, value: &str) -> Write {
        Write { table, key: key.into(), value: Some(value.into()) }
    }

    fn delete(table: Table, key: &str) -> Write {
        Write { table, key: key.into(), value: None }
    }

    #[test]
    fn what_was_deleted_while_the_store_was_full_does_not_come_back() {
        let mut unkept = Unkept::default();
        unkept.add(vec![
            put(Messages, "c1/m1", "one"),
            put(Conversations, "c1", "chat"),
            put(Messages, "c2/m1", "two"),
        ]);
        // The user frees space: this chat goes.
        unkept.add(vec![delete(Conversations, "c1"), delete(Messages, "c1/m1")]);
        assert_eq!(unkept.frees(), [delete(Conversations, "c1"), delete(Messages, "c1/m1")]);
        unkept.freed();
        assert!(unkept.holds(Messages) && !unkept.holds(Conversations));
        assert_eq!(unkept.batch(), &[put(Messages, "c2/m1", "two")]);
    }

    #[test]
    fn the_last_write_of_each_row_counts() {
        let mut unkept = Unkept::default();
        unkept.add(vec![put(Messages, "b", "1"), put(Conversations, "b", "2"), put(Messages, "b", "3")]);
        unkept.add(vec![delete(Messages, "a"), put(Messages, "a", "4")]);
        assert_eq!(unkept.batch(), &[put(Conversations, "b", "2"), put(Messages, "a", "4"), put(Messages, "b", "3")]);
        unkept.forget();
        assert!(unkept.batch().is_empty() && unkept.frees().is_empty());
    }
}
