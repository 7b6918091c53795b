//! That times under PyTorch's names are not of PyTorch's kernels.

use crate::results::raw::Raw;
use crate::units::list;

/// None where there are no stand-ins.
pub fn of(raw: &Raw) -> Option<String> {
    let names: Vec<&str> = raw.stand_ins().into_iter().collect();
    let are = match names[..] {
        [] => return None,
        [_] => "is a stand-in",
        _ => "are stand-ins",
    };
    let why = match raw.config["provider"].as_str() {
        Some("night-sweep") => "the spec asks for Night Sweep's",
        _ => "no PyTorch was loaded",
    };
    let names = list(&names);
    Some(format!("{names} {are} here, not PyTorch's kernels: {why}; see docs/pytorch.md."))
}
