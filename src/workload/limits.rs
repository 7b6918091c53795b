//! What no spec and no journal may exceed.

/// No tensor may have as many elements as this: 2 TiB in 16 bits, more than any card holds.
pub const MAX_ELEMENTS: usize = 1 << 40;

/// No experiment may have more cases than this: a day of measuring at a second each.
pub const MAX_CASES: usize = 100_000;

/// No experiment may have more trials than this.
pub const MAX_TRIALS: usize = 1000;
/// Terms, products of three seeded normal numbers each, whose sum stays within fp16: its standard
/// deviation is their square root, and the largest fp16 number eight of those.
pub const MAX_FP16_SUM: usize = 1 << 26;
