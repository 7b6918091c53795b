//! Libraries that print while a case is measured, as cuBLASLt does with CUBLASLT_LOG_LEVEL=5.

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

fn build(sandbox: &Sandbox) -> PathBuf {
    let (source, library) = (sandbox.dir().join("loud.c"), sandbox.dir().join("libloud.so"));
    fs::write(&source, LOUD).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-pthread", "-o"]).arg(&library).arg(&source);
    assert!(cc.status().unwrap().success());
    library
}

#[test]
fn a_library_that_prints_all_the_time_costs_a_run_nothing() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.g3_command(&[]);
    command.env("NIGHT_SWEEP_RUN_ID", "loud").env("LD_PRELOAD", build(&sandbox));
    let ran = finish(command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr.lines().last().unwrap());
    assert!(ran.stdout.matches("loud:").count() * 4096 > 65_536, "it is quiet");
    assert!(ran.stdout.contains("time:"), "Criterion's results are there all the same");
    assert_complete(&sandbox, &sandbox.results().join("G3").join("loud"));
}
