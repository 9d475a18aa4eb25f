//! The settings in force: those of the start, of what may change while all runs the file's newest, and on top what people
//! changed.

use std::sync::Arc;

use slog::{Logger, error, info, warn};

use super::{Start, levers::Levers, reload::differences_live};
use crate::{
    access::random,
    config::{Changes, Receiver, Section, Settings, receivers},
    error::{Error, Result},
    registry::Changed,
    telemetry::Metrics,
    web::fleet::invalid,
};

pub(super) struct InForce {
    /// Of the start, what may change as the file has it now.
    pub file: Arc<Settings>,
    pub now: Arc<Settings>,
    pub receivers: Vec<Receiver>,
    /// What holds of what was changed.
    pub changes: Changes,
    stored: Changed,
    running: Arc<Settings>,
    /// Ids of the file's webhooks are made with it.
    key: [u8; 16],
    levers: Levers,
    /// Told of them, from now on at each change.
    is_told: bool,
    /// Logged already.
    refused: Vec<String>,
    metrics: Arc<Metrics>,
    log: Logger,
}

impl InForce {
    pub fn new(start: &Start, levers: Levers) -> Result<Self> {
        let (file, key) = (start.settings.clone(), random::<16>()?);
        Ok(Self {
            now: file.clone(),
            receivers: receivers(&file.notify.webhook, &key),
            changes: Changes::default(),
            stored: Changed::default(),
            running: file.clone(),
            file,
            key,
            levers,
            is_told: false,
            refused: Vec::new(),
            metrics: start.metrics.clone(),
            log: start.log.clone(),
        })
    }

    pub fn revision(&self) -> u64 {
        self.stored.revision
    }

    /// The file was read again. Paths of what it changed at once, thresholds apart.
    pub fn read(&mut self, fresh: &Settings) -> Vec<String> {
        let before = std::mem::replace(&mut self.file, Arc::new(self.running.with_live_of(fresh)));
        self.settle();
        differences_live(&before, &self.file)
    }

    /// What the database says of it.
    pub fn know(&mut self, stored: &Changed) {
        if !self.levers.known.get() || self.stored != *stored {
            self.stored = stored.clone();
            self.settle();
            self.tell();
            self.levers.known.set();
        }
    }

    /// Whoever goes by them is told from now on. Without a database they are the file's.
    pub fn tell(&mut self) {
        if !std::mem::replace(&mut self.is_told, true) {
            self.levers.pull(&self.now, &self.receivers);
        }
    }

    /// Whether they would be valid with these sections.
    pub fn check(&self, sections: &[Section]) -> Result<()> {
        let mut changes = self.changes.clone();
        sections.iter().for_each(|section| changes.set(section.clone()));
        let problems = changes.problems(&self.file);
        if problems.is_empty() { Ok(()) } else { Err::<(), Error>(invalid(&problems)) }
    }

    fn settle(&mut self) {
        let (changes, problems) = self.stored.changes.fitting(&self.file);
        let unreadable = self.stored.unreadable.iter().map(|(name, why)| format!("{name}: {why}"));
        let refused: Vec<_> = problems.iter().map(ToString::to_string).chain(unreadable).collect();
        for why in refused.iter().filter(|why| !self.refused.contains(why)) {
            error!(self.log, "settings changed here do not hold, the file's do"; "why" => why);
        }
        if refused.is_empty() && !self.refused.is_empty() {
            info!(self.log, "settings changed here hold again");
        }
        self.metrics.settings_refused.set(i64::try_from(refused.len()).unwrap_or(i64::MAX));
        self.refused = refused;
        let receivers = match &changes.notify {
            Some(of) => of.webhook.clone(),
            None => receivers(&self.file.notify.webhook, &self.key),
        };
        let now = Arc::new(changes.over(&self.file));
        let (before, were) = (std::mem::replace(&mut self.now, now), std::mem::replace(&mut self.receivers, receivers));
        self.changes = changes;
        if *before == *self.now && were == self.receivers {
            return;
        }
        let changed = differences_live(&before, &self.now);
        if !changed.is_empty() {
            info!(self.log, "settings changed"; "settings" => changed.join(", "));
        }
        if let Some(why) = self.now.transcode.never(&self.now.archive).filter(|_| !changed.is_empty()) {
            warn!(self.log, "nothing is transcoded"; "why" => why);
        }
        if self.is_told {
            self.levers.pull(&self.now, &self.receivers);
        }
    }
}
