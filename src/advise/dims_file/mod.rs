//! A file of dimensions, as people and compression methods write them; what it is, its content
//! tells.

mod csv;
mod forms;
mod json;
mod reader;
mod replace;

#[cfg(test)]
mod tests;

pub use forms::DimsFile;
pub use reader::{load, read};
pub use replace::replaced;
