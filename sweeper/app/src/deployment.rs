//! The parts of a deployment that plans, approvals and changes stand on: its name, state, log, keys and trust roots.

use crate::{
    config::Config,
    exit::{Exit, Failure},
    output, signing,
    state::{self, Place},
};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use sweeper_core::{
    approve::Trust,
    audit::{self, Checkpoint, Log, LogError, Millis, Origin, Trail, TrailConfig},
    clock::Clock,
    lease::Holder,
    model::Timestamp,
    note::{Signer, Verifier},
    plan,
    store::{PutOutcome, Store, StoreError},
};
use sweeper_store::{Bucket, FileLock, FileLog, ObjectLog};

/// Where the deployment's own name is kept: made at its first plan, and of no other deployment.
pub const NAME: &str = "deployment";
/// Where it is kept when the trust roots last changed.
const TRUST: &str = "trust";
/// How many events may lie between two signed heads of the log.
const EVERY: u64 = 64;
/// What the log is called beside the deployment's name.
pub const LOG: &str = "main";

/// Every failure of the state, by its exit code.
pub fn failed(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::Damaged(_) | StoreError::Newer { .. } => Exit::Damaged,
        StoreError::Busy(_) => Exit::Locked,
        StoreError::Unwritable(_) | StoreError::Failed(_) => Exit::Damaged,
    };
    Failure::new(exit, error.to_string())
}

/// A deployment, opened.
pub struct Deployment {
    pub store: Arc<dyn Store>,
    pub name: String,
    pub trust: Trust,
    log: Lines,
    key: LogKey,
    /// The state's file, where it is one.
    file: Option<PathBuf>,
}

/// What signs the heads of the log.
enum LogKey {
    /// None: who plans and approves signs no head.
    Unnamed,
    File(PathBuf),
    Program(Box<Verifier>, Vec<String>),
}

/// Where the lines of the log lie.
enum Lines {
    Directory(PathBuf),
    Bucket(Bucket),
}

impl Deployment {
    /// Opens the deployment that the config and the state name. Fails where nothing lasts: plans and approvals cannot.
    pub fn open(named: Option<&str>, config: &Config, now: Timestamp) -> Result<Self, Failure> {
        let place = state::place(named, config)?;
        let file = match &place {
            None | Some(Place::Memory) => {
                return Err(Failure::usage("plans need a state that lasts: here nothing is remembered")
                    .help("--state PATH, or `state = \"…\"` in the config"));
            }
            Some(Place::File(path)) => Some(state::database(path)),
            Some(Place::Bucket(_)) => None,
        };
        let beside = config.apply.log.clone().or_else(|| file.as_ref().map(|path| path.with_extension("audit")));
        let key = if let Some((verifier, words)) = config.apply.signer.clone() {
            LogKey::Program(Box::new(verifier), words)
        } else {
            let key = config.apply.key.clone().or_else(|| beside.as_ref().map(|log| log.join("key")));
            key.map_or(LogKey::Unnamed, LogKey::File)
        };
        let Some(place) = place else { return Err(Failure::usage("there is no place for state")) };
        let store = state::open(&place).map_err(|error| failed(&error))?;
        let log = match (beside, place) {
            (Some(directory), _) => Lines::Directory(directory),
            (None, Place::Bucket(bucket)) => Lines::Bucket(bucket),
            (None, _) => return Err(Failure::usage("there is no place for the audit log")),
        };
        let name = name(store.as_ref()).map_err(|error| failed(&error))?;
        let mut trust = config.trust.clone();
        trust.changed = changed(store.as_ref(), &trust, now).map_err(|error| failed(&error))?;
        Ok(Self { store, name, trust, log, key, file })
    }

    /// The log, to be read.
    pub fn log(&self) -> Result<Box<dyn Log>, Failure> {
        Ok(match &self.log {
            Lines::Directory(directory) => Box::new(FileLog::open_to_read(directory)),
            Lines::Bucket(bucket) => Box::new(ObjectLog::open(bucket, LOG).map_err(|error| log_failed(&error))?),
        })
    }

    /// The lock of the state's file: whoever has it knows that no other holder of the lease is alive. `None` where the
    /// state is no file.
    pub fn alone(&self) -> Result<Option<FileLock>, Failure> {
        self.file.as_deref().map(FileLock::take).transpose().map_err(|error| failed(&error))
    }

    pub fn origin(&self) -> Origin {
        Origin::new(&self.name, LOG)
    }

    /// The head of the log that the state remembers.
    pub fn remembered(&self) -> Result<Option<Checkpoint>, Failure> {
        audit::remembered(self.store.as_ref(), &self.origin()).map_err(|error| log_failed(&error))
    }

    /// The key that signs the log's heads; made where there is none.
    pub fn signer(&self) -> Result<Signer, Failure> {
        let path = match &self.key {
            LogKey::Program(verifier, words) => {
                return Ok(signing::by_program(verifier.as_ref().clone(), words.clone()));
            }
            LogKey::File(path) => path,
            LogKey::Unnamed => {
                return Err(Failure::usage(
                    "with state in a bucket, `key` of [apply] names the file of the key that signs the audit log, or \
                     `signer_command` a program that signs it",
                ));
            }
        };
        if let Ok(text) = fs::read_to_string(path) {
            return Signer::parse(text.trim()).map_err(|error| {
                Failure::new(Exit::Damaged, format!("the log's key {} cannot be used: {error}", path.display()))
            });
        }
        let signer = fresh(&format!("sweeper/{}", self.name))?;
        write_key(path, &signer)?;
        Ok(signer)
    }

    /// Opens the log for an epoch of the lock.
    pub fn trail(
        &self,
        run: String,
        clock: Arc<dyn Clock>,
    ) -> Result<impl Fn(u64) -> Result<Trail, LogError> + Send + Sync + use<>, Failure> {
        let signer = self.signer()?;
        let log: Arc<dyn Log> = match &self.log {
            Lines::Directory(directory) => Arc::new(FileLog::open(directory).map_err(|error| log_failed(&error))?),
            Lines::Bucket(bucket) => Arc::new(ObjectLog::open(bucket, LOG).map_err(|error| log_failed(&error))?),
        };
        let (store, origin) = (Arc::clone(&self.store), self.origin());
        Ok(move |epoch: u64| {
            let config = TrailConfig {
                origin: origin.clone(),
                run: run.clone(),
                epoch,
                signer: signer.clone(),
                earlier: Vec::new(),
                every: EVERY,
            };
            let now = Millis(clock.wall().0.saturating_mul(1000));
            Trail::open(Arc::clone(&log), Arc::clone(&store), config, now).map(|(trail, _)| trail)
        })
    }
}

/// A failure of the log.
pub fn log_failed(error: &LogError) -> Failure {
    let exit = match error {
        LogError::Busy(_) | LogError::Fenced { .. } | LogError::Taken(_) => Exit::Locked,
        _ => Exit::Damaged,
    };
    Failure::new(exit, error.to_string())
}

/// Who runs this, for the log and the lock.
pub fn holder(run: String) -> Holder {
    Holder { by: person(), run }
}

/// `user@host`, as far as the environment tells.
pub fn person() -> String {
    let of = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let user = of(&["SWEEPER_USER", "USER", "LOGNAME"]).unwrap_or_else(|| "somebody".to_owned());
    if user.contains('@') {
        return user;
    }
    let host = of(&["HOSTNAME", "HOST"]).or_else(|| {
        fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
    });
    format!("{user}@{}", host.unwrap_or_else(|| "localhost".to_owned()))
}

/// A new key, of the machine's own randomness.
pub fn fresh(name: &str) -> Result<Signer, Failure> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(Exit::Bug, format!("the machine gives no random numbers: {error}")))?;
    Signer::generate(name, &seed).map_err(|error| Failure::usage(format!("`{name}` cannot name a key: {error}")))
}

/// Writes a private key, readable by its owner only, where nothing is.
pub fn write_key(path: &Path, signer: &Signer) -> Result<(), Failure> {
    let written = (|| {
        let key = signer.private_key().ok_or_else(|| std::io::Error::other("somebody else keeps it"))?;
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory)?;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        writeln!(file, "{key}")?;
        file.sync_all()
    })();
    written
        .map_err(|error: std::io::Error| Failure::usage(format!("failed to write the key {}: {error}", path.display())))
}

fn name(store: &dyn Store) -> Result<String, StoreError> {
    for _ in 0..3 {
        if let Some((bytes, _)) = store.get(NAME)? {
            return String::from_utf8(bytes).map_err(|_| StoreError::Damaged(format!("`{NAME}` is no text")));
        }
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|error| StoreError::Failed(error.to_string()))?;
        let fresh = format!("{:032x}", u128::from_be_bytes(random));
        if let PutOutcome::Stored(_) = store.put_if(NAME, fresh.as_bytes(), None)? {
            return Ok(fresh);
        }
    }
    Err(StoreError::Busy(format!("others keep writing `{NAME}`")))
}

/// When the trust roots last became what they are. The first that are seen hold at once; a change of them starts the
/// cooling period.
fn changed(store: &dyn Store, trust: &Trust, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let digest = trust.digest();
    for _ in 0..3 {
        let known = store.get(TRUST)?;
        let read = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let (digest, at) = text.split_once(' ')?;
            Some((digest.to_owned(), at.parse::<i64>().ok()?))
        };
        let (before, version) = match &known {
            None => (None, None),
            Some((bytes, version)) => {
                let read = read(bytes).ok_or_else(|| StoreError::Damaged(format!("`{TRUST}` cannot be read")))?;
                (Some(read), Some(*version))
            }
        };
        if let Some((own, at)) = &before
            && *own == digest
        {
            return Ok((*at > 0).then_some(Timestamp(*at)));
        }
        let at = if before.is_some() { now.0 } else { 0 };
        if let PutOutcome::Stored(_) = store.put_if(TRUST, format!("{digest} {at}").as_bytes(), version)? {
            return Ok((at > 0).then_some(Timestamp(at)));
        }
    }
    Err(StoreError::Busy(format!("others keep writing `{TRUST}`")))
}

/// A plan in a file or a bucket.
pub fn read_plan(path: &Path) -> Result<plan::Plan, Failure> {
    let bytes = output::read(path)
        .map_err(|error| Failure::usage(format!("failed to read the plan {}: {error}", path.display())))?;
    plan::read(&bytes).map_err(|error| {
        let exit = if matches!(error, plan::PlanError::Changed(_)) { Exit::Refused } else { Exit::Usage };
        Failure::new(exit, format!("failed to read the plan {}: {error}", path.display()))
            .help("plan again: a plan that was changed is another plan")
    })
}
