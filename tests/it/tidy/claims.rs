//! Every security claim of ARCHITECTURE.md names the tests that attack it; they exist.

use super::{Findings, Source, sources};

const HEADING: &str = "## Claims, and the tests that attack them";

#[test]
fn each_claim_is_attacked_by_tests_that_exist() {
    let architecture = Source::of("ARCHITECTURE.md");
    let tests = sources("", &[".rs", ".mjs", ".t.sol"]);
    let exists = |name: &str| {
        let forms = [format!("fn {name}("), format!("name: \"{name}\""), format!("function {name}(")];
        tests.iter().any(|source| forms.iter().any(|form| source.text.contains(form)))
    };
    let mut findings = Findings::default();
    let mut claims = 0;
    let rows = architecture.text.lines().enumerate().skip_while(|(_, line)| *line != HEADING);
    for (number, row) in rows.filter(|(_, line)| line.starts_with("| ")).skip(1) {
        let attacks = row.split('|').nth(2).unwrap_or_default();
        // Tests in Rust and Solidity stand in backticks, browser cases in quotes.
        let names = attacks.split(['`', '"']).skip(1).step_by(2);
        claims += 1;
        if names.clone().next().is_none() {
            findings.add(&architecture.path, number + 1, "a claim without a test");
        }
        for name in names.filter(|name| !exists(name)) {
            findings.add(&architecture.path, number + 1, &format!("there is no test `{name}`"));
        }
    }
    assert!(claims > 10, "the table of claims was not found under {HEADING:?}");
    findings.none_or_panic();
}
