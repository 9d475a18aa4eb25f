//! Faults injected into watched actors by name, so that tests of the whole daemon can break any of them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::error::{Error, Kind, Result};

/// What befalls the actor, on its own thread, at its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Poison {
    Panic,
    /// Blocks the thread of the actor, and so its whole tree, for that many milliseconds.
    Hang {
        ms: u64,
    },
}

impl Poison {
    /// Never returns normally for [`Poison::Panic`].
    #[allow(clippy::panic)]
    pub(super) fn strike(self) {
        match self {
            Self::Panic => panic!("injected panic"),
            Self::Hang { ms } => std::thread::sleep(Duration::from_millis(ms)),
        }
    }
}

/// By full name: where the present generation listens.
type Listeners = Mutex<HashMap<String, mpsc::Sender<Poison>>>;

/// Delivers [`Poison`]. Disabled unless the daemon was started with `CAPSTAN_FAULTS=1`: then it knows no actor.
#[derive(Clone, Default)]
pub struct Injector(Option<Arc<Listeners>>);

impl Injector {
    pub fn enabled() -> Self {
        Self(Some(Arc::default()))
    }

    pub fn disabled() -> Self {
        Self(None)
    }

    /// Enabled only by the exact value `1`.
    pub fn from_env() -> Self {
        match std::env::var_os("CAPSTAN_FAULTS") {
            Some(value) if value == "1" => Self::enabled(),
            _ => Self::disabled(),
        }
    }

    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Poisons the present generation of the actor of that full name, e.g. `device/cam1/merger`.
    pub fn inject(&self, actor: &str, poison: Poison) -> Result<()> {
        let Some(actors) = &self.0 else {
            return Err(Error::new(Kind::Invalid, "fault injection is off; start with CAPSTAN_FAULTS=1"));
        };
        let sender = actors.lock().unwrap_or_else(PoisonError::into_inner).get(actor).cloned();
        let sender = sender.ok_or_else(|| Error::new(Kind::NotFound, "no such actor").at(actor))?;
        sender.try_send(poison).map_err(|_| Error::new(Kind::Unavailable, "the actor takes no fault now").at(actor))
    }

    /// A new generation listens under its name; the listener before it is forgotten.
    pub(super) fn listen(&self, actor: &str) -> Option<mpsc::Receiver<Poison>> {
        let actors = self.0.as_ref()?;
        let (sender, receiver) = mpsc::channel(4);
        actors.lock().unwrap_or_else(PoisonError::into_inner).insert(actor.to_owned(), sender);
        Some(receiver)
    }
}

impl fmt::Debug for Injector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Injector(enabled: {})", self.is_enabled())
    }
}
