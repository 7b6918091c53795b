//! A card against its reference: the table, and the same for a pull request.

use super::markdown::plain;
use crate::compare::reference::answer::{
    Card, CardComparison, ClassRow, FailsHere, LeftOut, Outcome,
};
use crate::render::table::{table, with_header, wrapped};

/// Cases named for each reason; reference.json has all of them.
const NAMED: usize = 5;

pub fn table_of(comparison: &CardComparison, width: usize) -> String {
    let wrapped = |bullet: &str, text: &str| wrapped(bullet, text, width);
    let mut paragraphs = vec![wrapped("", &title(comparison))];
    paragraphs.push(table(1, &cards(comparison), width));
    if !comparison.classes.is_empty() {
        paragraphs.push(table(1, &classes(comparison), width));
    }
    paragraphs.extend(fails_here(comparison).iter().map(|text| wrapped("- ", text)));
    paragraphs.extend(left_out(&comparison.left_out).iter().map(|text| wrapped("- ", text)));
    paragraphs.extend(comparison.notes.iter().map(|note| wrapped("! ", note)));
    paragraphs.extend(comparison.findings.iter().map(|finding| wrapped("- ", finding)));
    paragraphs.push(wrapped("", &answer(comparison)));
    paragraphs.join("\n") + "\n"
}

pub fn markdown_of(comparison: &CardComparison) -> String {
    let mark = match comparison.outcome {
        Outcome::AsExpected => "✅",
        Outcome::Worse => "❌",
        Outcome::Inconclusive => "⚠",
    };
    let list = |texts: &[String]| -> String {
        texts.iter().map(|text| format!("- {}\n", plain(text))).collect()
    };
    let classes = match comparison.classes.is_empty() {
        true => String::new(),
        false => markdown_table(&classes(comparison)) + "\n",
    };
    format!(
        "### {mark} {}\n\n{}\n\n{}\n{classes}{}\n<details><summary>What is not judged, and what \
         differs</summary>\n\n{}{}\n</details>\n",
        plain(&title(comparison)),
        plain(&answer(comparison)),
        markdown_table(&cards(comparison)),
        list(&[fails_here(comparison), comparison.findings.clone()].concat()),
        list(&left_out(&comparison.left_out)),
        list(&comparison.notes),
    )
}

fn markdown_table(rows: &[Vec<String>]) -> String {
    let line = |cells: &Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| plain(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let columns = rows.first().map_or(0, Vec::len);
    let rule = format!("|---{}|\n", "|--:".repeat(columns.saturating_sub(1)));
    let mut lines = rows.iter().map(line);
    lines.next().into_iter().chain([rule]).chain(lines).collect()
}

fn title(comparison: &CardComparison) -> String {
    let CardComparison { model, card, reference, rows, left_out, .. } = comparison;
    let LeftOut { other_kernels, failed, not_in_reference, not_counted } = left_out;
    let others = [
        comparison.fails_here.len(),
        other_kernels.len(),
        failed.len(),
        not_in_reference.len(),
        not_counted.len(),
    ];
    format!(
        "{model} against others of its model: {} against {}: {} of {} cases judged",
        card.name,
        reference.name,
        rows.len(),
        rows.len() + others.iter().sum::<usize>()
    )
}

fn answer(comparison: &CardComparison) -> String {
    let classes = comparison.classes.len();
    let failing = comparison.classes.iter().filter(|row| row.verdict.fails()).count();
    match comparison.outcome {
        Outcome::AsExpected => {
            "As expected: in no class is this card slower by more than cards of its model differ."
                .to_owned()
        }
        Outcome::Worse => {
            let fails = match comparison.fails_here.len() {
                0 => String::new(),
                n => format!("Of the cases that the reference measured {n} fail here. "),
            };
            format!("{fails}Slower than expected in {failing} of {classes} classes.")
        }
        Outcome::Inconclusive => "No answer: see the notes.".to_owned(),
    }
}

fn cards(comparison: &CardComparison) -> Vec<Vec<String>> {
    let header = ["", "uuid", "driver", "copy GB/s", "fp16 TFLOP/s", "limit W"];
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.0}"));
    let row = |name: &str, card: &Card| {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            name.to_owned(),
            // `GPU-d4422da2` of the whole.
            text(&card.uuid).chars().take(12).collect(),
            text(&card.driver),
            number(card.copy_gbs),
            number(card.fp16_tflops),
            number(card.power_limit_w),
        ]
    };
    let own = comparison.card.cards.iter().map(|card| row("this card", card));
    let others = comparison.reference.cards.iter().map(|card| row("reference", card));
    with_header(header, own.chain(others))
}

fn classes(comparison: &CardComparison) -> Vec<Vec<String>> {
    let header =
        ["class", "cases", "time", "95 % interval", "clock", "cycles", "W", "°C", "verdict"];
    let row = |row: &ClassRow| {
        let [card, reference] = [&row.card, &row.reference];
        vec![
            row.class.to_string(),
            row.cases.to_string(),
            change(row.time_ratio),
            row.time_ci95.map_or_else(
                || "-".to_owned(),
                |[low, high]| format!("{:+.1} to {}", (low - 1.0) * 100.0, change(high)),
            ),
            change(row.clock_ratio),
            change(row.cycles_ratio),
            both(card.power_w, reference.power_w),
            both(card.temperature_c, reference.temperature_c),
            row.verdict.to_string(),
        ]
    };
    with_header(header, comparison.classes.iter().map(row))
}

/// `+4.0%`, short for a table of many columns.
fn change(ratio: f64) -> String {
    // Not "-0.0".
    format!("{:+.1}%", ((ratio - 1.0) * 1000.0).round() / 10.0 + 0.0)
}

/// `326/308`: this card's, and the reference's.
fn both(card: Option<f64>, reference: Option<f64>) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.0}"));
    format!("{}/{}", number(card), number(reference))
}

fn fails_here(comparison: &CardComparison) -> Vec<String> {
    let case = |failed: &FailsHere| {
        format!(
            "fails here, and does not in the reference: {} ({})",
            failed.case_id,
            failed.error_kind.name()
        )
    };
    let named = comparison.fails_here.iter().take(NAMED).map(case);
    let more = comparison.fails_here.len().saturating_sub(NAMED);
    named.chain((more > 0).then(|| format!("and {more} more fail here"))).collect()
}

/// `not judged, as other kernels ran: 12 cases (A, B, ...)`, a line for each reason.
fn left_out(left_out: &LeftOut) -> Vec<String> {
    let kernels: Vec<&String> = left_out.other_kernels.iter().map(|case| &case.case_id).collect();
    let reason = |why: &str, ids: Vec<&String>| {
        let named: Vec<&str> = ids.iter().take(NAMED).map(|id| id.as_str()).collect();
        let more = if ids.len() > NAMED { ", ..." } else { "" };
        let cases = if ids.len() == 1 { "case" } else { "cases" };
        let (count, named) = (ids.len(), named.join(", "));
        (count > 0).then(|| format!("not judged, {why}: {count} {cases} ({named}{more})"))
    };
    [
        reason("as other kernels ran", kernels),
        reason("as it failed", left_out.failed.iter().collect()),
        reason("not in the reference", left_out.not_in_reference.iter().collect()),
        reason("as SM cycles were not counted", left_out.not_counted.iter().collect()),
    ]
    .into_iter()
    .flatten()
    .collect()
}
