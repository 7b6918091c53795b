//! The table on a terminal.

use super::words::{answer, change, counts, interval, reasons, title};
use crate::compare::comparison::{Comparison, Row};
use crate::compare::verdict::Verdict;
use crate::render::table::{table, wrapped};
use crate::units::time;

/// Rows shown; comparison.json has them all.
const ROWS: usize = 40;

/// A title, the cases of which there is something to say, notes, and the answer last.
pub fn of(comparison: &Comparison) -> String {
    let mut paragraphs =
        vec![wrapped("", &format!("{}: {}", title(comparison), counts(comparison)))];
    let told = |row: &&Row| row.verdict != Verdict::Same || !row.remarks.is_empty();
    let rows: Vec<&Row> = comparison.rows.iter().filter(told).collect();
    if !rows.is_empty() {
        paragraphs.push(cases(&rows[..rows.len().min(ROWS)]));
    }
    if rows.len() > ROWS {
        paragraphs.push(format!("... and {} more; --out writes all of them", rows.len() - ROWS));
    }
    for row in rows.iter().take(ROWS) {
        let reasons = reasons(row);
        if !reasons.is_empty() {
            paragraphs.push(wrapped("- ", &format!("{}: {}", row.case_id, reasons.join("; "))));
        }
    }
    if let Some(gate) = &comparison.gate {
        let seen =
            gate.mde_pct.map(|seen| format!("; median minimum detectable effect: {seen:.1} %"));
        paragraphs.push(wrapped(
            "",
            &format!(
                "{} pairs of processes in {:.0} s, {} cases flagged{}",
                gate.pairs,
                gate.wall_s,
                gate.candidates,
                seen.unwrap_or_default()
            ),
        ));
    }
    paragraphs.extend(comparison.notes.iter().map(|note| wrapped("! ", note)));
    paragraphs.push(wrapped("", &answer(comparison)));
    paragraphs.join("\n") + "\n"
}

fn cases(rows: &[&Row]) -> String {
    let mut table = table(&["case", "base", "candidate", "change", "95 % interval", "verdict"]);
    let dash = || "-".to_owned();
    for row in rows {
        let times = [&row.base, &row.cand];
        let [base, cand] = times.map(|times| times.map_or_else(dash, |times| time(times.p50_ms)));
        table.add_row([
            row.case_id.clone(),
            base,
            cand,
            row.ratio.map_or_else(dash, change),
            row.ci95.map_or_else(dash, interval),
            row.verdict.name().to_owned(),
        ]);
    }
    table.trim_fmt()
}
