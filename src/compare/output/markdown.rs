//! For a pull request: the answer and what failed; everything else folded away.

use super::words::{answer, change, counts, interval, reasons, title};
use crate::compare::comparison::{Comparison, Outcome, Row, Times};
use crate::compare::verdict::Verdict;
use crate::units::time;

/// Rows of the folded table; a comment holds 65,536 characters.
const ROWS: usize = 200;

/// The comment.
pub fn of(comparison: &Comparison) -> String {
    let mark = match comparison.outcome {
        Outcome::Passed => "✅",
        Outcome::Regressed => "❌",
        Outcome::Inconclusive => "⚠️",
    };
    let mut text =
        format!("### {mark} {}\n\n{}\n", plain(&title(comparison)), plain(&answer(comparison)));
    let (failing, others): (Vec<&Row>, Vec<&Row>) =
        comparison.rows.iter().partition(|row| row.fails);
    if !failing.is_empty() {
        text.push('\n');
        text.push_str(&rows(&failing));
    }
    let changed: Vec<&Row> =
        others.into_iter().filter(|row| row.verdict != Verdict::Same).collect();
    text.push_str(&format!("\n<details><summary>{}</summary>\n\n", plain(&counts(comparison))));
    if !changed.is_empty() {
        text.push_str(&rows(&changed));
        text.push('\n');
    }
    for note in &comparison.notes {
        text.push_str(&format!("- {}\n", plain(note)));
    }
    text.push_str("\n</details>\n");
    text
}

fn rows(rows: &[&Row]) -> String {
    let mut text = "| case | base | candidate | change | 95 % interval | verdict | |\n\
                    |---|--:|--:|--:|--:|---|---|\n"
        .to_owned();
    for row in rows.iter().take(ROWS) {
        let of = |times: &Option<Times>| times.map(|times| time(times.p50_ms)).unwrap_or_default();
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            plain(&row.case_id),
            of(&row.base),
            of(&row.cand),
            row.ratio.map(change).unwrap_or_default(),
            row.ci95.map(interval).unwrap_or_default(),
            row.verdict.name(),
            plain(&reasons(row).join("; "))
        ));
    }
    if rows.len() > ROWS {
        text.push_str(&format!("\n... and {} more\n", rows.len() - ROWS));
    }
    text
}

/// Text that stays text: a kernel's name or an error may hold anything.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => plain.push(' '),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '@' | '#' => {
                plain.push('\\');
                plain.push(c);
            }
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        assert_eq!(plain("a<b>|c\n`d` @e"), "a&lt;b&gt;\\|c \\`d\\` \\@e");
    }
}
