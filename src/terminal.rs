//! The one place that writes to stdout and stderr for people.
//!
//! Rust's `println!` panics where its stream is closed or its disk is full. These do not. And
//! nothing that is printed gets control of the terminal or of the CI that reads the log, whatever
//! names and errors are in it: see [`text`].

pub mod text;

use anyhow::{Context, Result};
use console::{Style, Term};
use rustix::io::{Errno, fcntl_getfd};
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Columns where there is no terminal.
pub const WIDTH: usize = 100;

/// No table can be read in fewer columns.
const NARROWEST: usize = 60;

/// Whether stdout and stderr were closed when the process began.
static CLOSED: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

/// Before `main`: Rust's runtime then opens `/dev/null` in the place of a closed stream, and what
/// is written there seems to arrive.
#[ctor::ctor]
fn look_for_closed_streams() {
    let is_closed = |stream| fcntl_getfd(stream).is_err();
    CLOSED[0].store(is_closed(rustix::stdio::stdout()), Relaxed);
    CLOSED[1].store(is_closed(rustix::stdio::stderr()), Relaxed);
}

/// Writes a line to stderr. Where that cannot be written there is nobody to tell.
pub fn say(line: &str) {
    let _ = try_say(line);
}

/// Writes why the process ends to stderr, or to stdout where that cannot be written.
pub fn refuse(line: &str) {
    if try_say(line).is_err() {
        let _ = print(line);
    }
}

fn try_say(line: &str) -> io::Result<()> {
    write(&mut io::stderr().lock(), &CLOSED[1], (text::line(line) + "\n").as_bytes())
}

/// Writes `text` to stdout, with a newline at its end. A reader that has closed the pipe, as `head`
/// does once it has enough, is no error: the command ends as it would have.
pub fn print(text: &str) -> Result<()> {
    print_styled(text, |_, _| Style::new())
}

/// The same with a style for each line, by its number from 0: seen on a terminal that has colours.
pub fn print_styled(text: &str, style: impl Fn(usize, &str) -> Style) -> Result<()> {
    let is_coloured = takes_escapes(&Term::stdout());
    let styled = |(number, line)| {
        let line = text::printable(line);
        style(number, &line).force_styling(is_coloured).apply_to(line).to_string() + "\n"
    };
    print_bytes(text.lines().enumerate().map(styled).collect::<String>().as_bytes())
}

/// The same for lines of ours that are commands to the CI that runs this.
pub fn print_commands(text: &str) -> Result<()> {
    let lines = text.lines().map(|line| text::visible(line).into_owned() + "\n");
    print_bytes(lines.collect::<String>().as_bytes())
}

/// Writes what Criterion printed.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    match write(&mut io::stdout().lock(), &CLOSED[0], bytes) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output cannot be written")
        }
        _ => Ok(()),
    }
}

/// Hands on what somebody else printed to stdout.
pub fn flush() {
    let _ = io::stdout().flush();
}

fn write(out: &mut impl Write, is_closed: &AtomicBool, bytes: &[u8]) -> io::Result<()> {
    if is_closed.load(Relaxed) {
        return Err(Errno::BADF.into());
    }
    // Flushed here: at the end of the process its errors are lost.
    out.write_all(bytes).and_then(|()| out.flush())
}

/// How wide a table may be: as the terminal is, within bounds.
pub fn width() -> usize {
    let columns = Term::stdout().size_checked().map(|(_, columns)| columns.into());
    columns.map_or(WIDTH, |columns: usize| columns.clamp(NARROWEST, WIDTH))
}

/// Whether stdout is a terminal that takes colours.
pub fn has_colours() -> bool {
    takes_escapes(&Term::stdout())
}

/// Whether stderr is a terminal on which a bar can be drawn.
pub fn has_bars() -> bool {
    takes_escapes(&Term::stderr())
}

/// Neither colours nor bars, which are made of the same sequences, where `NO_COLOR` is set
/// (<https://no-color.org>) or the terminal is dumb.
fn takes_escapes(term: &Term) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let name = std::env::var_os("TERM");
    term.is_term() && !no_color && name.is_some_and(|name| name != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_cannot_be_written_is_an_error() {
        let open = AtomicBool::new(false);
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write(&mut full, &open, b"answer").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);

        let (reader, mut closed) = std::io::pipe().unwrap();
        drop(reader);
        let error = write(&mut closed, &open, b"answer").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);

        let mut text = Vec::new();
        write(&mut text, &open, b"a\n").and_then(|()| write(&mut text, &open, b"b\n")).unwrap();
        assert_eq!(text, b"a\nb\n");
        assert!(write(&mut text, &AtomicBool::new(true), b"c").is_err());
    }
}
