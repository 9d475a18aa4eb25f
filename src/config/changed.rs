//! What people change of the settings while all runs: laid over the sections of the file, kept in the database, judged by
//! the rules of the file.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Archive, Bytes, DetectOverride, Notify, Problem, Receiver, Settings, Transcode, receiver::read_receivers};

/// Some fields of a section; one that is absent is the file's.
macro_rules! fields_of {
    ($(#[$doc:meta])* $name:ident of $of:ident { $($field:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)+
        }

        impl $name {
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($field)),+];

            /// All of them, as they are there.
            fn all_of(of: &$of) -> Self {
                Self { $($field: Some(of.$field.to_owned())),+ }
            }

            fn over(&self, file: &$of) -> $of {
                $of { $($field: self.$field.as_ref().unwrap_or(&file.$field).to_owned(),)+ ..file.clone() }
            }
        }
    };
}

fields_of! {
    /// How much is kept; what lays out the archive is not for changing while chunks are written.
    ArchiveOverride of Archive {
        window_hours: u32,
        retention_days: f64,
        max_bytes: Bytes,
        device_max_bytes: Bytes,
        min_free_bytes: Bytes,
    }
}

fields_of! {
    /// When and how old footage is encoded anew. Whether at all has a switch of its own.
    TranscodeOverride of Transcode {
        min_age_days: f64,
        run_schedule: String,
        max_cpu_percent: f32,
        max_io_wait: f32,
        verify_quality: bool,
        codec: String,
        preset: String,
        quality: u32,
        keep_original_days: f64,
        min_free_space_gb: f64,
        target_space_savings: f64,
        min_savings_percent: f64,
        pause_between_seconds: u64,
        idle_seconds: u64,
        error_pause_seconds: u64,
        max_write_bytes_per_day: u64,
    }
}

/// Who is told instead of those in the file; nobody when empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyOverride {
    pub webhook: Vec<Receiver>,
}

/// All that was changed, by section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub detect: DetectOverride,
    pub archive: ArchiveOverride,
    pub transcode: TranscodeOverride,
    pub notify: Option<NotifyOverride>,
}

/// One section as it shall be from now on.
#[derive(Clone, Debug, PartialEq)]
pub enum Section {
    Detect(DetectOverride),
    Archive(ArchiveOverride),
    Transcode(TranscodeOverride),
    Notify(Option<NotifyOverride>),
}

impl Section {
    pub const NAMES: [&'static str; 4] = ["detect", "archive", "transcode", "notify"];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Detect(_) => "detect",
            Self::Archive(_) => "archive",
            Self::Transcode(_) => "transcode",
            Self::Notify(_) => "notify",
        }
    }

    /// As the database keeps it, secrets included.
    pub fn stored(&self) -> Value {
        match self {
            Self::Detect(of) => json!(of),
            Self::Archive(of) => json!(of),
            Self::Transcode(of) => json!(of),
            Self::Notify(of) => json!(of),
        }
    }

    /// What the database has under that name; None for a name that is not known.
    pub fn restored(name: &str, text: &str) -> Option<Result<Self, String>> {
        fn read<T: DeserializeOwned>(text: &str, section: fn(T) -> Section) -> Result<Section, String> {
            serde_json::from_str(text).map(section).map_err(|error| error.to_string())
        }
        Some(match name {
            "detect" => read(text, Self::Detect),
            "archive" => read(text, Self::Archive),
            "transcode" => read(text, Self::Transcode),
            "notify" => read(text, Self::Notify),
            _ => return None,
        })
    }

    /// As anyone may see it.
    pub fn shown(&self) -> Value {
        match self {
            Self::Notify(of) => of
                .as_ref()
                .map_or(json!({}), |of| json!({"webhook": of.webhook.iter().map(Receiver::shown).collect::<Vec<_>>()})),
            other => other.stored(),
        }
    }

    /// What somebody sent for the section of that name; nothing, or nothing in it, is the file's. Webhooks keep of `known`
    /// what is left out; a new one is called what `fresh` says.
    pub fn read(
        name: &str,
        sent: &Value,
        known: &[Receiver],
        fresh: &mut dyn FnMut() -> String,
    ) -> Result<Self, Problem> {
        let sent = if sent.is_null() { &json!({}) } else { sent };
        let Some(fields) = sent.as_object() else {
            return Err(Problem::new(name, None, "must be an object"));
        };
        match name {
            "detect" => section(name, sent).map(Self::Detect),
            "archive" => section(name, sent).map(Self::Archive),
            "transcode" => section(name, sent).map(Self::Transcode),
            "notify" if fields.is_empty() => Ok(Self::Notify(None)),
            "notify" => {
                read_receivers(name, sent, known, fresh).map(|webhook| Self::Notify(Some(NotifyOverride { webhook })))
            }
            _ => Err(Problem::new(name, None, "cannot be changed here")),
        }
    }
}

/// The field at fault is named by its whole path, one that is not known too.
pub(super) fn section<T: DeserializeOwned>(name: &str, sent: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(sent).map_err(|error| {
        let (path, rule) = (error.path().to_string(), error.inner().to_string());
        Problem::new(if path == "." { name.to_owned() } else { format!("{name}.{path}") }, None, rule)
    })
}

impl Changes {
    pub fn set(&mut self, section: Section) {
        match section {
            Section::Detect(of) => self.detect = of,
            Section::Archive(of) => self.archive = of,
            Section::Transcode(of) => self.transcode = of,
            Section::Notify(of) => self.notify = of,
        }
    }

    pub fn sections(&self) -> [Section; 4] {
        [
            Section::Detect(self.detect.clone()),
            Section::Archive(self.archive.clone()),
            Section::Transcode(self.transcode.clone()),
            Section::Notify(self.notify.clone()),
        ]
    }

    /// The settings with what was changed.
    pub fn over(&self, file: &Settings) -> Settings {
        let notify = |of: &NotifyOverride| Notify { webhook: of.webhook.iter().map(Receiver::webhook).collect() };
        Settings {
            detect: file.detect.with(&self.detect),
            archive: self.archive.over(&file.archive),
            transcode: self.transcode.over(&file.transcode),
            notify: self.notify.as_ref().map_or_else(|| file.notify.clone(), notify),
            ..file.clone()
        }
    }

    /// Every rule of the file that a section breaks by what was changed. `file` breaks none.
    pub fn problems(&self, file: &Settings) -> Vec<Problem> {
        let mut problems = self.over(file).validate();
        problems.retain(|problem| Section::NAMES.iter().any(|name| is_of(&problem.path, name)));
        problems
    }

    /// Without the sections that break a rule of `file`, which are named: they were valid when they were made.
    pub fn fitting(&self, file: &Settings) -> (Self, Vec<Problem>) {
        let (mut fitting, mut refused) = (Self::default(), Vec::new());
        for section in self.sections() {
            let mut with = fitting.clone();
            with.set(section);
            let mut problems = with.problems(file);
            match problems.is_empty() {
                true => fitting = with,
                false => refused.append(&mut problems),
            }
        }
        (fitting, refused)
    }
}

fn is_of(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl Settings {
    /// The same with all that may change while it runs as `fresh` says.
    pub fn with_live_of(&self, fresh: &Self) -> Self {
        Self {
            detect: fresh.detect.clone(),
            archive: ArchiveOverride::all_of(&fresh.archive).over(&self.archive),
            transcode: TranscodeOverride::all_of(&fresh.transcode).over(&self.transcode),
            notify: fresh.notify.clone(),
            ..self.clone()
        }
    }

    /// What may change while it runs, secrets included.
    pub fn live(&self) -> Value {
        json!({
            "detect": self.detect,
            "archive": ArchiveOverride::all_of(&self.archive),
            "transcode": TranscodeOverride::all_of(&self.transcode),
            "notify": self.notify,
        })
    }

    /// Settings that may be changed while it runs: whole sections, or fields of one.
    pub fn changeable() -> Vec<String> {
        let fields = |section: &'static str, fields: &'static [&'static str]| {
            fields.iter().map(move |field| format!("{section}.{field}"))
        };
        let some = fields("archive", ArchiveOverride::FIELDS).chain(fields("transcode", TranscodeOverride::FIELDS));
        ["detect".to_owned(), "notify".to_owned()].into_iter().chain(some).collect()
    }
}

#[cfg(test)]
mod tests;
