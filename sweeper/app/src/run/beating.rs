//! Says in the state that a run is alive, from a thread of its own: whoever finds it silent makes up for it.

use super::remembered;
use crate::{
    config::Entry,
    log,
    state::{self, Place},
};
use std::sync::mpsc;
use sweeper_core::triggers::BEAT;

/// Beats until it is dropped. A beat that is under way then changes nothing: the run has ended, or is no longer the last.
pub struct Beating(#[expect(dead_code, reason = "dropped, it ends the thread")] mpsc::Sender<()>);

impl Beating {
    /// `None`, and said, where there is no thread for it: then the run counts as one that died, and is made up for.
    pub fn begin(place: Place, entry: Entry, run: String) -> Option<Self> {
        let (end, ended) = mpsc::channel::<()>();
        let work = move || {
            while ended.recv_timeout(BEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                // One that fails is made up for by the next.
                let _ = state::open(&place).and_then(|store| remembered::beat(store.as_ref(), &entry, &run));
            }
        };
        match std::thread::Builder::new().name("beating".to_owned()).spawn(work) {
            Ok(_) => Some(Self(end)),
            Err(error) => {
                log::warn(&format!("nobody is told that the run is alive: {error}"));
                None
            }
        }
    }
}
