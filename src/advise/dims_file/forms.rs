//! What the forms of a file have in common.

use super::super::input::Item;
use indexmap::IndexSet;

/// What a file that is none of these is told.
pub const FORMS: &str = "\
    known are: a JSON list like [107, {\"name\": \"layer 3\", \"dim\": 113}]; \
    JSON of a rank or width, or a list of them, per module name, \
    like {\"model.layers.0.self_attn.k_proj\": [107, 121]}, \
    also under head_wise_ranks (PaLU) or truncation_ranks (ASVD) of a config.json; \
    block_configs (Puzzletron); CSV with a column dim";

/// The names of the dimension's column or key, and of the name's.
pub const DIM: [&str; 3] = ["dim", "rank", "width"];
pub const NAME: [&str; 2] = ["name", "module"];

#[derive(Debug)]
pub struct DimsFile {
    /// In the order of the file. A name is the whole path of a module as the file has it, with
    /// `[0]`, `[1]`, ... for the groups of a module that has several.
    pub items: Vec<Item>,
    /// Columns, keys and rows that say nothing here.
    pub left_out: IndexSet<String>,
}

/// `107`, or `107.0`, which pandas makes of it where another row has none.
pub fn integer(number: f64) -> Option<usize> {
    (number.fract() == 0.0 && (0.0..1e15).contains(&number)).then_some(number as usize)
}
