//! What the sources have to keep, read from the sources: the order of modules, and what lies where.

#![allow(clippy::unwrap_used)] // in helpers of tests

mod graph;
mod names;
mod rules;
mod sources;

#[track_caller]
fn assert_none(found: &[String], instead: &str) {
    assert!(found.is_empty(), "{instead}:\n{}", found.join("\n"));
}
