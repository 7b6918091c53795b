//! JUnit XML, as CI servers read it.

use super::words::{answer, change, interval, reasons, title};
use crate::compare::comparison::{Comparison, Outcome, Row};
use crate::compare::verdict::Verdict;

/// A suite with a test case per case. The suite as a whole, and an answer that could not be given,
/// are cases too.
pub fn of(comparison: &Comparison) -> String {
    let mut cases: Vec<String> = comparison.rows.iter().map(case).collect();
    let mut failures = comparison.failing().count();
    let whole = |element: &str| {
        let said = format!("{} {}", answer(comparison), comparison.notes.join("; "));
        format!(
            "    <testcase classname=\"night-sweep\" name=\"the suite as a whole\"><{element} \
             message=\"{}\"/></testcase>\n",
            xml(&said)
        )
    };
    let mut errors = 0;
    if comparison.outcome == Outcome::Inconclusive {
        errors = 1;
        cases.push(whole("error"));
    } else if comparison.suite.is_slower {
        failures += 1;
        cases.push(whole("failure"));
    }
    let skipped = comparison.rows.iter().filter(|row| is_skipped(row)).count();
    let (name, tests, all) = (xml(&title(comparison)), cases.len(), cases.concat());
    let counts = format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\""
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite \
         name=\"{name}\" {counts}>\n{all}  </testsuite>\n</testsuites>\n"
    )
}

/// A case of which a comparison has nothing to say.
fn is_skipped(row: &Row) -> bool {
    matches!(row.verdict, Verdict::OnlyInBase | Verdict::OnlyInCand)
}

fn case(row: &Row) -> String {
    let (series, point) = row.case_id.rsplit_once('/').unwrap_or(("night-sweep", &row.case_id));
    let mut parts = vec![row.verdict.name().to_owned()];
    parts.extend(row.ratio.map(change));
    parts.extend(row.ci95.map(interval));
    parts.extend(reasons(row));
    let message = xml(&parts.join("; "));
    let time =
        row.cand.map(|times| format!(" time=\"{:.9}\"", times.p50_ms * 1e-3)).unwrap_or_default();
    let inside = match () {
        () if row.fails => {
            format!("<failure type=\"{}\" message=\"{message}\"/>", row.verdict.name())
        }
        () if is_skipped(row) => format!("<skipped message=\"{message}\"/>"),
        () => format!("<system-out>{message}</system-out>"),
    };
    format!(
        "    <testcase classname=\"{}\" name=\"{}\"{time}>{inside}</testcase>\n",
        xml(&series.replace('/', ".")),
        xml(point)
    )
}

/// `text` for inside an attribute or an element; what XML does not allow at all is left out.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\r' | '\t' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}
