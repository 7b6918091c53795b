//! Every file that is read: regular ones only, and none larger than its reader allows.
//!
//! A path may lead to anything: a pipe that nobody writes to, a device without an end, a folder.
//! None of them is waited for, or read.

use flate2::read::MultiGzDecoder;
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// A spec, and other files that people write.
pub const SMALL_BYTES: u64 = 1_000_000;

/// Files that programs write of one case or one machine.
pub const LARGE_BYTES: u64 = 100_000_000;

/// Journals and raw.json: 100,000 cases of three trials take half of it.
pub const RUN_BYTES: u64 = 1_000_000_000;

/// What is in a file of at most so many bytes.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > max_bytes {
        return Err(too_large("it is", max_bytes));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // A byte more than is allowed tells that there are too many: files below /proc have no length.
    match file.take(max_bytes + 1).read_to_end(&mut bytes)? as u64 > max_bytes {
        true => Err(too_large("it is", max_bytes)),
        false => Ok(bytes),
    }
}

/// The same; of a file whose name ends in `.gz`, what was compressed. The limit holds for both: a
/// small file may unpack to any size.
pub fn read_unzipped(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let bytes = read(path, max_bytes)?;
    if path.extension().is_none_or(|ending| ending != "gz") {
        return Ok(bytes);
    }
    let mut unzipped = Vec::new();
    // A gzip file may have several members, one after the other.
    let decoder = MultiGzDecoder::new(&*bytes);
    match decoder.take(max_bytes + 1).read_to_end(&mut unzipped) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(Error::new(error.kind(), "the compressed file is cut off"))
        }
        Err(error) => Err(Error::new(error.kind(), format!("it is no gzip file ({error})"))),
        Ok(length) if length as u64 > max_bytes => Err(too_large("unpacked it is", max_bytes)),
        Ok(_) => Ok(unzipped),
    }
}

fn too_large(it_is: &str, max_bytes: u64) -> Error {
    let limit = match max_bytes {
        SMALL_BYTES.. => format!("{} MB", max_bytes / 1_000_000),
        _ => format!("{max_bytes} bytes"),
    };
    Error::new(ErrorKind::FileTooLarge, format!("{it_is} larger than {limit}"))
}

/// The same as text.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String> {
    String::from_utf8(read(path, max_bytes)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Opens a regular file to read it, at once; anything else is an error.
pub fn open(path: &Path) -> Result<File> {
    open_with(path, OFlags::RDONLY)
}

/// Opens a folder, to lock it or to make its names last.
pub fn open_dir(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// As [`open`], to add to it.
pub fn open_to_append(path: &Path) -> Result<File> {
    open_with(path, OFlags::WRONLY | OFlags::APPEND)
}

fn open_with(path: &Path, flags: OFlags) -> Result<File> {
    // Looked at first: to open a device may do something already.
    regular(rustix::fs::stat(path)?.st_mode)?;
    // Of a pipe that has taken its place since, this does not wait for the other end.
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    regular(rustix::fs::fstat(&file)?.st_mode)?;
    Ok(file.into())
}

fn regular(mode: u32) -> Result<()> {
    let what = match FileType::from_raw_mode(mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => return Err(Error::new(ErrorKind::IsADirectory, "it is a folder")),
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        _ => "a device",
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("it is {what}, not a file")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rustix::fs::{CWD, mknodat};
    use std::io::Write;

    #[test]
    fn only_regular_files_are_read_and_no_larger_ones() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::fs::write(at("file"), "0123456789").unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("link")).unwrap();
        // A hole of a terabyte.
        File::create(at("hole")).unwrap().set_len(1 << 40).unwrap();
        let error = |path: &Path| read(path, 10).unwrap_err().to_string();
        for (path, says) in [
            (at("pipe"), "it is a pipe, not a file"),
            (at("socket"), "it is a socket, not a file"),
            (at("link"), "it is a device, not a file"),
            (at("hole"), "it is larger than 10 bytes"),
            (dir.path().to_owned(), "it is a folder"),
            ("/dev/zero".into(), "it is a device, not a file"),
            ("/proc/self/status".into(), "it is larger than 10 bytes"),
        ] {
            assert_eq!(error(&path), says, "{}", path.display());
        }
        assert!(open_to_append(&at("pipe")).is_err() && open_to_append(&at("file")).is_ok());
        assert_eq!(read(&at("file"), 10).unwrap(), b"0123456789");
        assert_eq!(read(&at("file"), 9).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read(&at("none"), 9).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(at("file"), b"\xff").unwrap();
        assert_eq!(read_text(&at("file"), 9).unwrap_err().to_string(), "it is not UTF-8 text");
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_compressed_file_is_unpacked_whole_and_within_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw.json.gz");
        let unzipped = |bytes: &[u8], max_bytes: u64| {
            std::fs::write(&path, bytes).unwrap();
            read_unzipped(&path, max_bytes).map_err(|error| error.to_string())
        };
        let text = gzip(b"0123456789");
        assert_eq!(unzipped(&text, 100).unwrap(), b"0123456789");
        assert_eq!(unzipped(&[&*text, &*text].concat(), 100).unwrap(), b"01234567890123456789");
        for cut in 0..text.len() {
            assert_eq!(unzipped(&text[..cut], 100).unwrap_err(), "the compressed file is cut off");
        }
        let mut wrong = text.clone();
        let check_sum = wrong.len() - 8;
        wrong[check_sum] ^= 1;
        let rubbish = [&*text, b"rubbish, and more of it"].concat();
        for broken in [b"{\"schema_version\": \"2.0\"}".as_slice(), &wrong, &rubbish] {
            let error = unzipped(broken, 100).unwrap_err();
            assert!(error.starts_with("it is no gzip file ("), "{error}");
        }
        // Ten megabytes of nothing in ten kilobytes.
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000, "{}", bomb.len());
        let error = "unpacked it is larger than 1 MB";
        assert_eq!(unzipped(&bomb, SMALL_BYTES).unwrap_err(), error);
        assert_eq!(unzipped(&bomb, 100).unwrap_err(), "it is larger than 100 bytes");
        assert_eq!(unzipped(&bomb, 10_000_000).unwrap().len(), 10_000_000);

        let plain = dir.path().join("raw.json");
        std::fs::write(&plain, &text).unwrap();
        assert_eq!(read_unzipped(&plain, 100).unwrap(), text, "by its name it is none");
    }
}
