//! JSON that a person can scroll through: a field a line, but plain arrays on one line, however long.

use anyhow::Result;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// `value` as JSON, indented by two spaces, with a newline at its end.
///
/// # Errors
/// If `value` cannot be expressed in JSON.
pub fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, Layout::default()))?;
    text.push(b'\n');
    Ok(text)
}

/// The open brackets, outermost first.
#[derive(Default)]
struct Layout(Vec<Open>);

struct Open {
    is_array: bool,
    /// Something inside stands on a line of its own, so the closing bracket has to as well.
    broken: bool,
}

impl Layout {
    fn new_line<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if let Some(open) = self.0.last_mut() {
            open.broken = true;
        }
        write!(writer, "\n{:1$}", "", 2 * self.0.len())
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &str) -> io::Result<()> {
        if self.0.pop().is_some_and(|open| open.broken) {
            write!(writer, "\n{:1$}", "", 2 * self.0.len())?;
        }
        write!(writer, "{bracket}")
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.push(Open { is_array: true, broken: false });
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, "]")
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.0.last().is_some_and(|open| open.is_array) {
            self.new_line(writer)?;
        }
        self.0.push(Open { is_array: false, broken: false });
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, "}")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.new_line(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn fields_stand_on_lines_and_numbers_in_a_row() {
        let value = json!({"raw": [1.5, 2], "rows": [{"grid": [1, 2, 3]}, {}], "none": [], "deep": {"a": "b"}});
        let text = String::from_utf8(pretty(&value).unwrap()).unwrap();
        let expected = "{\n  \"raw\": [1.5,2],\n  \"rows\": [\n    {\n      \"grid\": [1,2,3]\n    },\n    {}\n  ],\n  \
                        \"none\": [],\n  \"deep\": {\n    \"a\": \"b\"\n  }\n}\n";
        assert_eq!(text, expected);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".*", inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_the_same(value in values()) {
            let text = pretty(&value).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), value);
        }
    }
}
