//! A class in a sentence.

use super::answer::ClassRow;
use super::verdict::{CLOCKS_DIFFER, Verdict, is_within};
use crate::units::percent;

/// `This card is 6.0 % slower in compute-bound GEMM, at a clock 5.0 % lower: ...`; none where the
/// time is within the allowance.
pub fn sentence(row: &ClassRow) -> Option<String> {
    if is_within(row.time_ratio, row.allowance_pct / 100.0) {
        return None;
    }
    let time = (row.time_ratio - 1.0) * 100.0;
    let direction = if time > 0.0 { "slower" } else { "faster" };
    let clock = (row.clock_ratio - 1.0) * 100.0;
    let clock = match clock {
        -0.5..=0.5 => "an equal clock".to_owned(),
        ..0.0 => format!("a clock {} lower", percent(-clock)),
        _ => format!("a clock {} higher", percent(clock)),
    };
    let why = match row.verdict {
        Verdict::Slower => format!(
            ": more than cards of a model differ by, in cycles ({:+.1} %) as well; {} are allowed",
            (row.cycles_ratio - 1.0) * 100.0,
            percent(row.allowance_pct)
        ),
        Verdict::SlowerByItsClock => {
            format!(": clocks of cards of a model differ by {:.0} %", CLOCKS_DIFFER * 100.0)
        }
        Verdict::AsExpected => ": clocks of cards of a model differ by as much".to_owned(),
        Verdict::Faster => String::new(),
    };
    let time = percent(time.abs());
    Some(format!("This card is {time} {direction} in {}, at {clock}{why}.", row.class))
}
