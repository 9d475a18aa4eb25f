//! A real Chromium on the daemon's page: finds what it needs, starts `tests/browser/driver.mjs`, asks it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

/// Names of the browser in Debian, Ubuntu and from its maker.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub struct Browser {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Browser {
    /// Err: what is missing here, for a loud skip.
    pub fn missing() -> Result<PathBuf, String> {
        let remedy = "scripts/setup.sh test installs it";
        let browser = BROWSERS.iter().find_map(|name| on_path(name)).ok_or(format!("no chromium; {remedy}"))?;
        on_path("node").ok_or(format!("no node; {remedy}"))?;
        if !folder().join("node_modules/playwright-core").is_dir() {
            return Err(format!("tests/browser has no playwright-core; {remedy}"));
        }
        Ok(browser)
    }

    /// `base`: `http://host:port/`.
    pub fn start(browser: &Path, base: &str) -> Self {
        Self::driven_by("driver.mjs", browser, base)
    }

    /// By another driver of the same folder, which speaks alike.
    pub fn driven_by(driver: &str, browser: &Path, base: &str) -> Self {
        let mut command = Command::new("node");
        command.arg(folder().join(driver)).arg(browser).arg(base);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Runs one of the driver's actions to its end, which has limits of its own on time.
    #[track_caller]
    pub fn ask(&mut self, action: &str, mut options: Value) -> Value {
        options["action"] = json!(action);
        let mut input = self.input.as_ref().unwrap();
        input.write_all(format!("{options}\n").as_bytes()).expect("the driver listens");
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let reply: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        match reply.get("ok") {
            Some(value) => value.clone(),
            None => panic!("{options}: {reply}"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its input ends the driver, which closes the browser; killing node would leave that behind.
        self.input.take();
        let _ = self.child.wait();
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
