//! What people read on a terminal or in a log.

use std::io::Write;

/// Writes a line to stderr. Where that cannot be written there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
