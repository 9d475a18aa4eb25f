//! Who may call what: the words that the route table says it in, and the one place where it is decided.

use crate::{access::Caller, registry::users::Role};

/// What an operation asks of whoever calls it. Part of every entry of the table: none can be left without.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    who: Who,
    of: Of,
    live: Live,
    link: Link,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Everybody,
    /// As `[auth] metrics` says.
    Metrics,
    Role(Role),
}

/// Whose devices it is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Of {
    /// None in particular.
    Host,
    /// `{device}` of the path.
    Path,
    /// All: the handler leaves out those that the caller may not see. A `device` in the query is asked for by name.
    Listed,
    /// One that only the handler can tell, which asks.
    Found,
}

/// Whether it shows what is live and nothing else, so that the public may see it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Live {
    No,
    Yes,
    /// Unless the query names a moment.
    Without(&'static str),
}

/// What a signed link opens of it: what lies in the range of the link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    Nothing,
    /// `start` and `end`, or one of them and `duration`.
    Span,
    /// `at`.
    Moment,
    /// Milliseconds in the path.
    Still,
    /// Bytes of a chunk; the handler knows which.
    Bytes,
}

/// Why somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They have not said who they are.
    SignIn,
    /// They have.
    Forbidden,
}

/// The device that is asked for by name, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Named<'a> {
    pub id: &'a str,
    /// Empty also when there is no such device.
    pub area: &'a str,
    pub is_public: bool,
}

/// The page, its files, what says that the process is there, and signing in.
pub const OPEN: Need = Need::of(Who::Everybody, Of::Host);
pub const METRICS: Need = Need::of(Who::Metrics, Of::Host);
/// Any user, about the host.
pub const HOST: Need = Need::of(Who::Role(Role::Viewer), Of::Host);
/// Any user, about the devices that they may see.
pub const DEVICES: Need = Need::of(Who::Role(Role::Viewer), Of::Listed);
/// Whoever may see the device of the path.
pub const DEVICE: Need = Need::of(Who::Role(Role::Viewer), Of::Path);
/// Whoever may see the device that it turns out to be about.
pub const FOUND: Need = Need::of(Who::Role(Role::Viewer), Of::Found);
/// The same, and the public where it may.
pub const LIVE: Need = Need { live: Live::Yes, ..DEVICE };
/// Operators, each about the devices that they may see.
pub const OPERATE: Need = Need::of(Who::Role(Role::Operator), Of::Host);
pub const OPERATE_DEVICES: Need = Need::of(Who::Role(Role::Operator), Of::Listed);
pub const OPERATE_DEVICE: Need = Need::of(Who::Role(Role::Operator), Of::Path);
pub const OPERATE_FOUND: Need = Need::of(Who::Role(Role::Operator), Of::Found);
pub const ADMIN: Need = Need::of(Who::Role(Role::Admin), Of::Host);

impl Need {
    const fn of(who: Who, of: Of) -> Self {
        Self { who, of, live: Live::No, link: Link::Nothing }
    }

    /// The public may, too, unless the query names a moment by `parameter`.
    pub const fn live_without(self, parameter: &'static str) -> Self {
        Self { live: Live::Without(parameter), ..self }
    }

    /// Whoever has a signed link may, too, within its range.
    pub const fn linked(self, link: Link) -> Self {
        Self { link, ..self }
    }

    pub fn devices(&self) -> Of {
        self.of
    }

    pub fn link(&self) -> Link {
        self.link
    }

    pub fn is_open(&self) -> bool {
        self.who == Who::Everybody
    }

    /// For the description: `viewer`, `operator`, `admin`, `metrics`; None is everybody.
    pub fn role_name(&self) -> Option<&'static str> {
        match self.who {
            Who::Everybody => None,
            Who::Metrics => Some("metrics"),
            Who::Role(role) => Some(role.name()),
        }
    }

    pub fn is_live(&self, has: impl Fn(&str) -> bool) -> bool {
        match self.live {
            Live::No => false,
            Live::Yes => true,
            Live::Without(parameter) => !has(parameter),
        }
    }

    /// `has` tells whether a parameter is in the query; `is_near`, whether the daemon's own machine asks and may read the
    /// metrics. A link is decided by its range, elsewhere.
    pub fn decide(
        &self,
        caller: &Caller,
        named: Option<Named<'_>>,
        has: impl Fn(&str) -> bool,
        is_near: bool,
    ) -> Result<(), Refusal> {
        let refusal = if caller.is_known() { Refusal::Forbidden } else { Refusal::SignIn };
        let role = match self.who {
            Who::Everybody => return Ok(()),
            // All devices are in it.
            Who::Metrics => return if is_near || caller.sees_all() { Ok(()) } else { Err(refusal) },
            Who::Role(role) => role,
        };
        let sees = named.is_none_or(|named| caller.sees(named.id, named.area));
        let is_public = self.is_live(has) && named.is_some_and(|named| named.is_public);
        if (caller.may(role) && sees) || is_public { Ok(()) } else { Err(refusal) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_to_sign_in_and_everybody_may_what_is_open() {
        let (nobody, all) = (Caller::nobody(), Caller::everybody());
        let lobby = |is_public| Some(Named { id: "lobby", area: "Hall", is_public });
        let check =
            |need: Need, caller: &Caller, named: Option<Named<'_>>, query: &str, expected: Result<(), Refusal>| {
                let has = |name: &str| query == name;
                assert_eq!(need.decide(caller, named, has, false), expected, "{need:?} {named:?} {query}");
            };
        check(OPEN, &nobody, None, "", Ok(()));
        for need in [HOST, DEVICES, FOUND, ADMIN, METRICS, OPERATE_DEVICES] {
            check(need, &nobody, None, "", Err(Refusal::SignIn));
            check(need, &all, None, "", Ok(()));
        }
        for need in [DEVICE, OPERATE_DEVICE] {
            check(need, &nobody, lobby(true), "", Err(Refusal::SignIn));
            check(need, &all, lobby(false), "", Ok(()));
        }
        check(LIVE, &nobody, lobby(true), "", Ok(()));
        check(LIVE, &nobody, lobby(false), "", Err(Refusal::SignIn));
        check(DEVICE.live_without("at"), &nobody, lobby(true), "", Ok(()));
        check(DEVICE.live_without("at"), &nobody, lobby(true), "at", Err(Refusal::SignIn));
        check(DEVICE.live_without("at"), &nobody, lobby(false), "", Err(Refusal::SignIn));
        assert_eq!(METRICS.decide(&nobody, None, |_| false, true), Ok(()));
    }
}
