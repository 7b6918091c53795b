//! How the kernels of two sides differ.

use crate::results::curve::kernel::KernelChange;

/// A name longer than this is cut in its middle: kernels say what they are at both ends.
const LONGEST: usize = 48;

/// `nvjet_sm90_hsh…coopA_NNT became cutlass_80_wmma…align1`.
pub fn sentence(change: &KernelChange) -> String {
    let only = |own: &[String], other: &[String]| {
        let mut names: Vec<String> =
            own.iter().filter(|name| !other.contains(name)).map(|name| short(name)).collect();
        names.dedup();
        names.join(" + ")
    };
    match (only(&change.from, &change.to), only(&change.to, &change.from)) {
        (gone, new) if gone.is_empty() && new.is_empty() => {
            "the same kernels ran in another order, or another number of times".to_owned()
        }
        (gone, new) if gone.is_empty() => format!("{new} runs as well"),
        (gone, new) if new.is_empty() => format!("{gone} runs no longer"),
        (gone, new) => format!("{gone} became {new}"),
    }
}

fn short(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= LONGEST {
        return name.to_owned();
    }
    let half = (LONGEST - 1) / 2;
    let (head, tail) = (&characters[..half], &characters[characters.len() - half..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_change_is_told_in_the_kernels_that_differ() {
        for (from, to, says) in [
            ("nvjet_x", "cutlass_align1", "nvjet_x became cutlass_align1"),
            ("a b", "a b c", "c runs as well"),
            ("a b c", "a b", "c runs no longer"),
            ("a b", "b a", "the same kernels ran in another order, or another number of times"),
        ] {
            assert_eq!(sentence(&KernelChange::between(&names(from), &names(to)).unwrap()), says);
        }
        assert_eq!(KernelChange::between(&names("a"), &names("a")), None);
        assert_eq!(KernelChange::between(&names(""), &names("a")), None, "not known");
        let long = "x".repeat(100) + "_align1";
        assert!(short(&long).ends_with("_align1") && short(&long).chars().count() < 50);
    }
}
