//! JUnit XML, as CI servers read it.

use super::words::{answer, said, title};
use crate::compare::comparison::{Comparison, Outcome, Row, Verdict};
use crate::terminal::text::paragraph;

/// A suite with a test case per case. The suite as a whole, and an answer that could not be given,
/// are cases too.
pub fn of(comparison: &Comparison) -> String {
    let mut cases: Vec<String> = comparison.rows.iter().map(case).collect();
    let is_open = comparison.outcome == Outcome::Inconclusive;
    let is_slower = comparison.suite.is_slower && !is_open;
    if is_open || is_slower {
        let element = if is_open { "error" } else { "failure" };
        let said = xml(&format!("{} {}", answer(comparison), comparison.notes.join("; ")));
        cases.push(format!(
            "    <testcase classname=\"night-sweep\" name=\"the suite as a whole\"><{element} \
             message=\"{said}\"/></testcase>\n"
        ));
    }
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        cases.len(),
        comparison.failing().count() + usize::from(is_slower),
        usize::from(is_open),
        comparison.rows.iter().filter(|row| is_skipped(row)).count()
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite \
         name=\"{}\" {counts}>\n{}  </testsuite>\n</testsuites>\n",
        xml(&title(comparison)),
        cases.concat()
    )
}

fn is_skipped(row: &Row) -> bool {
    !row.fails && matches!(row.verdict, Verdict::OnlyInBase | Verdict::OnlyInCand)
}

fn case(row: &Row) -> String {
    let (series, point) = row.case_id.rsplit_once('/').unwrap_or(("night-sweep", &row.case_id));
    let (class, name) = (xml(&series.replace('/', ".")), xml(point));
    let verdict = row.verdict;
    let message = xml(&[vec![verdict.to_string()], said(row, false)].concat().join("; "));
    let time = row.cand.map(|times| format!(" time=\"{:.9}\"", times.p50_ms * 1e-3));
    let time = time.unwrap_or_default();
    let inside = match () {
        () if row.fails => format!("<failure type=\"{verdict}\" message=\"{message}\"/>"),
        () if is_skipped(row) => format!("<skipped message=\"{message}\"/>"),
        () => format!("<system-out>{message}</system-out>"),
    };
    format!("    <testcase classname=\"{class}\" name=\"{name}\"{time}>{inside}</testcase>\n")
}

/// `text` for inside an attribute or an element.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in paragraph(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
