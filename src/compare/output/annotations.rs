//! GitHub's workflow commands: printed in a step, they annotate its run.

use super::words::{answer, said};
use crate::compare::comparison::{Comparison, Outcome};
use crate::terminal::text::{paragraph, plain};

/// GitHub shows ten errors of a step.
const ERRORS: usize = 9;

pub fn of(comparison: &Comparison) -> String {
    let errors = comparison.failing().take(ERRORS).map(|row| {
        let title = property(&plain(&format!("{} {}", row.verdict, row.case_id)));
        format!("::error title={title}::{}\n", message(&paragraph(&said(row, true).join(" "))))
    });
    let level = match comparison.outcome {
        Outcome::Passed => "notice",
        Outcome::Regressed => "error",
        Outcome::Inconclusive => "warning",
    };
    let notes = comparison.notes.iter().map(|note| format!("\n- {}", paragraph(note)));
    let said = message(&format!("{}{}", answer(comparison), notes.collect::<String>()));
    format!("{}::{level} title=night-sweep::{said}\n", errors.collect::<String>())
}

/// A message escaped as GitHub's toolkit does: a line break ends a command.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_a_command_early() {
        assert_eq!(message("3 %\n::error::x"), "3 %25%0A::error::x");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
