//! The contract of an edge's storage, as data: a script that every backend plays and must answer alike, be it memory,
//! SQLite or IndexedDB.

use crate::effect::{Batch, Row, Table, Write};
use alloc::{vec, vec::Vec};

/// Every table, in the order of their declaration.
pub const TABLES: [Table; 9] = [
    Table::Providers,
    Table::Conversations,
    Table::Messages,
    Table::Settings,
    Table::Receipts,
    Table::Health,
    Table::Ratings,
    Table::Quota,
    Table::Announcement,
];

/// One step of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply these writes together; it must succeed.
    Write(Batch),
    /// Reading this row must give this value.
    ExpectGet(Table, Vec<u8>, Option<Vec<u8>>),
    /// Scanning this table must give these rows, in the order of their keys' bytes.
    ExpectScan(Table, Vec<Row>),
    /// Close and open again where the backend outlives its process; nothing may be lost.
    Reopen,
    /// Erase all tables.
    Clear,
}

/// The script, for an empty store.
pub fn conformance() -> Vec<Step> {
    let put = |table, key: &[u8], value: &[u8]| Write { table, key: key.into(), value: Some(value.into()) };
    let delete = |table, key: &[u8]| Write { table, key: key.into(), value: None };
    let row = |table, key: &[u8], value: &[u8]| Row { table, key: key.into(), value: value.into() };
    let get = |table, key: &[u8], value: Option<&[u8]>| Step::ExpectGet(table, key.into(), value.map(Into::into));
    let (providers, settings) = (Table::Providers, Table::Settings);
    let longest = vec![0xff; 256];
    let large: Vec<u8> = (0..=255).cycle().take(200_000).collect();

    let mut steps = vec![
        // An empty store has nothing, and deleting what is not there is no error.
        get(settings, b"a", None),
        Step::ExpectScan(settings, vec![]),
        Step::Write(vec![]),
        Step::Write(vec![delete(settings, b"a")]),
        // A write is seen, a second one replaces it; an empty value is a value.
        Step::Write(vec![put(settings, b"a", b"1"), put(settings, b"b", b"")]),
        get(settings, b"a", Some(b"1")),
        get(settings, b"b", Some(b"")),
        Step::Write(vec![put(settings, b"a", b"2")]),
        get(settings, b"a", Some(b"2")),
        // Tables do not mix.
        get(providers, b"a", None),
        Step::Write(vec![put(providers, b"a", b"other")]),
        get(settings, b"a", Some(b"2")),
        get(providers, b"a", Some(b"other")),
        // The last write to a key within a batch counts.
        Step::Write(vec![put(settings, b"c", b"1"), delete(settings, b"c"), put(settings, b"c", b"3")]),
        get(settings, b"c", Some(b"3")),
        Step::Write(vec![put(settings, b"d", b"1"), delete(settings, b"d")]),
        get(settings, b"d", None),
        Step::Write(vec![delete(settings, b"b")]),
        Step::ExpectScan(settings, vec![row(settings, b"a", b"2"), row(settings, b"c", b"3")]),
        // Keys are bytes: any of them, compared as unsigned bytes, prefixes first, not as text.
        Step::Write(vec![
            put(providers, &longest, b"longest"),
            put(providers, &[0], b"zero"),
            put(providers, &[0, 0], b"zeros"),
            put(providers, &[0x80], b"high"),
            put(providers, &[0x7f, 0xff], b"low"),
            put(providers, b"A", b"upper"),
            put(providers, "\u{e9}".as_bytes(), b"accent"),
        ]),
        Step::ExpectScan(
            providers,
            vec![
                row(providers, &[0], b"zero"),
                row(providers, &[0, 0], b"zeros"),
                row(providers, b"A", b"upper"),
                row(providers, b"a", b"other"),
                row(providers, &[0x7f, 0xff], b"low"),
                row(providers, &[0x80], b"high"),
                row(providers, "\u{e9}".as_bytes(), b"accent"),
                row(providers, &longest, b"longest"),
            ],
        ),
        get(providers, &longest, Some(b"longest")),
        // Values are bytes, large ones too.
        Step::Write(vec![put(Table::Messages, b"large", &large)]),
        get(Table::Messages, b"large", Some(&large)),
        // A batch spans tables.
        Step::Write(vec![
            put(Table::Conversations, b"x", b"1"),
            put(Table::Receipts, b"x", b"2"),
            put(Table::Announcement, b"x", b"3"),
            delete(Table::Messages, b"large"),
        ]),
        Step::Reopen,
        get(Table::Conversations, b"x", Some(b"1")),
        get(Table::Receipts, b"x", Some(b"2")),
        get(Table::Announcement, b"x", Some(b"3")),
        get(Table::Messages, b"large", None),
        Step::ExpectScan(settings, vec![row(settings, b"a", b"2"), row(settings, b"c", b"3")]),
        Step::Clear,
    ];
    steps.extend(TABLES.map(|table| Step::ExpectScan(table, vec![])));
    // After an erasure it is a store like any other.
    steps.push(Step::Write(vec![put(settings, b"a", b"new")]));
    steps.push(get(settings, b"a", Some(b"new")));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn an_ordered_map_plays_the_script() {
        let mut store = BTreeMap::new();
        for step in conformance() {
            match step {
                Step::Write(batch) => {
                    for Write { table, key, value } in batch {
                        match value {
                            Some(value) => store.insert((table, key), value),
                            None => store.remove(&(table, key)),
                        };
                    }
                }
                Step::ExpectGet(table, key, value) => assert_eq!(store.get(&(table, key)).cloned(), value),
                Step::ExpectScan(table, rows) => {
                    let found: Vec<_> = store
                        .iter()
                        .filter(|((of, _), _)| *of == table)
                        .map(|((_, key), value)| Row { table, key: key.clone(), value: value.clone() })
                        .collect();
                    assert_eq!(found, rows);
                }
                Step::Reopen => {}
                Step::Clear => store.clear(),
            }
        }
    }
}
