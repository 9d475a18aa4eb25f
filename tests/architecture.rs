//! House rules that a machine can hold: who may know whom, how files open, how long they get, what no file may say.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules that know nobody but each other.
const LEAVES: [&str; 8] = ["clock", "config", "error", "events", "ids", "limits", "media", "telemetry"];

/// What each module may `use crate::…`, besides the leaves and itself. The order is the order of the data.
const MAY_KNOW: [(&str, &[&str]); 16] = [
    ("storage", &[]),
    ("supervisor", &[]),
    ("capture", &["storage", "supervisor"]),
    ("frames", &["storage", "supervisor", "capture"]),
    ("incident", &["storage", "supervisor", "frames"]),
    ("registry", &["storage", "supervisor", "incident"]),
    ("access", &["registry"]),
    ("notify", &["supervisor"]),
    ("merge", &["storage", "supervisor"]),
    ("archive", &["storage", "supervisor", "frames"]),
    ("keep", &["storage", "supervisor"]),
    ("transcode", &["storage", "supervisor", "capture", "merge", "playback", "registry", "incident", "keep"]),
    ("device", &["storage", "supervisor", "capture", "frames", "incident", "merge", "archive", "keep"]),
    ("playback", &["storage"]),
    ("web", &STAGES),
    ("main", &["cli", "app"]),
];

/// All that handlers may read: what comes before them.
const STAGES: [&str; 13] = [
    "storage",
    "supervisor",
    "capture",
    "frames",
    "incident",
    "registry",
    "access",
    "merge",
    "archive",
    "keep",
    "transcode",
    "device",
    "playback",
];

/// The pure heart: bytes in, bytes out. Names and times are its data; a clock to read is not.
const MEDIA_MAY_KNOW: [&str; 4] = ["media", "error", "ids", "clock"];

const LINES_MAX: usize = 500;

/// What no source file may contain outside its tests, except the files named. Split so that this file passes itself.
fn banned() -> Vec<(String, &'static [&'static str], &'static str)> {
    let rule = |a: &str, b: &str, except, why| (format!("{a}{b}"), except, why);
    vec![
        rule("SystemTime::", "now", &["src/clock.rs"][..], "time comes from clock::Clock"),
        rule("Instant::", "now", &["src/clock.rs"][..], "time comes from clock::Clock"),
        rule(".do_", "send(", &[][..], "it ignores the mailbox capacity"),
        rule("actix::", "Supervisor", &[][..], "it does not restart after a panic"),
        rule("System", "Service", &[][..], "it stays dead after a panic"),
        rule("Sync", "Arbiter", &[][..], "it stays dead after a panic"),
        rule("panic = ", "\"abort\"", &[][..], "a panic restarts one actor"),
        rule("to", "do!(", &[][..], "finish it"),
        rule("unimpl", "emented!(", &[][..], "finish it"),
        rule("FIX", "ME", &[][..], "fix it"),
        rule("#[ig", "nore", &[][..], "a test runs or is deleted"),
    ]
}

#[test]
fn modules_know_only_what_comes_before_them() {
    let mut faults = Vec::new();
    for (path, text) in rust_files(&["src"]) {
        let module = module_of(&path);
        // Tests in files of their own may know anything, like those at the end of a file.
        if module == "lib" || path.contains("/tests/") || path.ends_with("/tests.rs") {
            continue;
        }
        let allowed = allowed(&module);
        if module == "media" && production(&text).contains("Clock") {
            faults.push(format!("{path}: media must not read a clock"));
        }
        for (number, used) in crate_uses(production(&text)) {
            if !allowed.contains(&used.as_str()) && used != module {
                faults.push(format!("{path}:{number}: {module} must not know {used}"));
            }
        }
    }
    assert_none(faults);
}

#[test]
fn every_file_says_what_it_owns() {
    let open = |text: &str| text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default().to_owned();
    let faults = rust_files(&["src", "tests", "benches", "fuzz"])
        .filter(|(_, text)| !open(text).starts_with("//! "))
        .map(|(path, _)| format!("{path} does not open with `//! what it owns`"));
    assert_none(faults.collect());
}

#[test]
fn files_stay_short() {
    let faults = rust_files(&["src", "tests", "benches"]).filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{path} has {lines} lines, the limit is {LINES_MAX}"))
    });
    assert_none(faults.collect());
}

#[test]
fn nothing_banned_is_said() {
    let mut faults = Vec::new();
    for (path, text) in rust_files(&["src", "tests", "benches"]) {
        for (word, except, why) in banned() {
            if !except.contains(&path.as_str()) && text.contains(&word) {
                faults.push(format!("{path} says {word}: {why}"));
            }
        }
    }
    assert_none(faults);
}

/// A clone must work anywhere: no path of the machine it was written on.
#[test]
fn no_paths_of_one_machine() {
    let words = [format!("/{}/", "work"), format!("/{}/", "root"), format!("/{}/", "home")];
    let mut faults = Vec::new();
    let kinds = ["rs", "toml", "sh", "py", "md", "ts", "service", "mount", "timer"];
    for path in files(&["src", "tests", "benches", "scripts", "conf", "docs", "systemd", "ui/src"], &kinds) {
        // `.ts` is TypeScript in ui/ and video in tests/fixtures.
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        faults.extend(words.iter().filter(|word| text.contains(*word)).map(|word| format!("{path:?} says {word}")));
    }
    assert_none(faults);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut faults = Vec::new();
    let mut documents = files(&["docs", "conf", "tests"], &["md"]);
    documents.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(PathBuf::from));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !link.is_empty() && !link.contains("://") && !folder.join(link).exists() {
                faults.push(format!("{}: {link} leads nowhere", document.display()));
            }
        }
    }
    assert_none(faults);
}

#[test]
fn uses_are_found_in_every_spelling() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(crate_uses(text).into_iter().map(|(_, name)| name).collect::<Vec<_>>(), expected, "{text}");
    };
    check("use crate::storage::layout;", &["storage"]);
    check("use crate::{clock::Clock, storage::{hot, cold}, web};", &["clock", "storage", "web"]);
    check("use crate::{\n    clock::Clock,\n    storage::{self, hot},\n};\n", &["clock", "storage"]);
    check("let x = crate::ids::Epoch(7);", &["ids"]);
    check("pub(crate) fn f() {}", &[]);
    check("//! [`crate::app`] wires everything", &[]);
}

fn allowed(module: &str) -> Vec<&'static str> {
    if module == "media" {
        return MEDIA_MAY_KNOW.to_vec();
    }
    // Those that wire and command know all stages, and each other.
    let beyond: &[&str] = match module {
        "cli" => &["web", "app"],
        "app" | "testing" => &["notify", "web", "cli"],
        _ => &[],
    };
    if !beyond.is_empty() {
        return LEAVES.iter().chain(&STAGES).chain(beyond).copied().collect();
    }
    let more = MAY_KNOW.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, more)| more);
    LEAVES.iter().chain(more).copied().collect()
}

/// The top module a file belongs to: `src/merge/chunk.rs` → `merge`, `src/app.rs` → `app`.
fn module_of(path: &str) -> String {
    let inside = path.strip_prefix("src/").unwrap();
    inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned()
}

/// The part of a file before its tests, which may know anything.
fn production(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests").map_or(text, |at| &text[..at])
}

/// `(line, first segment)` of every path that starts at the crate root, comments apart.
fn crate_uses(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    for (at, _) in code.match_indices("crate::") {
        let number = code[..at].lines().count().max(1);
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group).into_iter().map(|name| (number, name))),
            None => found.push((number, word(rest))),
        }
    }
    found
}

/// The first segments inside `{a::b, c::{d, e}, f}`, given what follows the brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(word(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
        if character == '}' && depth == 0 && start > at {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn rust_files(folders: &[&str]) -> impl Iterator<Item = (String, String)> {
    files(folders, &["rs"]).into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.display().to_string(), text)
    })
}

/// Files of these kinds below these folders, relative to the crate (where cargo runs tests).
fn files(folders: &[&str], kinds: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        collect(Path::new(folder), kinds, &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, kinds: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !["node_modules", "dist", "target", "corpus", "artifacts"].contains(&name.to_str().unwrap_or_default()) {
                collect(&path, kinds, found);
            }
        } else if path.extension().is_some_and(|kind| kinds.iter().any(|wanted| kind == *wanted)) {
            found.push(path);
        }
    }
}

fn assert_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
