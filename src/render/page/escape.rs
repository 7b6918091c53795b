//! Strings of a run on their way into a page. A spec, a driver or a host may hold any text; none of
//! it becomes markup, script, or a page that reads backwards.

use anyhow::Result;
use serde::Serialize;

/// Characters that are shown of one text; raw.json and env.json have all of it.
pub const LONGEST: usize = 2000;
const LONGEST_KERNEL: usize = 160;

/// `text` for between two tags or inside a quoted attribute.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `value` as JSON for inside a `<script>` element, which ends at `</script` wherever it stands.
/// The characters replaced occur in JSON only inside strings, where `\u` means the same.
pub fn json(value: &impl Serialize) -> Result<String> {
    let mut escaped = String::new();
    for c in serde_json::to_string(value)?.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    Ok(escaped)
}

/// `text` without what a reader could not see, cut to [`LONGEST`] characters: control characters
/// and the marks that turn the direction of writing become U+FFFD, line breaks and tabs a space.
pub fn visible(text: &str) -> String {
    cut(text, LONGEST)
}

/// The same of a kernel's name: what a library calls its kernels is up to the library.
pub fn kernel(name: &str) -> String {
    cut(name, LONGEST_KERNEL)
}

fn cut(text: &str, longest: usize) -> String {
    let replaced = text.chars().map(|c| match c {
        '\n' | '\r' | '\t' => ' ',
        // Unicode's Bidi_Control characters: <https://www.unicode.org/reports/tr9/>.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    let mut shown: String = replaced.take(longest + 1).collect();
    if let Some((cut, _)) = shown.char_indices().nth(longest) {
        shown.truncate(cut);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_character_of_markup_survives() {
        assert_eq!(
            html("<script>'a' & \"b\"</script>"),
            "&lt;script&gt;&#39;a&#39; &amp; &quot;b&quot;&lt;/script&gt;"
        );
        assert_eq!(html("M=1024 fp16, 2.5× µs"), "M=1024 fp16, 2.5× µs");
    }

    #[test]
    fn what_cannot_be_seen_is_replaced() {
        assert_eq!(visible("a\u{202e}b\u{200f}c\u{2066}d\0\u{1b}[31m\n"), "a�b�c�d��[31m ");
        assert_eq!(visible("ärgerlich עברית"), "ärgerlich עברית");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let cut = visible(&"ä".repeat(10_000));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert!(cut.ends_with("ä…"));
        assert_eq!(visible(&"ä".repeat(LONGEST)), "ä".repeat(LONGEST));
        assert_eq!(kernel(&"a".repeat(500)), format!("{}…", "a".repeat(LONGEST_KERNEL)));
    }

    proptest! {
        #[test]
        fn json_reads_back_the_same(
            texts in prop::collection::vec(".*|[<>&\u{2028}\u{2029}\\\\\"]*", 0..5),
        ) {
            let escaped = json(&texts).unwrap();
            let is_safe = !escaped.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
            prop_assert!(is_safe, "{}", escaped);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), texts);
        }

        #[test]
        fn html_has_no_tags_and_no_quotes(text in ".*") {
            let is_safe = !html(&text).contains(['<', '>', '"', '\'']);
            prop_assert!(is_safe, "{}", text);
        }
    }
}
