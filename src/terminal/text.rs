//! Text from outside, as it is printed: names, paths, descriptions, errors, what is in a journal.
//!
//! It holds no control characters and nothing that hides or reorders what is beside it, it begins
//! no line, it is no command to a CI, and it is bounded. What is hidden is shown as JSON escapes
//! it, so that JSON stays JSON.

use std::borrow::Cow;
use std::path::Path;

/// The longest text within a line, in characters.
const LONGEST: usize = 200;

/// The longest line of a log.
const LONGEST_LINE: usize = 1000;

/// A CI may take these for its commands, wherever they are in a line.
const COMMANDS: [&str; 3] = ["##[", "##vso[", "##teamcity["];

/// Text within a line.
pub fn plain(text: &str) -> String {
    bounded(text, LONGEST)
}

/// A paragraph that is wrapped afterwards.
pub fn paragraph(text: &str) -> String {
    bounded(text, LONGEST_LINE)
}

/// A line of a log.
pub fn line(text: &str) -> String {
    printable(&bounded(text, LONGEST_LINE)).into_owned()
}

/// A line of any length. It is no command of GitHub's, not even where it was wrapped.
pub fn printable(line: &str) -> Cow<'_, str> {
    let line = visible(line);
    let start = line.trim_start();
    if !start.starts_with("::") {
        return line;
    }
    let (indent, rest) = line.split_at(line.len() - start.len());
    format!("{indent}\\u003a{}", &rest[1..]).into()
}

/// Every character that is hidden or commands, in the form of JSON's escapes.
pub fn visible(text: &str) -> Cow<'_, str> {
    let has_command = COMMANDS.iter().any(|command| text.contains(command));
    if !has_command && !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) {
            true => shown.push_str(&escaped(c)),
            false => shown.push(c),
        }
    }
    let harmless =
        |text: String, command: &&str| text.replace(*command, &format!("\\u0023{}", &command[1..]));
    COMMANDS.iter().fold(shown, harmless).into()
}

/// A cell of a table for spreadsheets, which take what begins so for a formula.
pub fn cell(text: &str) -> String {
    let text = plain(text);
    let is_number = text.parse::<f64>().is_ok();
    if text.starts_with(['=', '+', '-', '@']) && !is_number { format!("'{text}") } else { text }
}

/// A path, whole: whoever reads it may go there.
pub fn path(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}

/// A path as a word of a shell's command.
pub fn shell(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    match !path.is_empty() && path.chars().all(is_plain) {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

fn bounded(text: &str, longest: usize) -> String {
    let text = cut_ends(text, longest).join("…");
    let is_end = |c: char| c.is_whitespace() && c.is_control() || "\u{2028}\u{2029}".contains(c);
    let lines = text.split(is_end);
    let text = match text.contains(is_end) {
        true => lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "),
        false => text,
    };
    // What is shown of it may be longer.
    cut_ends(&visible(&text), longest).join("…")
}

/// The text, or its two ends: an error says at its end what went wrong.
fn cut_ends(text: &str, longest: usize) -> Vec<&str> {
    if text.len() <= longest || text.chars().nth(longest).is_none() {
        return vec![text];
    }
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    let tail = longest / 3;
    let (end, start) = (at(longest - tail - 1), at(text.chars().count() - tail));
    vec![&text[..end], &text[start..]]
}

/// Whether a character is none that is seen: controls, marks of direction, what has no width.
fn is_hidden(c: char) -> bool {
    // What Unicode says may be ignored, and Rust prints all the same.
    const IGNORABLE: [(char, char); 8] = [
        ('\u{34f}', '\u{34f}'),
        ('\u{115f}', '\u{1160}'),
        ('\u{17b4}', '\u{17b5}'),
        ('\u{180b}', '\u{180f}'),
        ('\u{3164}', '\u{3164}'),
        ('\u{fe00}', '\u{fe0f}'),
        ('\u{ffa0}', '\u{ffa0}'),
        ('\u{e0000}', '\u{e0fff}'),
    ];
    if c.is_ascii() {
        return c.is_ascii_control() && c != '\t';
    }
    let is_space = c.is_whitespace() && !c.is_control() && !"\u{2028}\u{2029}".contains(c);
    let is_ignorable = IGNORABLE.iter().any(|&(first, last)| (first..=last).contains(&c));
    // Behind a letter a combining mark is printed.
    is_ignorable || !is_space && format!("a{c}").escape_debug().count() > 2
}

fn escaped(c: char) -> String {
    let mut units = [0; 2];
    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_shown_and_nothing_else_changes() {
        for (text, shown) in [
            ("d107 µs × 64, 95 % of Größe, ทำ, e\u{301}, 1\u{a0}000", None),
            ("a\u{1b}[2Jb\u{7}\u{7f}\u{9b}", Some(r"a\u001b[2Jb\u0007\u007f\u009b")),
            ("a\u{202e}b\u{2066}c\u{200b}\u{feff}", Some(r"a\u202eb\u2066c\u200b\ufeff")),
            ("\u{e0041}\u{3164}\u{ad}\u{fe0f}", Some(r"\udb40\udc41\u3164\u00ad\ufe0f")),
            ("one\r\n  two\n\n\tthree\u{2028}four", Some("one two three four")),
        ] {
            assert_eq!(plain(text), shown.unwrap_or(text));
        }
        let name = "a\u{1b}\u{202e}\u{e0041}\n\"";
        let json = visible(&serde_json::json!([name]).to_string()).into_owned();
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [name]);
    }

    #[test]
    fn no_line_is_a_command() {
        assert_eq!(line("  ::error::x"), r"  \u003a:error::x");
        assert_eq!(line("at::native"), "at::native");
        assert_eq!(line("a ##[error]b ##vso[c"), r"a \u0023#[error]b \u0023#vso[c");
        assert_eq!(line("a\n::error::x"), "a ::error::x");
    }

    #[test]
    fn a_long_text_keeps_its_ends() {
        let long = format!("cannot read {}: no such file", "é".repeat(100_000));
        for (text, longest) in [(plain(&long), LONGEST), (line(&long), LONGEST_LINE)] {
            assert_eq!(text.chars().count(), longest);
            assert!(text.starts_with("cannot read é") && text.ends_with("é: no such file"));
        }
        assert!(plain(&"\u{1b}".repeat(LONGEST)).chars().count() <= LONGEST);
        let fits = "x".repeat(LONGEST);
        assert_eq!(plain(&fits), fits);
    }

    #[test]
    fn cells_are_no_formulas_and_paths_are_one_word() {
        for (text, shown) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'=1"),
            ("-x", "'-x"),
            ("-1.5", "-1.5"),
            ("+3", "+3"),
            ("q_proj", "q_proj"),
        ] {
            assert_eq!(cell(text), shown);
        }
        let long = "x".repeat(5000);
        assert_eq!(path(Path::new(&long)), long);
        assert_eq!(path(Path::new("a\n::error::b")), r"a\u000a::error::b");
        for (path, word) in [
            ("/a/b-1.yaml", "/a/b-1.yaml"),
            ("my spec.yaml", "'my spec.yaml'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(shell(Path::new(path)), word);
        }
    }
}
