//! For a pull request: the answer and what failed; everything else folded away.

use super::words::{answer, cells, counts, reasons, title};
use crate::compare::comparison::{Comparison, Outcome, Row, Verdict};
use crate::terminal::text::paragraph;

/// Rows of the folded table; a comment holds 65,536 characters.
const ROWS: usize = 200;

pub fn of(comparison: &Comparison) -> String {
    let mark = match comparison.outcome {
        Outcome::Passed => "✅",
        Outcome::Regressed => "❌",
        Outcome::Inconclusive => "⚠",
    };
    let (failing, others): (Vec<&Row>, Vec<&Row>) =
        comparison.rows.iter().partition(|row| row.fails);
    let changed: Vec<&Row> =
        others.into_iter().filter(|row| row.verdict != Verdict::Same).collect();
    let table = |rows: &[&Row], before: &str, after: &str| match rows {
        [] => String::new(),
        rows => format!("{before}{}{after}", table(rows)),
    };
    let notes = comparison.notes.iter().map(|note| format!("- {}\n", plain(note)));
    format!(
        "### {mark} {}\n\n{}\n{}\n<details><summary>{}</summary>\n\n{}{}\n</details>\n",
        plain(&title(comparison)),
        plain(&answer(comparison)),
        table(&failing, "\n", ""),
        plain(&counts(comparison)),
        table(&changed, "", "\n"),
        notes.collect::<String>()
    )
}

fn table(rows: &[&Row]) -> String {
    let mut text = "| case | base | candidate | change | 95 % interval | verdict | |\n\
                    |---|--:|--:|--:|--:|---|---|\n"
        .to_owned();
    for row in rows.iter().take(ROWS) {
        let [id, numbers @ .., verdict] = cells(row, "");
        let (id, numbers) = (plain(&id), numbers.join(" | "));
        let reasons = plain(&reasons(row).join("; "));
        text += &format!("| {id} | {numbers} | {verdict} | {reasons} |\n");
    }
    if rows.len() > ROWS {
        text += &format!("\n... and {} more\n", rows.len() - ROWS);
    }
    text
}

/// Text that stays text: a kernel's name or an error may hold anything.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in paragraph(text).chars() {
        match c {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            c if r"|*_`[]\@#".contains(c) => plain.extend(['\\', c]),
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
