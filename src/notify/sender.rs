//! Takes one receiver's events to it, strictly in order, for as long as it takes.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use slog::{Logger, info, o, warn};

use super::{
    hook::Hook,
    outbox::{Letter, Verdict, back_off},
};
use crate::{clock::Clock, config::Webhook};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// From the name's resolution to the end of the answer.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Sender {
    pub hook: Arc<Hook>,
    pub clock: Clock,
    pub log: Logger,
}

impl Sender {
    /// Until the daemon ends, or it is told nothing more.
    pub fn run(&self) {
        let agent = agent();
        let mut failures = 0;
        let outbox = &self.hook.outbox;
        while let Some(letter) = outbox.next() {
            let answer = post(&agent, &self.hook.settings.load_full().webhook, &letter, &self.clock);
            let status = self.hook.status.load_full();
            let log = self.log.new(o!("receiver" => status.receiver.clone()));
            let verdict = answer.as_ref().map_or(Verdict::Again, |status| Verdict::of(*status));
            let told = match answer {
                Ok(status) => format!("it answers {status}"),
                Err(why) => why,
            };
            match verdict {
                Verdict::Taken => {
                    if failures > 0 {
                        info!(log, "webhook works again"; "after_failures" => failures);
                    }
                    failures = 0;
                    status.took(self.clock.wall());
                    outbox.done(letter.id);
                }
                Verdict::Refused => {
                    warn!(log, "webhook refuses an event, which is dropped";
                        "kind" => letter.kind, "id" => letter.id, "answer" => &told);
                    failures = 0;
                    status.refused(&told);
                    outbox.done(letter.id);
                }
                Verdict::Again => {
                    failures += 1;
                    if failures == 1 {
                        warn!(log, "webhook fails, it is tried again"; "error" => &told);
                    }
                    status.failed(&told);
                    outbox.rest(&self.clock, self.clock.mono() + back_off(failures));
                }
            }
            status.waits(outbox.waiting());
        }
    }
}

/// The status of the answer, or why there is none.
pub(super) fn post(agent: &ureq::Agent, webhook: &Webhook, letter: &Letter, clock: &Clock) -> Result<u16, String> {
    // Of this attempt, so that a receiver can refuse what is repeated by somebody else later.
    let timestamp = clock.wall().as_seconds().to_string();
    let mut request = agent
        .post(&webhook.url)
        .header("Content-Type", "application/json")
        .header("X-Capstan-Event", letter.kind)
        .header("X-Capstan-Delivery", letter.id.to_string())
        .header("X-Capstan-Timestamp", &timestamp);
    if !webhook.secret.is_empty() {
        request = request.header("X-Capstan-Signature", signature(&webhook.secret, &timestamp, &letter.body));
    }
    match request.send(&letter.body[..]) {
        Ok(answer) => Ok(answer.status().as_u16()),
        // It would show the address, and that may be a secret.
        Err(ureq::Error::BadUri(_)) => Err("its address is malformed".into()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_LIMIT))
        .timeout_global(Some(LIMIT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        // A fresh connection each time: one that a receiver closed meanwhile would cost an event a retry.
        .max_idle_connections(0)
        .user_agent(concat!("capstan/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

/// `sha256=<hex>` of `timestamp.body`.
pub(super) fn signature(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_openssl() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let expected = "sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        assert_eq!(signature("secret", "1700000000", b"{\"a\":1}"), expected);
    }
}
