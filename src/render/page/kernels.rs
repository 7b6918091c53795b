//! Names of kernels as a page shows them.

use super::escape::visible;

/// Characters of a name; longer ones are cut.
const LONGEST: usize = 160;

/// A kernel's name, made visible and cut: what a library calls its kernels is up to the library.
pub fn readable(name: &str) -> String {
    let mut shown: String = name.chars().take(LONGEST).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    visible(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_and_are_made_visible() {
        assert_eq!(readable("cutlass::Kernel2<x>"), "cutlass::Kernel2<x>");
        assert_eq!(readable("what\u{202e}"), "what�");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(readable(&"a".repeat(500)), format!("{}…", "a".repeat(LONGEST)));
    }
}
