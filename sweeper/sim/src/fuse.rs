//! What kills a run at one of its steps, or stops it for a while: every reading and writing of state and log, and every
//! call, is a step.

use crate::clock::SimClock;
use std::{
    io::BufRead,
    panic,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use sweeper_core::{
    audit::{Log, LogError},
    store::{DeleteOutcome, Put, PutOutcome, Store, StoreError, Version},
};

/// What a dying run panics with.
#[derive(Debug)]
pub struct Killed;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The run dies before the step does anything.
    KillBefore(u64),
    /// The run dies after the step has done its work, before it hears of it.
    KillAfter(u64),
    /// The step fails, and so does every later one: a disk that is full.
    Full(u64),
    /// Nothing can be written from the beginning: state that is read only.
    ReadOnly,
    /// The run is stopped before the step, for hours, and goes on as if nothing had been.
    Pause(u64),
}

#[derive(Default)]
struct State {
    steps: u64,
    blow: Option<Blow>,
    clock: Option<Arc<SimClock>>,
}

/// Counts the steps of one run. Clones count together.
#[derive(Clone, Default)]
pub struct Fuse(Arc<Mutex<State>>);

/// How long a run is stopped by [`Blow::Pause`].
const PAUSE: Duration = Duration::from_hours(2);

impl Fuse {
    /// A run that is struck so.
    pub fn new(blow: Option<Blow>, clock: &Arc<SimClock>) -> Self {
        Self(Arc::new(Mutex::new(State { steps: 0, blow, clock: Some(Arc::clone(clock)) })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many steps there were.
    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// The arrival of a call, which is a step like others but for one thing: a process that is stopped by now no longer
    /// holds it back.
    pub fn arrival<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let next = self.lock().steps + 1;
        if self.lock().blow == Some(Blow::Pause(next)) {
            self.lock().blow = Some(Blow::Pause(next + 1));
        }
        self.step(work)
    }

    /// Does one step; `None` where it fails.
    pub fn step<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let (at, blow, clock) = {
            let mut state = self.lock();
            state.steps += 1;
            (state.steps, state.blow, state.clock.clone())
        };
        match blow {
            Some(Blow::KillBefore(when)) if when == at => panic::panic_any(Killed),
            Some(Blow::KillAfter(when)) if when == at => {
                drop(work());
                panic::panic_any(Killed)
            }
            Some(Blow::Full(when)) if at >= when => None,
            Some(Blow::Pause(when)) if when == at => {
                if let Some(clock) = clock {
                    clock.jump(PAUSE);
                }
                Some(work())
            }
            _ => Some(work()),
        }
    }
}

/// A store whose every use is a step.
pub struct FusedStore<S>(pub S, pub Fuse);

impl<S> FusedStore<S> {
    /// A writing, of a state that may not take any.
    fn write<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.1.lock().blow == Some(Blow::ReadOnly) {
            return Err(StoreError::Unwritable("attempt to write a readonly database".to_owned()));
        }
        self.1.step(work).unwrap_or_else(|| Err(full()))
    }
}

fn full() -> StoreError {
    StoreError::Failed("no space left on device".to_owned())
}

impl<S: Store> Store for FusedStore<S> {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        self.1.step(|| self.0.get(key)).unwrap_or_else(|| Err(full()))
    }

    fn put_if(&self, key: &str, value: &[u8], expected: Option<Version>) -> Result<PutOutcome, StoreError> {
        self.write(|| self.0.put_if(key, value, expected))
    }

    fn put_all_if(&self, puts: &[Put]) -> Result<Vec<PutOutcome>, StoreError> {
        self.write(|| self.0.put_all_if(puts))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.1.step(|| self.0.list(prefix)).unwrap_or_else(|| Err(full()))
    }

    fn delete_if(&self, key: &str, expected: Version) -> Result<DeleteOutcome, StoreError> {
        self.write(|| self.0.delete_if(key, expected))
    }
}

/// A log whose every writing is a step.
pub struct FusedLog<L>(pub L, pub Fuse);

fn unwritable() -> LogError {
    LogError::Unwritable("no space left on device".to_owned())
}

impl<L: Log> Log for FusedLog<L> {
    fn append(&self, first: u64, lines: &[Vec<u8>]) -> Result<(), LogError> {
        self.1.step(|| self.0.append(first, lines)).unwrap_or_else(|| Err(unwritable()))
    }

    fn segments(&self, from: u64) -> Result<Vec<u64>, LogError> {
        self.0.segments(from)
    }

    fn read(&self, segment: u64) -> Result<Box<dyn BufRead + '_>, LogError> {
        self.0.read(segment)
    }

    fn cut(&self, segment: u64, keep: u64) -> Result<(), LogError> {
        self.1.step(|| self.0.cut(segment, keep)).unwrap_or_else(|| Err(unwritable()))
    }

    fn stride(&self) -> Option<u64> {
        self.0.stride()
    }

    fn checkpoints(&self) -> Result<Vec<u64>, LogError> {
        self.0.checkpoints()
    }

    fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, LogError> {
        self.0.checkpoint(size)
    }

    fn latest(&self) -> Result<Option<Vec<u8>>, LogError> {
        self.0.latest()
    }

    fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<(), LogError> {
        self.1.step(|| self.0.put_checkpoint(size, note)).unwrap_or_else(|| Err(unwritable()))
    }
}
