//! The closing table on a terminal: the same text, with colour where it is looked at.

use super::Written;
use crate::terminal::{print_styled, text};
use anyhow::{Context, Result};
use console::Style;

/// Prints the table of a run: in colour on a terminal, plain into a file, a pipe, or with
/// `NO_COLOR` set.
pub fn print(table: &str) -> Result<()> {
    print_styled(table, style)
}

/// Prints the table of a report that was just written, and its folder as the last line.
///
/// # Errors
/// If standard output cannot be written; the message has the folder.
pub fn print_report(written: &Written) -> Result<()> {
    let folder = text::path(&written.folder);
    print(&format!("{}\n{folder}", written.table))
        .with_context(|| format!("the report is in {folder}"))
}

fn style(number: usize, line: &str) -> Style {
    match line {
        _ if number == 0 => Style::new().bold(),
        _ if line.starts_with('─') => Style::new().dim(),
        _ if line.starts_with("! ") || line.starts_with("failed: ") => Style::new().yellow(),
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_says_what_a_line_is_and_changes_no_letter() {
        for (number, line, style_expected) in [
            (0, "S1 on cpu", Style::new().bold()),
            (2, "────", Style::new().dim()),
            (9, "! throttled", Style::new().yellow()),
            (3, " M=1024 fp16  81", Style::new()),
        ] {
            let colored = style(number, line).force_styling(true).apply_to(line).to_string();
            assert_eq!(colored, style_expected.force_styling(true).apply_to(line).to_string());
            assert_eq!(console::strip_ansi_codes(&colored), line);
        }
    }
}
