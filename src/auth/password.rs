//! Password hashing: argon2id, on threads of its own, one fewer than there are cores.
//!
//! Owns [`Hasher`]. Invariants: checking a password for an account that does not exist costs the
//! same work as for one that does, so that time does not tell who has an account; conversations come
//! before logins, for whoever logs in waits a moment more easily than whoever reads word by word.

use super::strength::{self, Weakness};
use crate::domain::{Error, ErrorCode, Random, Result};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, oneshot};

/// How much the threads yield to others (`nice`, 0 to 19): a tenth of a core when others want all of it. Hashing at the
/// priority of everything else moved the p99 delay of a token by 5 ms (`docs/benchmarks.md`).
const NICE: i32 = 10;

/// Hashes that may wait for a core; one more is refused (64 parallel logins are a row of the fault
/// table, a flood of thousands must not pile up).
const WAITING: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// Makes and checks password hashes. Its threads end with it.
pub struct Hasher {
    params: Params,
    jobs: Sender<Job>,
    waiting: Arc<Semaphore>,
    /// A hash that no password matches, checked when there is no account.
    decoy: Arc<str>,
}

impl Hasher {
    /// `memory_kib` and `passes` are argon2id's m and t; parallelism is 1.
    pub fn new(memory_kib: u32, passes: u32, random: &dyn Random) -> Result<Self> {
        let params =
            Params::new(memory_kib, passes, 1, None).map_err(|e| Error::internal(e.to_string()))?;
        let (jobs, work) = channel();
        let work = Arc::new(Mutex::new(work));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores.saturating_sub(1).max(1) {
            let work = Arc::clone(&work);
            std::thread::Builder::new()
                .name("passwords".to_owned())
                .spawn(move || work_off(&work))
                .map_err(Error::internal)?;
        }
        // The decoy is never computed: 32 random bytes are a hash that nobody has the password of.
        let (mut salt, mut output) = ([0; 16], [0; 32]);
        random.fill(&mut salt)?;
        random.fill(&mut output)?;
        let base64 = |bytes: &[u8]| {
            argon2::password_hash::phc::Output::new(bytes)
                .map(|o| o.to_string())
                .map_err(|e| Error::internal(e.to_string()))
        };
        let decoy = format!(
            "$argon2id$v=19$m={memory_kib},t={passes},p=1${}${}",
            base64(&salt)?,
            base64(&output)?
        );
        Ok(Self {
            params,
            jobs,
            waiting: Arc::new(Semaphore::new(WAITING)),
            decoy: decoy.into(),
        })
    }

    /// The PHC string of a new password.
    pub async fn hash(&self, password: SecretString, random: &dyn Random) -> Result<String> {
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        let argon2 = self.argon2();
        self.off_runtime(move || {
            argon2
                .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|e| Error::internal(e.to_string()))
        })
        .await?
    }

    /// Why a password will not do for a person of whom this is known ([`strength::judge`]).
    pub async fn judge(
        &self,
        password: SecretString,
        about: Vec<String>,
    ) -> Result<Option<Weakness>> {
        self.off_runtime(move || strength::judge(password.expose_secret(), &about))
            .await
    }

    /// Whether `password` is the one of `hash`; without a hash the answer is no, after the same work.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.to_string());
        let argon2 = self.argon2();
        let matches = self
            .off_runtime(move || {
                let parsed =
                    PasswordHash::new(&hash).map_err(|e| Error::internal(e.to_string()))?;
                Ok::<_, Error>(
                    argon2
                        .verify_password(password.expose_secret().as_bytes(), &parsed)
                        .is_ok(),
                )
            })
            .await??;
        Ok(known && matches)
    }

    /// Whether a hash cost less than one would that was made now. What cannot be read does not count.
    pub fn is_outdated(&self, hash: &str) -> bool {
        let Some(params) = PasswordHash::new(hash)
            .ok()
            .and_then(|hash| Params::try_from(&hash).ok())
        else {
            return false;
        };
        params.m_cost() < self.params.m_cost() || params.t_cost() < self.params.t_cost()
    }

    /// Whether this is a hash that a password can be checked against.
    pub fn is_hash(hash: &str) -> bool {
        PasswordHash::new(hash).is_ok_and(|hash| {
            hash.hash.is_some() && hash.salt.is_some() && Params::try_from(&hash).is_ok()
        })
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    async fn off_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let busy = || {
            Error::new(
                ErrorCode::Overloaded,
                "too many people are logging in at the moment",
            )
            .retry_after(5)
        };
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        let (answer, answered) = oneshot::channel();
        self.jobs
            .send(Box::new(move || {
                // Whoever has gone meanwhile needs no answer.
                if !answer.is_closed() {
                    let _ = answer.send(work());
                }
            }))
            .map_err(|_| Error::internal("the threads for passwords have ended"))?;
        answered.await.map_err(Error::internal)
    }
}

/// Does what comes until nothing can come any more.
fn work_off(jobs: &Mutex<Receiver<Job>>) {
    // Linux takes it for this thread alone; where it is not allowed, everything works at the same priority.
    let _ = rustix::process::setpriority_process(None, NICE);
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // One that panics must not take the thread from those after it; its asker hears of it.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SystemRandom;

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let hasher = Hasher::new(19_456, 2, &SystemRandom).unwrap();
        let hash = hasher
            .hash("비밀번호는 길게".into(), &SystemRandom)
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            hasher
                .verify("비밀번호는 길게".into(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify("비밀번호는 길다".into(), Some(hash))
                .await
                .unwrap()
        );
        assert!(!hasher.verify("비밀번호는 길게".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_job_that_panics_harms_nobody_else() {
        let hasher = Hasher::new(8, 1, &SystemRandom).unwrap();
        let broken = hasher
            .off_runtime(|| std::panic::resume_unwind(Box::new(())))
            .await;
        let broken: Result<()> = broken;
        assert_eq!(broken.unwrap_err().code(), ErrorCode::Internal);
        hasher.hash("x".into(), &SystemRandom).await.unwrap();
    }

    #[tokio::test]
    async fn a_hash_is_outdated_when_it_cost_less() {
        let hash = async |memory, passes| {
            let hasher = Hasher::new(memory, passes, &SystemRandom).unwrap();
            let hash = hasher.hash("x".into(), &SystemRandom).await.unwrap();
            assert!(!hasher.is_outdated(&hash));
            hash
        };
        let (cheap, dear) = (hash(19_456, 2).await, hash(19_457, 3).await);
        let now = |memory, passes| Hasher::new(memory, passes, &SystemRandom).unwrap();
        assert!(now(19_457, 2).is_outdated(&cheap));
        assert!(now(19_456, 3).is_outdated(&cheap));
        assert!(!now(19_456, 2).is_outdated(&dear), "never a weaker one");
        assert!(!now(19_457, 3).is_outdated("!"));
    }
}
