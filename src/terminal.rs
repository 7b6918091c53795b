//! The one place that writes to stdout and stderr for people.
//!
//! Rust's `println!` panics where its stream is closed or its disk is full. These do not.

use anyhow::{Context, Result};
use std::io::{ErrorKind, Write};

/// Writes a line to stderr. Where that cannot be written there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes `text` to stdout, with a newline at its end. A reader that has closed the pipe, as `head`
/// does once it has enough, is no error: the command ends as it would have.
pub fn print(text: &str) -> Result<()> {
    write(&mut std::io::stdout().lock(), text)
}

/// Whether an error is a reader that has closed the pipe.
pub fn is_closed(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

fn write(out: &mut impl Write, text: &str) -> Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    // Flushed here: at the end of the process its errors are lost.
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output cannot be written")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write(&mut full, "answer").unwrap_err();
        assert!(format!("{error:#}").starts_with("standard output cannot be written: No space"));
        assert!(!is_closed(&error));

        let (reader, mut closed) = std::io::pipe().unwrap();
        drop(reader);
        write(&mut closed, "answer").unwrap();
        let error = closed.write_all(b"answer").context("cannot print").unwrap_err();
        assert!(is_closed(&error));

        let mut text = Vec::new();
        write(&mut text, "a").and_then(|()| write(&mut text, "b\n")).unwrap();
        assert_eq!(text, b"a\nb\n");
    }
}
