//! Whole-system tests, in one binary: linking is the slow part.

mod announcements;
mod tamper;
mod tidy;
mod vectors;
mod wycheproof;
