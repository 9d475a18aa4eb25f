//! The description of the API against the daemon itself: whatever a stranger's tool makes of it, nothing breaks.
//!
//! Schemathesis makes requests of each operation, good and bad ones, and holds every reply against the description. It
//! may change and delete what it likes; the camera must record on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use common::{Setup, TestDaemon, Turn, daemon::finished, holds_within, rounds, skip, until};

/// Where scripts/setup.sh installs it.
const TOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/schemathesis/bin/schemathesis");
const CAMERA: &str = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\", tone = 440 }";
/// Streams without an end, and what would leave the tool without its token.
const LEFT_OUT: &str = "^/api/(events|auth/logout|auth/password)$";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,use_after_free";

#[test]
fn whatever_is_made_of_the_description_breaks_nothing() {
    if !Path::new(TOOL).exists() {
        return skip("e2e_fuzz", "schemathesis is not there; scripts/setup.sh test installs it");
    }
    let _turn = Turn::wait();
    let daemon = TestDaemon::start(Setup::new().set("auth.enabled", true).camera("cam", CAMERA));
    let (code, token) = finished(
        daemon.setup.command(&["user", "token", "admin", "--scope", "admin", "--name", "fuzz", "--days", "1"]),
    );
    assert_eq!(code, 0, "{token}");
    until("something is recorded", 30, || daemon.committed_seconds("cam") > 4.0);

    let mut command = Command::new(TOOL);
    let seed = std::env::var("CAPSTAN_SEED").unwrap_or_else(|_| "1".to_owned());
    command
        .args(["run", &format!("http://{}/api/openapi.json", daemon.address())])
        .args(["--header", &format!("Authorization: Bearer {}", token.trim())])
        .args(["--exclude-path-regex", LEFT_OUT, "--checks", CHECKS, "--phases", "coverage,fuzzing"])
        .args(["--max-examples", &rounds(2).to_string(), "--seed", &seed])
        .args(["--continue-on-failure", "--request-timeout", "10", "--warnings", "off", "--no-color"])
        .current_dir(daemon.setup.folder())
        .stdin(Stdio::null());
    // A file: it says more than a pipe holds.
    let report = daemon.setup.folder().join("report");
    let file = fs::File::create(&report).unwrap();
    let mut tool = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    let ended = holds_within(Duration::from_secs(300 * rounds(1)), || tool.try_wait().unwrap().is_some());
    if !ended {
        tool.kill().unwrap();
    }
    let status = tool.wait().unwrap();
    let said = fs::read_to_string(report).unwrap();
    println!(
        "{}",
        said.lines().filter(|line| line.contains("generated") || line.contains("Tested")).collect::<String>()
    );
    assert!(ended && status.success(), "seed {seed}, {status}: {said}");

    let before = daemon.committed_seconds("cam");
    until("the camera records on", 30, || daemon.committed_seconds("cam") > before + 2.0);
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
    let log = daemon.log();
    assert!(!log.contains("panic"), "{log}");
}
