//! Whoever asks: how they are known, and what they may see.

use std::sync::Arc;

use super::{secret::csrf, share::Share};
use crate::{
    ids::DeviceId,
    registry::users::{Hash, Rights, Role},
};

/// How somebody is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Via {
    /// Access control is off: everybody may everything.
    Off,
    /// The command line of this host, trusted by its uid.
    Local,
    Nobody,
    Session(Hash),
    Token(Hash),
    Link(Arc<Share>),
}

/// All that what somebody is told may differ by: who stands alike may be told the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    role: Option<Role>,
    rights: Arc<Rights>,
    /// By which they came, word by word.
    link: Option<Arc<str>>,
}

/// Of one request. What it says holds for that moment; [`super::Access::again`] tells whether it still does.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) via: Via,
    /// Of the user; what stands in for one otherwise.
    name: Arc<str>,
    /// None: only what is open to all, to the public or to a link.
    role: Option<Role>,
    rights: Arc<Rights>,
    /// What it said: the session's secret or the link, from which others are made.
    said: Arc<str>,
}

impl Caller {
    pub(super) fn new(via: Via, name: &str, role: Option<Role>, rights: Rights, said: &str) -> Self {
        Self { via, name: name.into(), role, rights: Arc::new(rights), said: said.into() }
    }

    /// Where access control is off.
    pub fn everybody() -> Self {
        Self::new(Via::Off, "local", Some(Role::Admin), Rights::default(), "")
    }

    pub fn local() -> Self {
        Self::new(Via::Local, "local", Some(Role::Admin), Rights::default(), "")
    }

    pub fn nobody() -> Self {
        Self::new(Via::Nobody, "nobody", None, Rights::default(), "")
    }

    /// For the audit log and what people said of incidents.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user behind a session or a token; its name has no spaces.
    pub fn account(&self) -> Option<&str> {
        let is_user = matches!(self.via, Via::Session(_) | Via::Token(_));
        self.name.split(' ').next().filter(|_| is_user)
    }

    pub fn role(&self) -> Option<Role> {
        self.role
    }

    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether they said who they are, and it was true.
    pub fn is_known(&self) -> bool {
        self.role.is_some()
    }

    pub fn may(&self, role: Role) -> bool {
        self.role.is_some_and(|has| has >= role)
    }

    /// `area` is empty for a camera without one, or one that is no longer configured.
    pub fn sees(&self, device: &str, area: &str) -> bool {
        self.role.is_some() && self.rights.cover(device, area)
    }

    pub fn sees_all(&self) -> bool {
        self.role.is_some() && self.rights.is_all()
    }

    pub fn standing(&self) -> Standing {
        let link = matches!(self.via, Via::Link(_)).then(|| self.said.clone());
        Standing { role: self.role, rights: self.rights.clone(), link }
    }

    /// The range of the link that they came by.
    pub fn share(&self) -> Option<&Share> {
        match &self.via {
            Via::Link(share) => Some(share),
            _ => None,
        }
    }

    /// An address that whoever came by a link can follow, too.
    pub fn follow(&self, address: String) -> String {
        match self.via {
            Via::Link(_) => {
                let mark = if address.contains('?') { '&' } else { '?' };
                format!("{address}{mark}share={}", self.said)
            }
            _ => address,
        }
    }

    /// What a change must bring along when it came with a cookie, which a browser sends for any page.
    pub fn csrf(&self) -> Option<String> {
        matches!(self.via, Via::Session(_)).then(|| csrf(&self.said))
    }

    /// Devices of those that may be seen; None: all.
    pub fn only<'a>(&self, devices: impl Iterator<Item = (&'a DeviceId, &'a str)>) -> Option<Vec<DeviceId>> {
        if self.sees_all() {
            return None;
        }
        let mut only: Vec<_> =
            devices.filter(|(id, area)| self.sees(id.as_str(), area)).map(|(id, _)| id.clone()).collect();
        // Also those that are no longer configured: their incidents are still listed.
        only.extend(self.rights.cameras.iter().filter(|_| self.role.is_some()).cloned());
        only.sort();
        only.dedup();
        Some(only)
    }
}
