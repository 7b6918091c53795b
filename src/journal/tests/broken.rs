//! Files that no run left: each says where it is broken and why.

use super::*;

#[test]
fn a_broken_file_says_where_and_why() {
    let header_line = header_line();
    assert!(error_of("").contains("empty"));
    assert!(error_of("hello\n").contains(":1: not a line"));
    assert!(error_of(&as_text(&lines())).contains(":1: the first line is no header"));
    let broken = error_of(&format!("{header_line}{{\"line\":\n{}", as_text(&lines())));
    assert!(broken.contains("journal.jsonl:2: not a line"), "{broken}");
    assert!(broken.contains("; the others can be used without it: `sed -i.bak 2d /"), "{broken}");
    let twice = error_of(&format!("{header_line}{header_line}"));
    assert!(twice.contains(":2: a second header"), "{twice}");
    let other = error_of(&header_line.replace("\"2.0\"", "\"3.0\""));
    assert!(other.contains("schema version 3.0") && other.contains("that wrote it"), "{other}");
    let repeated = error_of(&format!("{header_line}{0}{0}", as_text(&lines()[..1])));
    assert!(repeated.contains(":3: a second trial of G3/fp16/K1 in trial 0"), "{repeated}");
    let stranger = as_text(&[trial_line("G3/fp16/K9", 0, &[1.0])]);
    let stranger = error_of(&format!("{header_line}{stranger}"));
    assert!(stranger.contains(":2: the header has no case G3/fp16/K9"), "{stranger}");
}

#[test]
fn junk_anywhere_is_named_and_its_line_can_be_taken_out() {
    let sound = header_line() + &as_text(&lines());
    for junk in
        [&b"\xff\xfe\0\0\x7fELF"[..], b"{}", b"\r", b"", &[b'['; 10_000], b"{\"line\":\"trial\"}"]
    {
        for at in 1..=5 {
            let mut whole: Vec<&[u8]> =
                sound.trim_end().as_bytes().split(|&b| b == b'\n').collect();
            whole.insert(at, junk);
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE_NAME);
            fs::write(&path, [&whole.join(&b"\n"[..])[..], b"\n"].concat()).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            let number = at + 1;
            assert!(error.contains(&format!("{FILE_NAME}:{number}: not a line")), "{error}");
            let (_, command) = error.split_once("without it: `").unwrap();
            let command = command.trim_end_matches('`');
            let shell = std::process::Command::new("sh").args(["-c", command]).status();
            assert!(shell.unwrap().success());
            assert_eq!(fs::read_to_string(&path).unwrap(), sound);
            assert_eq!(read(&path).unwrap().trials.len(), 2);
        }
    }
}

#[test]
fn of_a_newer_minor_version_what_is_unknown_is_no_junk() {
    let newer = header_line().replace("\"2.0\"", "\"2.9\"");
    let error = error_of(&format!("{newer}{{\"line\":\"pause\"}}\n"));
    assert!(error.contains("schema version 2.9") && error.contains("use that one"), "{error}");
    assert!(!error.contains("sed"), "{error}");
}

#[test]
fn headers_that_no_spec_could_have_made_are_refused() {
    let refused = |change: &dyn Fn(&mut Header), says: &str| {
        let mut header = header();
        change(&mut header);
        let error = error_of(&as_text(&[Line::Header(Box::new(header))]));
        assert!(error.contains(":1: ") && error.contains(says), "{error}");
    };
    refused(&|h| h.protocol.trials = usize::MAX, "trials: allowed are 1 to 1000");
    refused(&|h| h.protocol.trials = 0, "trials");
    refused(&|h| h.cases[1].id = h.cases[0].id.clone(), "two cases have the id");
    refused(&|h| h.cases[0].id = "../../etc/passwd".to_owned(), "an id is group/series/point");
    refused(&|h| h.cases[0].id = "G3/../K1".to_owned(), "an id is group/series/point");
    refused(&|h| h.cases[0].id = "G3".to_owned(), "an id is group/series/point");
    let huge = GemmShape { m: usize::MAX, n: 2, k: 2 };
    refused(&|h| h.cases[0].operation = Operation::Gemm(Gemm::dense(huge)), "a tensor of");
    refused(&|h| h.cases[0].operation = Operation::GemmSequence(vec![]), "no GEMMs");
    let dense = Gemm::dense(GemmShape { m: 64, n: 64, k: 64 });
    for batch in [0, 1 << 30] {
        let gemm = Operation::Gemm(Gemm { batch, ..dense });
        refused(&|h| h.cases[0].operation = gemm.clone(), "a tensor of");
    }
    let padded = Gemm { shape: GemmShape { k: 72, ..dense.shape }, ..dense };
    let batch = Operation::GemmOnTheFly(Gemm { batch: 2, ..padded });
    refused(&|h| h.cases[0].operation = batch.clone(), "a batch of GEMMs has no padding");
}
