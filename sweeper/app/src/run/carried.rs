//! What a job that had no time to list everything leaves to the next one of its schedule: see [`sweeper_core::begun`].

use crate::{
    TOOL,
    commands::Settings,
    engine::Outcome,
    log, shards,
    state::{self, Place},
};
use serde::Serialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_core::{
    begun::{self, Begun, Same},
    kind::KindSpec,
    model::Timestamp,
    store::{Store, StoreError, Version},
};

/// How long a look may take, and what it carries on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Within<'a> {
    /// `None`: as long as the config says.
    pub time: Option<Duration>,
    /// `None`: it lists everything itself, and keeps nothing.
    pub carried: Option<&'a Carried<'a>>,
}

/// From where the next job goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resume {
    /// How many listings are kept.
    pub listings: usize,
    /// How long they are good for.
    pub until: String,
}

impl Resume {
    /// In words, to follow others.
    pub fn says(&self) -> String {
        let Self { listings, until } = self;
        format!("{listings} listings are kept, and the same schedule goes on from them until {until}")
    }
}

/// What one job of a schedule carries on.
#[derive(Debug)]
pub struct Carried<'a> {
    place: &'a Place,
    schedule: &'a str,
    rules: String,
    /// What was found: its version, and how many listings are gone on from.
    found: Mutex<Option<(Version, usize)>>,
    resume: Mutex<Option<Resume>>,
}

impl<'a> Carried<'a> {
    /// `None` where nothing lasts.
    pub fn of(settings: &'a Settings, schedule: &'a str) -> Option<Self> {
        let place = settings.state.as_ref().filter(|place| **place != Place::Memory)?;
        let rules = shards::rules(settings);
        Some(Self { place, schedule, rules, found: Mutex::default(), resume: Mutex::default() })
    }

    fn same(&self) -> Same<'_> {
        Same { schedule: self.schedule, tool: TOOL, rules: &self.rules }
    }

    fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        state::open(self.place)
    }

    /// What the job before left, where that is to be gone on from.
    pub fn begun(&self, specs: &[&'static KindSpec], now: Timestamp) -> Option<Begun> {
        let loaded = self.store().and_then(|store| begun::load(store.as_ref(), self.same(), specs, now));
        let found = match loaded {
            Ok(found) => found?,
            Err(error) => {
                log::warn(&format!("what an earlier run listed is not known, and everything is listed: {error}"));
                return None;
            }
        };
        let (version, begun) = (found.version(), found.begun);
        let known = begun.as_ref().map_or(0, |begun| begun.listings);
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, known));
        if let Some(Begun { began, listings, .. }) = &begun {
            log::say(&format!("goes on from {listings} listings of the run that began at {began} and had no time"));
        }
        begun
    }

    /// Leaves what a look listed that had no time, and takes away what one went on from that came to its end.
    pub fn leave(&self, outcome: &Outcome) {
        let survey = &outcome.sealed.survey;
        let found = *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a look whose time is in doubt nobody knows how old it is.
        let is_cut = begun::is_cut(&survey.inventory, &survey.answers) && outcome.sealed.ledger.doubt().is_none();
        if !is_cut && found.is_none() {
            return;
        }
        let left = self.store().and_then(|store| match found {
            Some((version, _)) if !is_cut => begun::forget(store.as_ref(), self.schedule, version).map(|_| None),
            _ => {
                let instants = (survey.started, survey.taken_at);
                begun::keep(store.as_ref(), self.same(), found, instants, &survey.inventory)
            }
        });
        match left {
            Ok(None) => {}
            Ok(Some((listings, until))) => {
                let resume = Resume { listings, until: until.to_string() };
                *self.resume.lock().unwrap_or_else(PoisonError::into_inner) = Some(resume);
            }
            Err(error) => log::warn(&format!("what was listed is not kept, and the next run lists it again: {error}")),
        }
    }

    /// What the next job goes on from.
    pub fn resume(&self) -> Option<Resume> {
        self.resume.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
