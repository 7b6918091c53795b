//! Libraries that print while a case is measured, as cuBLASLt does with CUBLASLT_LOG_LEVEL=5; and
//! clocks that are wrong.

use crate::run::assert_complete;
use crate::sandbox::{Sandbox, finish};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Preloaded, it writes to both streams for as long as the process lives: far more than a pipe
/// holds.
const LOUD: &str = r#"
#include <pthread.h>
#include <string.h>
#include <unistd.h>
static void *talk(void *unused) {
    char line[4096];
    memset(line, 'x', sizeof line);
    memcpy(line, "loud:", 5);
    line[sizeof line - 1] = '\n';
    for (;;) {
        if (write(1, line, sizeof line) < 0 || write(2, line, sizeof line) < 0) return unused;
        usleep(500);
    }
}
__attribute__((constructor)) static void start(void) {
    pthread_t thread;
    pthread_create(&thread, 0, talk, 0);
}
"#;

fn build(sandbox: &Sandbox, text: &str) -> PathBuf {
    let (source, library) = (sandbox.dir().join("loud.c"), sandbox.dir().join("libloud.so"));
    fs::write(&source, text).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-pthread", "-o"]).arg(&library).arg(&source);
    assert!(cc.status().unwrap().success());
    library
}

#[test]
fn a_library_that_prints_all_the_time_costs_a_run_nothing() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.g3_command(&[]);
    command.env("NIGHT_SWEEP_RUN_ID", "loud").env("LD_PRELOAD", build(&sandbox, LOUD));
    let ran = finish(command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr.lines().last().unwrap());
    assert!(ran.stdout.matches("loud:").count() * 4096 > 65_536, "it is quiet");
    assert!(ran.stdout.contains("time:"), "Criterion's results are there all the same");
    assert_complete(&sandbox, &sandbox.results().join("G3").join("loud"));
}

/// Preloaded, it sets the clock that tells the date.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *time) {
    static int reads;
    long result = syscall(SYS_clock_gettime, id, time);
    if (id == CLOCK_REALTIME) {
        long jump = atoll(getenv("CLOCK_JUMP")) * (reads++ % 2);
        time->tv_sec = atoll(getenv("CLOCK_SECONDS")) + jump;
    }
    return result;
}
"#;

#[test]
fn a_clock_that_is_off_is_a_line_and_one_that_jumps_costs_nothing() {
    let sandbox = Sandbox::new();
    let library = build(&sandbox, CLOCK);
    let run = |seconds: &str, jump: &str| {
        let mut command = sandbox.g3_command(&[]);
        command.env("LD_PRELOAD", &library).env("CLOCK_SECONDS", seconds).env("CLOCK_JUMP", jump);
        finish(command)
    };
    for (seconds, year) in [("-1000", "1969-12-31"), ("253402300799", "9999-12-30")] {
        run(seconds, "0").refused_for(&["the system's clock says ", year]);
        sandbox.assert_untouched();
    }
    // Three years forth and back.
    for jump in ["100000000", "-100000000"] {
        let ran = run("1700000000", jump).succeeded();
        assert_complete(&sandbox, &ran.folder());
    }
}
