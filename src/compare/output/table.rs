//! The table on a terminal.

use super::words::{answer, cells, counts, reasons, title};
use crate::compare::comparison::{Comparison, Row, Verdict};
use crate::render::table::{table, with_header, wrapped};

/// Rows shown; comparison.json has them all.
const ROWS: usize = 40;

pub fn of(comparison: &Comparison, width: usize) -> String {
    let wrapped = |bullet: &str, text: &str| wrapped(bullet, text, width);
    let mut paragraphs =
        vec![wrapped("", &format!("{}: {}", title(comparison), counts(comparison)))];
    let told = |row: &&Row| row.verdict != Verdict::Same || !row.remarks.is_empty();
    let rows: Vec<&Row> = comparison.rows.iter().filter(told).collect();
    let shown = &rows[..rows.len().min(ROWS)];
    if !rows.is_empty() {
        let header = ["case", "base", "candidate", "change", "95 % interval", "verdict"];
        let rows = with_header(header, shown.iter().map(|row| cells(row, "-")));
        paragraphs.push(table(1, &rows, width));
    }
    if rows.len() > ROWS {
        paragraphs.push(format!("... and {} more; --out writes all of them", rows.len() - ROWS));
    }
    for row in shown {
        let reasons = reasons(row);
        if !reasons.is_empty() {
            paragraphs.push(wrapped("- ", &format!("{}: {}", row.case_id, reasons.join("; "))));
        }
    }
    if let Some(gate) = &comparison.gate {
        let seen =
            gate.mde_pct.map(|seen| format!("; median minimum detectable effect: {seen:.1} %"));
        let (seen, pairs, flagged) = (seen.unwrap_or_default(), gate.pairs, gate.candidates);
        let wall_s = gate.wall_s;
        let line =
            format!("{pairs} pairs of processes in {wall_s:.0} s, {flagged} cases flagged{seen}");
        paragraphs.push(wrapped("", &line));
    }
    paragraphs.extend(comparison.notes.iter().map(|note| wrapped("! ", note)));
    paragraphs.push(wrapped("", &answer(comparison)));
    paragraphs.join("\n") + "\n"
}
