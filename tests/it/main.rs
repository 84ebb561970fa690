//! Whole-system tests, in one binary: linking is the slow part.

mod announcements;
mod failover;
mod health;
mod network;
mod primitives;
mod quota;
mod ranking;
mod renewal;
mod reputation;
mod simulation;
mod tamper;
mod tidy;
mod vectors;
