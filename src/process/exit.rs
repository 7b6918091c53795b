//! Exit codes that more than one command ends with.

/// Bad input, a filter that matches nothing, or a disk that cannot be written.
pub const REFUSED: u8 = 2;
/// Stopped, and to be started again: EX_TEMPFAIL of sysexits.h.
pub const TRY_AGAIN: u8 = 75;
/// What shells give to a process that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;
/// What Rust's runtime gives to a process whose main thread panicked.
pub const PANICKED: u8 = 101;
