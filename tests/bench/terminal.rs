//! Terminals, and streams that cannot be written.

use crate::sandbox::{SPEC, Sandbox, assert_contains, bench, finish};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// What prints, by program: that of the G3 bench, or `night-sweep`.
fn commands(run: &str) -> Vec<(&'static Path, Vec<String>)> {
    let night_sweep = Path::new(env!("CARGO_BIN_EXE_night-sweep"));
    let run_twice = format!("{run} {run}");
    let own = [
        "--help",
        "--version",
        "gate --help",
        "list",
        "list --runs",
        "validate spec.yaml",
        "env --device cpu",
        &format!("summary {run}"),
        &format!("report {run}"),
        "report --index",
        &format!("advise {run} --dims 9"),
        // Where a busy machine is noisier than the threshold, there is no answer.
        &format!("compare {run_twice} --threshold 100%"),
        &format!("compare {run_twice} --threshold 100% --format github"),
    ]
    .map(|line| (night_sweep, line.to_owned()));
    let of_bench =
        ["--help", "--version", "--list", "--test", "--profile-time 1 K8$", "--load-baseline x"];
    let of_bench = of_bench.map(|line| {
        let more = if line.starts_with("--load") { " --baseline x" } else { "" };
        (bench("g3_gemm_k_dense"), format!("--bench {line}{more}"))
    });
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect();
    own.into_iter().chain(of_bench).map(|(program, line)| (program, words(line))).collect()
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// The command with a stream closed, as a shell does it.
fn without(sandbox: &Sandbox, stream: u32, (program, words): &(&Path, Vec<String>)) -> Command {
    let mut command = sandbox.command(Path::new("sh"));
    command.arg("-c").arg(format!("exec \"$0\" \"$@\" {stream}>&-")).arg(program).args(words);
    command
}

#[test]
fn output_that_cannot_be_written_is_an_error_in_one_line() {
    let sandbox = Sandbox::new();
    let run = sandbox.g3(&["--save-baseline", "x"]).succeeded().folder();
    for line in commands(run.to_str().unwrap()) {
        let start = || {
            let mut command = sandbox.command(line.0);
            command.args(&line.1);
            command
        };
        let no_panic = |stderr: Vec<u8>| {
            let stderr = String::from_utf8(stderr).unwrap();
            assert!(!stderr.contains("panicked"), "{line:?}: {stderr}");
            stderr
        };
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let ended = start().stdout(closed).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{line:?}: {ended:?}");
        let before = no_panic(ended.stderr);

        let on_full = start().stdout(full()).output().unwrap();
        let on_closed = without(&sandbox, 1, &line).output().unwrap();
        for ended in [on_full, on_closed] {
            assert_eq!(ended.status.code(), Some(2), "{line:?}: {ended:?}");
            let stderr = no_panic(ended.stderr);
            let own = stderr.strip_prefix(&*before).unwrap_or(&stderr);
            assert_eq!(own.lines().count(), 1, "{line:?}: {stderr}");
            assert_contains(own, &["night-sweep: ", "standard output cannot be written"]);
        }

        // Nothing went wrong but the notes beside the answer.
        let on_full = start().stderr(full()).output().unwrap();
        let on_closed = without(&sandbox, 2, &line).output().unwrap();
        for ended in [on_full, on_closed] {
            assert_eq!(ended.status.code(), Some(0), "{line:?}: {ended:?}");
            assert!(!ended.stdout.is_empty(), "{line:?}");
        }
    }
}

#[test]
fn why_a_command_is_refused_is_said_on_the_stream_that_is_left() {
    let sandbox = Sandbox::new();
    let night_sweep = Path::new(env!("CARGO_BIN_EXE_night-sweep"));
    for (program, line, says) in [
        (night_sweep, "list --spec nosuch.yaml", "nosuch.yaml: cannot be read"),
        (night_sweep, "nonsense", "unrecognized subcommand"),
        (bench("g3_gemm_k_dense"), "--bench K107", "no case"),
        (bench("g3_gemm_k_dense"), "--nonsense", "--nonsense"),
    ] {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let on_full = sandbox.command(program).args(&words).stderr(full()).output().unwrap();
        let on_closed = without(&sandbox, 2, &(program, words)).output().unwrap();
        for ended in [on_full, on_closed] {
            assert_eq!(ended.status.code(), Some(2), "{line}");
            assert_contains(&String::from_utf8(ended.stdout).unwrap(), &[says]);
        }
    }
    sandbox.assert_untouched();
}

#[test]
fn a_bench_whose_streams_are_closed_measures_to_its_end() {
    let sandbox = Sandbox::new();
    for (stream, code) in [(1, 2), (2, 0)] {
        let words = vec!["--bench".to_owned()];
        let mut command = without(&sandbox, stream, &(bench("g3_gemm_k_dense"), words));
        let run_id = format!("without-{stream}");
        let ended = command.env("NIGHT_SWEEP_RUN_ID", &run_id).output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        crate::run::assert_complete(&sandbox, &sandbox.results().join("G3").join(run_id));
    }
}

/// What a command prints on a terminal of so many columns, and whether it ended with 0.
fn on_terminal(mut command: Command, columns: u16) -> (String, bool) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&controller, size).unwrap();
    let path = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let streams = [terminal.try_clone().unwrap(), terminal].map(Stdio::from);
    let [stdout, stderr] = streams;
    let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap();
    // It holds the terminal too, which would never come to its end.
    drop(command);
    let mut bytes = Vec::new();
    // The end of a terminal is an error of its reader.
    let _ = File::from(controller).read_to_end(&mut bytes);
    (String::from_utf8(bytes).unwrap().replace('\r', ""), child.wait().unwrap().success())
}

#[test]
fn no_color_and_a_dumb_terminal_get_no_escape_sequence() {
    let sandbox = Sandbox::new();
    let run = sandbox.g3(&["--save-baseline", "x"]).succeeded().folder();
    let mut lines = commands(run.to_str().unwrap());
    lines.push((bench("g3_gemm_k_dense"), vec!["--bench".into(), "--baseline=x".into()]));
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        for (program, words) in &lines {
            let mut command = sandbox.command(program);
            command.args(words).env("TERM", "xterm").env("CLICOLOR_FORCE", "1").env(name, value);
            let (text, has_succeeded) = on_terminal(command, 80);
            assert!(has_succeeded && !text.is_empty(), "{words:?}: {text}");
            assert!(!text.contains('\u{1b}'), "{name} {words:?}: {text:?}");
        }
    }
    let mut command = sandbox.g3_command(&["--baseline=x"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    let (text, _) = on_terminal(command, 80);
    let bold = text.lines().any(|line| line.contains("\u{1b}[1m") && line.contains("G3_gemm"));
    assert!(bold, "{text:?}");
}

#[test]
fn a_table_is_as_wide_as_the_terminal_and_breaks_no_word() {
    const BACKENDS: [&str; 8] = [
        "AUTO",
        "FLASH",
        "MEM_EFFICIENT",
        "MATH",
        "NS_FLASH",
        "NS_FLASH_UNPADDED",
        "NS_MEM_EFFICIENT",
        "NS_MATH_FP16",
    ];
    let sandbox = Sandbox::new();
    sandbox.write_spec(&format!(
        "{SPEC}  S2_all:
    type: sdpa_backend_forced
    shape: {{batch: 1, seq_len: 16, n_heads: 1}}
    head_dims: [64, 65, 66, 67, 68, 72, 80]
    backends: [{}]
    warmup: 1
    measure: 2
    trials: 2\n",
        BACKENDS.join(", ")
    ));
    let s2 = sandbox.night_sweep(&["run", "S2_all"]).succeeded().folder();
    let g3 = sandbox.g3(&[]).succeeded().folder();
    let [s2, g3] = [&s2, &g3].map(|folder| folder.to_str().unwrap());
    let advise = ["advise", g3, "--dims", "9,10,11,12", "--budget", "48"];
    for (columns, widest) in [(40, 60), (60, 60), (80, 80), (200, 100)] {
        for words in [&["summary", s2][..], &["summary", g3], &advise, &["compare", g3, g3]] {
            let mut command = sandbox.night_sweep_command(words);
            command.env("NO_COLOR", "1").env("TERM", "xterm");
            let (text, _) = on_terminal(command, columns);
            // The name of a folder is a word of its own length.
            let too_wide = text.lines().find(|line| {
                line.chars().count() > widest && !line.contains(sandbox.dir().to_str().unwrap())
            });
            assert_eq!(too_wide, None, "{columns} {words:?}:\n{text}");
            if words[1] == s2 {
                let is_there = |word: &str| text.split_whitespace().any(|found| found == word);
                assert!(BACKENDS.iter().all(|backend| is_there(backend)), "{text}");
                assert!(is_there("unsupported"), "{text}");
            }
        }
    }
    let piped = sandbox.night_sweep(&["summary", s2]).succeeded();
    let widest = piped.stdout.lines().map(|line| line.chars().count()).max();
    assert!((81..=100).contains(&widest.unwrap()), "{}", piped.stdout);
}

#[test]
fn a_bench_says_where_its_report_is_from_wherever_one_stands() {
    let sandbox = Sandbox::new();
    for (name, value) in [("NIGHT_SWEEP_RESULTS_ROOT", "here"), ("CRITERION_HOME", "criterion")] {
        let mut command = sandbox.g3_command(&["K8$"]);
        let report = if name == "CRITERION_HOME" { "no" } else { "yes" };
        command.env(name, value).env("NIGHT_SWEEP_REPORT", report);
        let ran = finish(command).succeeded();
        assert!(ran.folder().is_absolute() && ran.folder().exists(), "{}", ran.stdout);
    }
}
