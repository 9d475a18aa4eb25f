//! Reads settings from the file and the environment and reports every problem with the path of its key.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Camera, FileSource, HttpSource, ReplaySource, RtspSource, ScreenSource, Settings, Source, TestSource, V4l2Source,
    redact,
};

/// One thing wrong with the settings: where, what was there, which rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Dotted path of the key: `camera[1].source.url`.
    pub path: String,
    /// Value found (JSON), when one was.
    pub value: Option<String>,
    pub rule: String,
}

impl Problem {
    pub fn new(path: impl Into<String>, value: Option<&dyn fmt::Debug>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), value: value.map(|value| format!("{value:?}")), rule: rule.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}: {}", self.path, self.rule),
            None => write!(f, "{}: {}", self.path, self.rule),
        }
    }
}

impl std::error::Error for Problem {}

/// Settings from `file` (none: defaults), overridden by `CAPSTAN__SECTION__KEY`, validated.
pub fn load(file: Option<&Path>) -> Result<Settings, Vec<Problem>> {
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            vec![Problem::new(file.display().to_string(), None, format!("cannot be read: {error}"))]
        })?;
        builder = builder.add_source(config::File::from_str(&text, config::FileFormat::Toml));
    }
    let environment =
        config::Environment::with_prefix("CAPSTAN").prefix_separator("__").separator("__").try_parsing(true);
    let origin = file.map_or("settings".into(), |file| file.display().to_string());
    // Without a current directory there is nothing to count from: relative paths stay and validation names them.
    let folder = file.and_then(|file| std::path::absolute(file).ok()?.parent().map(Path::to_owned));
    read(builder.add_source(environment), &origin, folder.as_deref())
}

/// Settings from a TOML text alone.
pub fn parse(text: &str) -> Result<Settings, Vec<Problem>> {
    read(config::Config::builder().add_source(config::File::from_str(text, config::FileFormat::Toml)), "settings", None)
}

fn read(
    builder: config::ConfigBuilder<config::builder::DefaultState>,
    origin: &str,
    folder: Option<&Path>,
) -> Result<Settings, Vec<Problem>> {
    let whole = |error: config::ConfigError| vec![Problem::new(origin, None, error.to_string())];
    let mut tree: Value = builder.build().map_err(whole)?.try_deserialize().map_err(whole)?;
    flatten_sources(&mut tree);
    if let Some(folder) = folder {
        anchor_paths(&mut tree, folder);
    }
    let settings: Settings = serde_path_to_error::deserialize(&tree).map_err(|error| {
        let path = error.path().to_string();
        let found = lookup(&tree, &path).map(|value| without_passwords(value).to_string());
        let rule = error.inner().to_string();
        vec![Problem { path: if path == "." { origin.to_owned() } else { path }, value: found, rule }]
    })?;
    let problems = settings.validate();
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

/// One camera by itself. The path of a problem counts from it.
pub(super) fn camera_from(value: &Value) -> Result<Camera, Problem> {
    let mut tree = value.clone();
    flatten_source(&mut tree);
    serde_path_to_error::deserialize(&tree).map_err(|error| {
        let (mut path, mut rule) = (error.path().to_string(), error.inner().to_string());
        if path == "source"
            && let Some((below, why)) = tree.get("source").and_then(source_fault)
        {
            (path, rule) = (format!("source.{below}"), why);
        }
        let found = lookup(&tree, &path).map(|value| without_passwords(value).to_string());
        // What the parser quotes may be an address in the wrong place.
        let rule = rule.split(' ').map(redact).collect::<Vec<_>>().join(" ");
        Problem { path: if path == "." { String::new() } else { path }, value: found, rule }
    })
}

/// Which field of a source is at fault: told by its kind, the parser keeps no place.
fn source_fault(source: &Value) -> Option<(String, String)> {
    fn read<T: DeserializeOwned>(fields: &Value) -> Option<(String, String)> {
        let error = serde_path_to_error::deserialize::<_, T>(fields).err()?;
        Some((error.path().to_string(), error.inner().to_string())).filter(|(path, _)| path != ".")
    }
    let mut fields = source.clone();
    let kind = fields.as_object_mut()?.remove("kind")?;
    match kind.as_str()? {
        "test" => read::<TestSource>(&fields),
        "file" => read::<FileSource>(&fields),
        "rtsp" => read::<RtspSource>(&fields),
        "http" => read::<HttpSource>(&fields),
        "v4l2" => read::<V4l2Source>(&fields),
        "screen" => read::<ScreenSource>(&fields),
        "replay" => read::<ReplaySource>(&fields),
        _ => None,
    }
}

/// `source = { rtsp = { url } }` becomes `source = { kind = "rtsp", url }`, so that one shape is parsed.
fn flatten_sources(tree: &mut Value) {
    tree.get_mut("camera").and_then(Value::as_array_mut).into_iter().flatten().for_each(flatten_source);
}

fn flatten_source(camera: &mut Value) {
    let Some(source) = camera.get_mut("source").and_then(Value::as_object_mut) else { return };
    if source.len() != 1 {
        return;
    }
    let nested = Source::KINDS.iter().find(|kind| source.get(**kind).is_some_and(Value::is_object));
    if let Some(kind) = nested
        && let Some(Value::Object(mut fields)) = source.remove(*kind)
    {
        fields.insert("kind".into(), Value::from(*kind));
        *source = fields;
    }
}

/// Relative paths count from the settings file, wherever the daemon was started. FFmpeg's are left alone: a bare name is
/// looked up in `PATH`.
fn anchor_paths(tree: &mut Value, folder: &Path) {
    let anchor = |value: &mut Value| {
        // An empty path is no place beside the file: it stays empty and is refused.
        let relative = value.as_str().filter(|text| !text.is_empty()).map(Path::new).filter(|path| path.is_relative());
        if let Some(path) = relative {
            *value = Value::from(lexical(&folder.join(path)).display().to_string());
        }
    };
    let server = tree.get_mut("server").and_then(Value::as_object_mut);
    for (key, value) in server.into_iter().flatten() {
        if matches!(key.as_str(), "tls_cert" | "tls_key") {
            anchor(value);
        }
    }
    let storage = tree.get_mut("storage").and_then(Value::as_object_mut);
    for (key, value) in storage.into_iter().flatten() {
        match key.as_str() {
            "root" | "hot" => anchor(value),
            "source_dirs" => value.as_array_mut().into_iter().flatten().for_each(anchor),
            _ => {}
        }
    }
    let cameras = tree.get_mut("camera").and_then(Value::as_array_mut).into_iter().flatten();
    for source in cameras.filter_map(|camera| camera.get_mut("source")) {
        let key = match source.get("kind").and_then(Value::as_str) {
            Some("file") => "path",
            Some("replay") => "dir",
            _ => continue,
        };
        if let Some(value) = source.get_mut(key) {
            anchor(value);
        }
    }
}

/// Without `.` and `..`, by text alone: a path below a link means what it says. Hostile `..` in a camera's absolute path
/// is not touched, so validation still refuses it.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

/// Messages are logged and passed on: they show addresses, never what opens them.
fn without_passwords(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(redact(text)),
        Value::Array(items) => items.iter().map(without_passwords).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), without_passwords(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// The value at `camera[1].source.url`; None where the path leaves the tree (a missing key).
fn lookup<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |value, step| {
        let (key, index) = match step.split_once('[') {
            Some((key, rest)) => (key, rest.strip_suffix(']').and_then(|n| n.parse::<usize>().ok())),
            None => (step, None),
        };
        let value = value.get(key)?;
        match index {
            Some(index) => value.get(index),
            None => Some(value),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).expect_err("must be refused").iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn the_shipped_file_is_the_defaults() {
        let shipped = parse(include_str!("../../conf/capstan.toml")).expect("conf/capstan.toml is valid");
        assert_eq!(shipped, Settings::default());
    }

    #[test]
    fn the_shipped_file_names_every_option() {
        let shipped: toml::Table = include_str!("../../conf/capstan.toml").parse().expect("conf/capstan.toml is TOML");
        let defaults = toml::Table::try_from(Settings::default()).expect("settings serialise");
        for (section, options) in defaults.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
            for option in options.keys() {
                assert!(
                    shipped.get(section).and_then(|table| table.get(option)).is_some(),
                    "{section}.{option} is missing"
                );
            }
        }
    }

    #[test]
    fn problems_name_path_value_and_rule() {
        let check = |text: &str, parts: &[&str]| {
            let message = refused(text);
            for part in parts {
                assert!(message.contains(part), "{message:?} should contain {part:?}");
            }
        };
        check("[archive]\ncommit_second = 5", &["archive", "commit_second", "unknown field", "commit_seconds"]);
        check("[archive]\ncommit_seconds = \"soon\"", &["archive.commit_seconds", "soon"]);
        check("[archive]\nchunk_seconds = 7", &["archive.chunk_seconds", "7", "divide"]);
        check("[archive]\nwindow_hours = 25", &["archive.window_hours", "25", "24"]);
        check("[auth]\npublic_view = true", &["auth.public_areas", "public_view"]);
        check("[auth]\nsession_hours = 0", &["auth.session_hours", "0", "8784"]);
        check("[auth]\nmetrics = \"all\"", &["auth.metrics", "all", "loopback"]);
        check(
            "[server]\ntrusted_proxies = [\"10.0.0.0/99\"]",
            &["server.trusted_proxies[0]", "10.0.0.0/99", "10.0.0.0/8"],
        );
        check("[server]\ncors_origins = [\"*\"]", &["server.cors_origins[0]", "*"]);
        check("[server]\npublic_url = \"cams.example\"", &["server.public_url", "cams.example"]);
        check("[server]\ntls_cert = \"/etc/cert.pem\"", &["server.tls_key", "tls_cert"]);
        check("[storage]\nroot = \"\"", &["storage.root", "absolute"]);
        check("[storage]\nroot = \"/a/../b\"", &["storage.root", "/a/../b", ".."]);
        check("[storage]\nhot = \"/a/\\u0000b\"", &["storage.hot", "absolute"]);
        check("[server]\nkeep_alive_seconds = 9223372036854775807", &["server.keep_alive_seconds", "3600"]);
        check("[capture]\nthumbnail_size = \"4000x16\"", &["capture.thumbnail_size", "\"4000x16\"", "1920x1080"]);
        check("[hot]\ndevice_bytes = \"1MiB\"", &["hot.device_bytes", "\"1MiB\"", "4MiB"]);
        check("[storage]\nhot = \"/run/%d\"", &["storage.hot", "%d", "FFmpeg"]);
        check("[hot]\ndevice_bytes = \"much\"", &["hot.device_bytes", "much"]);
        check("not toml at all", &["settings"]);
        let camera = |id: &str, source: &str| format!("[[camera]]\nid = \"{id}\"\nsource = {source}\n");
        check(&camera("../x", "{ kind = \"test\" }"), &["camera[0].id", "../x", "letters"]);
        check(&(camera("a", "{ kind = \"test\" }") + &camera("a", "{ kind = \"test\" }")), &["camera[1].id", "twice"]);
        check(&camera("a", "{ kind = \"telepathy\" }"), &["camera[0].source", "telepathy", "rtsp"]);
        check(&camera("a", "{ kind = \"rtsp\", url = \"file:///etc/passwd\" }"), &["camera[0].source.url", "rtsp://"]);
        check(&camera("a", "{ kind = \"http\", url = \"concat:a|b\" }"), &["camera[0].source.url", "http://"]);
        check(&camera("a", "{ kind = \"rtsp\" }"), &["camera[0].source", "url"]);
        check(&camera("a", "{ kind = \"rtsp\", url = \"rtsp://x\", extra = 1 }"), &["camera[0].source", "extra"]);
    }

    #[test]
    fn problems_keep_passwords_to_themselves() {
        for source in [
            "{ kind = \"rtsp\", url = \"rtsp://me:secret@h/p\", transprt = \"tcp\" }",
            "{ kind = \"rtsp\", url = [\"rtsp://me:secret@h/p\"] }",
            "{ kind = \"rtsp\", url = \"rtps://me:secret@h/p\" }",
        ] {
            let message = refused(&format!("[[camera]]\nid = \"a\"\nsource = {source}\n"));
            assert!(message.contains("camera[0].source") && message.contains("***@h/p"), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn an_empty_path_is_not_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("capstan.toml");
        std::fs::write(&file, "[storage]\nroot = \"\"\nhot = \"hot\"\n").unwrap();
        let problems = load(Some(&file)).expect_err("no root");
        assert_eq!(
            problems.first().map(ToString::to_string).unwrap(),
            "storage.root = \"\": must be an absolute path without '..'"
        );
    }

    #[test]
    fn the_demo_is_valid_and_its_paths_count_from_its_file() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/demo.toml");
        let demo = load(Some(&file)).expect("conf/demo.toml is valid");
        assert_eq!(demo.storage.root, Path::new(env!("CARGO_MANIFEST_DIR")).join("data"));
        assert_eq!(demo.storage.hot, Path::new("/dev/shm/capstan-demo"));
        let Source::File(clip) = &demo.camera[0].source else { panic!("the first camera plays a file") };
        assert!(clip.path.is_file(), "{:?}", clip.path);
    }

    #[test]
    fn nested_and_flat_sources_mean_the_same() {
        let flat = parse("[[camera]]\nid = \"a\"\nsource = { kind = \"rtsp\", url = \"rtsp://h/p\" }").unwrap();
        let nested = parse("[[camera]]\nid = \"a\"\nsource = { rtsp = { url = \"rtsp://h/p\" } }").unwrap();
        assert_eq!(flat, nested);
    }
}
