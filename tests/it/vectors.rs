//! Golden and published vectors, natively; `cargo xtask test` runs the same on wasm32.

#[test]
fn vectors_hold() {
    let wrong: Vec<_> = privacyai_tests::checks()
        .into_iter()
        .filter_map(|(name, check)| check().err().map(|error| format!("{name}: {error}")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
