//! Hashes passwords, slowly on purpose: one at a time on one thread, behind a short queue that refuses when it is full.

use std::{
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::{Output, SaltString},
};
use tokio::sync::oneshot;

use super::secret::random;
use crate::error::{Error, Kind, Result};

/// OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane. The next step up (46 MiB) would take a
/// tenth of a small Pi's memory; see decision 23.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Those who wait; at a tenth of a second each, the last of them waits for less than one.
const QUEUE: usize = 8;
pub const CHARS_MIN: usize = 8;
/// Bytes: longer is no password, but an attempt to keep the thread busy.
pub const BYTES_MAX: usize = 512;

type Job = Box<dyn FnOnce() + Send>;

/// Cheap to clone. The thread ends with the last of them.
#[derive(Clone)]
pub struct Hasher {
    jobs: SyncSender<Job>,
    /// Of no password, compared with when there is no such user: an answer must not tell who exists by its time.
    nobody: String,
}

impl Hasher {
    pub fn start() -> Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let spawned = thread::Builder::new().name("passwords".into()).spawn(move || work(&queue));
        spawned.map_err(|error| Error::io("starting the thread of passwords", "", error))?;
        let salt = salt()?;
        // All zeroes: of nothing that anybody knows.
        let nobody = PasswordHash { hash: Output::new(&[0; 32]).ok(), ..make("nobody", &salt)? };
        Ok(Self { jobs, nobody: nobody.to_string() })
    }

    /// Whether `known` is a hash of it; None, of nobody, takes as long. [`Kind::Unavailable`] when too many wait.
    pub async fn verify(&self, known: Option<String>, password: String) -> Result<bool> {
        let known = known.unwrap_or_else(|| self.nobody.clone());
        self.run(move || {
            let known = PasswordHash::new(&known)
                .map_err(|error| Error::new(Kind::Corrupt, format!("what a password hashes to: {error}")))?;
            Ok(password.len() <= BYTES_MAX && algorithm()?.verify_password(password.as_bytes(), &known).is_ok())
        })
        .await
    }

    /// In PHC form, which tells how it was made.
    pub async fn hash(&self, password: String) -> Result<String> {
        check(&password)?;
        self.run(move || Ok(make(&password, &salt()?)?.to_string())).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Whoever gave up meanwhile costs no more than its place.
            if !answer.is_closed() {
                drop(answer.send(work()));
            }
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::new(Kind::Unavailable, "too many sign in at once"),
            TrySendError::Disconnected(_) => Error::new(Kind::Internal, "the thread of passwords has ended"),
        })?;
        answered.await.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a password could not be looked at")))
    }
}

/// Long enough, and not too long.
pub fn check(password: &str) -> Result<()> {
    let fits = password.chars().count() >= CHARS_MIN && password.len() <= BYTES_MAX;
    let rule = || Error::new(Kind::Invalid, format!("must be {CHARS_MIN} characters to {BYTES_MAX} bytes"));
    if fits { Ok(()) } else { Err(rule().at("password")) }
}

fn work(queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        // Its sender goes with it, so that nobody waits for an answer; the panic hook has told.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

fn algorithm() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| Error::new(Kind::Internal, format!("parameters of argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn salt() -> Result<SaltString> {
    let encoded = SaltString::encode_b64(&random::<16>()?);
    encoded.map_err(|error| Error::new(Kind::Internal, format!("a salt: {error}")))
}

fn make<'a>(password: &str, salt: &'a SaltString) -> Result<argon2::PasswordHash<'a>> {
    let made = algorithm()?.hash_password(password.as_bytes(), salt);
    made.map_err(|error| Error::new(Kind::Internal, format!("hashing a password: {error}")))
}
