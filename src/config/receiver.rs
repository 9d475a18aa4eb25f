//! Webhooks as people see and change them: each has an id, what opens it is hidden, and what is left out stays.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Problem, Webhook, changed::section, redact};

/// Shown in the place of what must not be.
const HIDDEN: &str = "***";

/// A webhook with the name that changes go by.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    pub id: String,
    pub url: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
    #[serde(default)]
    pub kinds: Vec<String>,
}

/// Without the secret.
impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("id", &self.id).field("url", &shown_url(&self.url)).finish_non_exhaustive()
    }
}

impl Receiver {
    pub fn webhook(&self) -> Webhook {
        Webhook { url: self.url.clone(), secret: self.secret.clone(), kinds: self.kinds.clone() }
    }

    /// As anyone may see it.
    pub fn shown(&self) -> Value {
        let mut shown = json!({"id": self.id, "url": shown_url(&self.url), "kinds": self.kinds});
        if !self.secret.is_empty() {
            shown["secret"] = json!(HIDDEN);
        }
        shown
    }
}

impl Webhook {
    /// Without what opens it.
    pub fn hidden(&self) -> Self {
        let secret = if self.secret.is_empty() { String::new() } else { HIDDEN.to_owned() };
        Self { url: shown_url(&self.url), secret, kinds: self.kinds.clone() }
    }

    /// The same of one without an id.
    pub fn shown(&self) -> Value {
        json!(self.hidden())
    }
}

/// Many receivers keep the key in the path of their address.
fn shown_url(url: &str) -> String {
    origin(&redact(url)).map_or_else(|| HIDDEN.to_owned(), |origin| format!("{origin}/{HIDDEN}"))
}

/// `https://user@host:1`
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    Some(format!("{scheme}://{}", rest.split(['/', '?', '#']).next().unwrap_or_default()))
}

/// Those of the settings file: called by `key` and their address, so that the same one has the same id while the daemon
/// runs, and nobody can try out addresses against it.
pub fn receivers(webhooks: &[Webhook], key: &[u8]) -> Vec<Receiver> {
    let mut all = Vec::<Receiver>::new();
    for webhook in webhooks {
        let twins = all.iter().filter(|other| other.url == webhook.url).count();
        let mut hash = Sha256::new_with_prefix(key);
        hash.update(webhook.url.as_bytes());
        hash.update(twins.to_le_bytes());
        let id = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let Webhook { url, secret, kinds } = webhook.clone();
        all.push(Receiver { id, url, secret, kinds });
    }
    all
}

/// One as somebody sends it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sent {
    id: Option<String>,
    url: Option<String>,
    secret: Option<String>,
    kinds: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SentList {
    webhook: Vec<Sent>,
}

/// The list that somebody sends: what is left out of one that is `known` stays as it is.
pub(super) fn read_receivers(
    name: &str,
    sent: &Value,
    known: &[Receiver],
    fresh: &mut dyn FnMut() -> String,
) -> Result<Vec<Receiver>, Problem> {
    let list: SentList = section(name, sent).map_err(without_value)?;
    let mut all = Vec::<Receiver>::new();
    for (i, sent) in list.webhook.into_iter().enumerate() {
        let refuse = |field: &str, rule: &str| Problem::new(format!("{name}.webhook[{i}].{field}"), None, rule);
        let before = match &sent.id {
            None => None,
            Some(id) if all.iter().any(|other| other.id == *id) => return Err(refuse("id", "is there twice")),
            Some(id) => {
                let found = known.iter().find(|known| known.id == *id);
                Some(found.ok_or_else(|| refuse("id", "there is no webhook of that id: look at the list again"))?)
            }
        };
        let is_shown = |url: &&String| before.is_some_and(|before| **url == shown_url(&before.url));
        let url = match (sent.url.filter(|url| !is_shown(&url)), before) {
            (Some(url), _) if url.contains(HIDDEN) => {
                return Err(refuse("url", "hides its path: leave it out to keep it, or write it in full"));
            }
            (Some(url), _) => url,
            (None, Some(before)) => before.url.clone(),
            (None, None) => return Err(refuse("url", "is missing")),
        };
        let secret = match (sent.secret.filter(|secret| secret != HIDDEN || before.is_none()), before) {
            (Some(secret), _) => secret,
            (None, Some(before)) if before.secret.is_empty() || origin(&url) == origin(&before.url) => {
                before.secret.clone()
            }
            // What is signed for one host is for no other.
            (None, Some(_)) => return Err(refuse("secret", "belongs to another host: give one anew, or an empty one")),
            (None, None) => String::new(),
        };
        let id = sent.id.unwrap_or_else(&mut *fresh);
        all.push(Receiver { id, url, secret, kinds: sent.kinds });
    }
    Ok(all)
}

/// What the parser quotes may be an address in the wrong place.
fn without_value(problem: Problem) -> Problem {
    Problem { rule: problem.rule.split(' ').map(redact).collect::<Vec<_>>().join(" "), ..problem }
}
