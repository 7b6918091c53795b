//! Comes with the suite.

fn main() {}
