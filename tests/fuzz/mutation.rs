//! Inputs that are nearly right: a valid one with some edits, or no valid one at all.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What a number becomes: limits of its types, what JSON and YAML read differently, and what is no
/// number.
const EXTREMES: &str = "0 -0 1 -1 2 1000 100000 4294967296 1099511627775 9007199254740993 \
    9223372036854775808 18446744073709551615 18446744073709551616 \
    340282366920938463463374607431768211456 1e308 -1e308 1e-320 1e999 0.1 .inf NaN null [] \"7\"";

/// What text is put in: brackets, escapes, bytes that are no UTF-8, a byte-order mark, a NUL, an
/// alias.
const PIECES: &str = "{ } [ ] \" \\ , : *a &a ../ \\u0000";
const BYTES: [&[u8]; 6] = [b"\n", b"\t", b"\0", b"\xff", b"\xc3\x28", b"\xef\xbb\xbf"];

#[derive(Clone, Debug)]
pub enum Edit {
    Flip(Index, u8),
    Truncate(Index),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    /// So many bytes from one place again at another.
    Splice(Index, usize, Index),
    Number(Index, &'static str),
    Word(Index, Index),
    /// The n-th line stands again before the m-th.
    Line(Index, Index),
}

/// A few edits, mostly one or two: an input that is wrong in one way gets further than one that is
/// wrong in many.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<Index>;
    let pieces: Vec<_> = PIECES.split(' ').map(str::as_bytes).chain(BYTES).collect();
    let extremes: Vec<_> = EXTREMES.split(' ').collect();
    let junk = prop::collection::vec(any::<u8>(), 1..12);
    let edit = prop_oneof![
        2 => (at(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        1 => at().prop_map(Edit::Truncate),
        2 => (at(), 1..60_usize).prop_map(|(at, len)| Edit::Remove(at, len)),
        2 => (at(), select(pieces)).prop_map(|(at, piece)| Edit::Insert(at, piece.to_vec())),
        1 => (at(), junk).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        2 => (at(), 1..300_usize, at()).prop_map(|(from, len, to)| Edit::Splice(from, len, to)),
        8 => (at(), select(extremes)).prop_map(|(at, number)| Edit::Number(at, number)),
        3 => (at(), at()).prop_map(|(at, from)| Edit::Word(at, from)),
        2 => (at(), at()).prop_map(|(from, to)| Edit::Line(from, to)),
    ];
    prop_oneof![
        6 => prop::collection::vec(edit.clone(), 1..3),
        1 => prop::collection::vec(edit, 3..20),
    ]
}

impl Edit {
    pub fn apply(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let len = bytes.len();
        if len == 0 {
            return bytes;
        }
        match self {
            Edit::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Edit::Truncate(at) => bytes.truncate(at.index(len)),
            Edit::Remove(at, count) => {
                let at = at.index(len);
                bytes.drain(at..(at + count).min(len));
            }
            Edit::Insert(at, piece) => {
                let at = at.index(len);
                bytes.splice(at..at, piece.iter().copied());
            }
            Edit::Splice(from, count, to) => {
                let (from, to) = (from.index(len), to.index(len));
                let piece = bytes[from..(from + count).min(len)].to_vec();
                bytes.splice(to..to, piece);
            }
            Edit::Number(at, number) => {
                let runs = runs(&bytes, |byte| byte.is_ascii_digit() || b".-".contains(&byte));
                replace(&mut bytes, &runs, at, number.as_bytes().to_vec());
            }
            Edit::Word(at, from) => {
                let runs = runs(&bytes, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                if !runs.is_empty() {
                    let (start, end) = runs[from.index(runs.len())];
                    let word = bytes[start..end].to_vec();
                    replace(&mut bytes, &runs, at, word);
                }
            }
            Edit::Line(from, to) => {
                let runs = runs(&bytes, |byte| byte != b'\n');
                if !runs.is_empty() {
                    let (start, end) = runs[from.index(runs.len())];
                    let line = [&bytes[start..end], b"\n"].concat();
                    let to = runs[to.index(runs.len())].0;
                    bytes.splice(to..to, line);
                }
            }
        }
        bytes
    }
}

fn runs(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut start = None;
    for (at, byte) in bytes.iter().chain([&b'\n']).enumerate() {
        let inside = at < bytes.len() && is_part(*byte);
        match (start, inside) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                runs.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    runs
}

fn replace(bytes: &mut Vec<u8>, runs: &[(usize, usize)], at: &Index, with: Vec<u8>) {
    if !runs.is_empty() {
        let (start, end) = runs[at.index(runs.len())];
        bytes.splice(start..end, with);
    }
}
