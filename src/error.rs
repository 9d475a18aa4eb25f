//! The one error type: what we were doing, to which device or path, and a kind the API maps to a status.

use std::{fmt, io};

/// What sort of trouble it is. The web layer alone maps it to HTTP, the CLI alone to exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request or setting is wrong; the caller must change it.
    Invalid,
    /// No such device, chunk or route.
    NotFound,
    /// It was there and is no more (expired, replaced).
    Gone,
    /// Whoever asks must say who they are.
    Unauthorized,
    /// Not for whoever asks.
    Forbidden,
    /// Asked too often; later is fine.
    TooMany,
    /// It clashes with the present state.
    Conflict,
    /// It was changed by somebody else since whoever asks looked at it.
    Changed,
    /// Whoever asks must say what state they know of.
    Unconditional,
    /// The newest there is is too old to be shown as live.
    Stale,
    /// Not possible now, may be later: starting, stopping, overloaded.
    Unavailable,
    /// Disk or tmpfs is full.
    Full,
    /// The operating system refused.
    Io,
    /// Bytes that are not what they claim to be.
    Corrupt,
    /// A defect of ours.
    Internal,
}

impl Kind {
    /// The `kind` of `{"error":{"kind":…}}`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TooMany => "too_many",
            Self::Conflict => "conflict",
            Self::Changed => "precondition_failed",
            Self::Unconditional => "precondition_required",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
            Self::Full => "full",
            Self::Io => "io",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

/// An error with its story. `path` is a file or the dotted path of a setting or field.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    pub path: Option<String>,
    source: Option<io::Error>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), path: None, source: None }
    }

    pub fn at(mut self, path: impl fmt::Display) -> Self {
        self.path = Some(path.to_string());
        self
    }

    /// An operating-system error while `doing`. ENOSPC and EDQUOT become [`Kind::Full`].
    pub fn io(doing: impl fmt::Display, path: impl AsRef<std::path::Path>, source: io::Error) -> Self {
        let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let kind = if full { Kind::Full } else { Kind::Io };
        Self { kind, message: doing.to_string(), path: Some(path.as_ref().display().to_string()), source: Some(source) }
    }

    /// The errno behind it, when an operating-system call failed.
    pub fn os(&self) -> Option<&io::Error> {
        self.source.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{path}: {}", self.message)?,
            None => f.write_str(&self.message)?,
        }
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
