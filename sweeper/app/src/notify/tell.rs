//! Telling: every digest by each of its channels, with what is remembered of earlier tries, and what becomes of it.

use super::{
    About, Digest, Notice, alert_row,
    deliver::{Delivered, deliver},
    finding_state,
    notifier::{Message, Way},
    outbox::{self, Leave, Outbox, Slot, Thread},
    row_of,
    wire::{Undelivered, Wire},
};
use crate::{
    config::Channel,
    exit::{Exit, Failure},
    log,
};
use std::collections::{BTreeMap, BTreeSet};
use sweeper_core::{
    audit,
    clock::Clock,
    detect::Severity,
    ledger::{Ledger, LedgerKey, LedgerSlice, Told},
    model::{DAY, Timestamp},
    policy::{self, watch},
    report::{Cause, Report},
    store::{Store, StoreError},
};

/// After so many owners that a channel could not be reached for, the rest of them is not tried in this run.
const GIVE_UP: u32 = 2;
/// For how long it is kept that one channel delivered what another has not, seconds.
const KEPT: i64 = 30 * DAY;

/// What telling needs.
pub struct Telling<'a> {
    pub channels: &'a [Channel],
    pub store: &'a dyn Store,
    pub ledger: &'a dyn Ledger,
    pub clock: &'a dyn Clock,
    pub wire: &'a Wire,
    pub deployment: &'a str,
    pub run: &'a str,
    /// When this run looked.
    pub looked: Timestamp,
    /// Also what waits after a failure.
    pub again: bool,
}

/// A notice that was handed to a channel.
pub struct Sent {
    pub delivered: bool,
    pub resources: u64,
    pub receipt: Option<String>,
    /// The SHA-256 of its text.
    pub digest: String,
}

/// What became of one digest, once the ledger has it.
pub struct Notified<'a> {
    pub to: &'a str,
    /// By channel.
    pub sent: BTreeMap<&'a str, Sent>,
    pub at: Timestamp,
    /// What its owner is told by now: what every channel of its policies delivered.
    pub marks: Vec<(LedgerKey, Told)>,
}

/// What telling came to.
#[derive(Debug, Default)]
pub struct Came {
    /// Owners, and those who watch, to whom something was delivered.
    pub told: u64,
    /// Notices that wait, and for what.
    pub waits: BTreeMap<String, u64>,
    /// The same by channel.
    pub waiting: BTreeMap<String, u64>,
    pub closed: u64,
    pub causes: Vec<Cause>,
}

/// Of one channel in one run.
#[derive(Default)]
struct Pace {
    room: usize,
    /// Owners in a row that it could not be reached for.
    lost: u32,
}

fn failed(error: &StoreError) -> Failure {
    crate::deployment::failed(error)
}

impl Telling<'_> {
    /// Tells; `record` is given what became of each digest, in their order.
    pub async fn tell(
        &self,
        digests: &[Digest],
        record: &mut (dyn FnMut(&Notified<'_>) -> Result<Option<Cause>, Failure> + Send),
    ) -> Result<Came, Failure> {
        let mut came = Came::default();
        let mut ways: BTreeMap<String, Pace> = BTreeMap::new();
        for channel in self.channels {
            let carried =
                outbox::carried(self.store, &channel.name, self.clock.wall()).map_err(|error| failed(&error))?;
            let room = (channel.per_day as usize).saturating_sub(carried);
            ways.insert(channel.name.clone(), Pace { room, lost: 0 });
        }
        let mut untold: BTreeSet<&str> = BTreeSet::new();
        for digest in digests {
            untold.extend(digest.untold_policies());
            let notified = self.digest(digest, &mut ways, &mut came).await?;
            if notified.sent.values().any(|sent| sent.delivered) {
                came.told += 1;
            }
            if !notified.sent.is_empty() || !notified.marks.is_empty() {
                came.causes.extend(record(&notified)?);
            }
        }
        for policy in untold {
            log::warn(&format!(
                "no channel takes what `{policy}` finds by its severity, so nobody is told of it and no grace begins"
            ));
        }
        Ok(came)
    }

    async fn digest<'d>(
        &self,
        digest: &'d Digest,
        ways: &mut BTreeMap<String, Pace>,
        came: &mut Came,
    ) -> Result<Notified<'d>, Failure> {
        let mut delivered: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut sent = BTreeMap::new();
        for name in digest.channels() {
            let Some(channel) = self.channels.iter().find(|channel| channel.name == name) else { continue };
            let (states, one) =
                self.by_channel(digest, channel, ways.entry(channel.name.clone()).or_default(), came).await?;
            delivered.insert(name, states);
            sent.extend(one.map(|one| (name, one)));
        }
        let at = self.clock.wall();
        let is_delivered = |channel: &str, state: &str| delivered.get(channel).is_some_and(|own| own.contains(state));
        let marks = digest.marks(&is_delivered, at);
        if !marks.is_empty() {
            self.ledger.mark(&marks).map_err(|error| {
                Failure::new(Exit::Damaged, format!("a notice went out and could not be remembered: {error}"))
            })?;
        }
        Ok(Notified { to: digest.whose(), sent, at, marks })
    }

    /// What of a digest a channel has delivered by now, and what was handed to it just now.
    async fn by_channel(
        &self,
        digest: &Digest,
        channel: &Channel,
        way: &mut Pace,
        came: &mut Came,
    ) -> Result<(BTreeSet<String>, Option<Sent>), Failure> {
        let now = self.clock.wall();
        let known = outbox::load(self.store, &channel.name, digest.owner()).map_err(|error| failed(&error))?;
        let mut states: BTreeSet<String> = known.delivered.keys().cloned().collect();
        let quiet = channel.quiet.as_ref().and_then(|quiet| quiet.ends(now));
        let about = About { deployment: self.deployment, run: self.run, made: now, sent: known.sent };
        let most = channel.by.notifier().most();
        let fresh = |state: &str, _: Severity| !states.contains(state);
        let aloud = |state: &str, severity: Severity| fresh(state, severity) && severity == Severity::Page;
        let mut wait = |why: String| {
            *came.waits.entry(why).or_default() += 1;
            *came.waiting.entry(channel.name.clone()).or_default() += 1;
        };
        let made = match quiet {
            None => digest.notice(&channel.name, most, &fresh, &about),
            Some(ends) => {
                let made = digest.notice(&channel.name, most, &aloud, &about);
                if made.is_none() && digest.notice(&channel.name, most, &fresh, &about).is_some() {
                    wait(format!("for {ends}: `{}` has quiet hours", channel.name));
                }
                made
            }
        };
        let Some((notice, named)) = made else { return Ok((states, None)) };
        if way.room == 0 {
            wait(format!("for tomorrow: `notices_per_day` of `{}`", channel.name));
            return Ok((states, None));
        }
        if way.lost >= GIVE_UP {
            wait(format!("for the next run: `{}` is down", channel.name));
            return Ok((states, None));
        }
        let slot = Slot {
            store: self.store,
            channel: &channel.name,
            owner: digest.owner(),
            to: digest.to.as_deref(),
            run: self.run,
        };
        match slot.leave(&notice.id, now, self.looked, self.again).map_err(|error| failed(&error))? {
            Leave::Go => {}
            Leave::Taken => {
                wait(format!("for another run, which is telling by `{}`", channel.name));
                return Ok((states, None));
            }
            Leave::Told => {
                wait(format!("for the next run: another one told them by `{}` meanwhile", channel.name));
                return Ok((states, None));
            }
            Leave::Waits(trouble) => {
                wait(format!(
                    "until {} after {} by `{}`",
                    trouble.again,
                    super::words::tries(trouble.tries),
                    channel.name
                ));
                came.causes.push(Exit::ActionsFailed.cause(undelivered(&notice, &trouble.why)));
                return Ok((states, None));
            }
        }
        if known.leaving.is_some() {
            log::say(&format!(
                "a notice to {} by `{}` may have gone out before a run ended: it is sent again with its key",
                digest.whose(),
                channel.name
            ));
        }
        let mut threads = known.threads.clone();
        let before = threads.clone();
        let ended = deliver(channel, &notice, self.wire, self.clock, &mut threads).await;
        threads.retain(|key, thread| before.get(key) != Some(thread));
        let at = self.clock.wall();
        let mut sent = Sent {
            delivered: true,
            resources: (notice.new.len() + notice.alerts.len()) as u64,
            receipt: None,
            digest: audit::digest(&notice.text),
        };
        match ended {
            Ok(Delivered { receipt }) => {
                way.lost = 0;
                way.room -= 1;
                sent.receipt = receipt;
                slot.delivered(at, &named, &threads).map_err(|error| failed(&error))?;
                outbox::count(self.store, &channel.name, channel.per_day, at).map_err(|error| failed(&error))?;
                states.extend(named);
            }
            Err(error) => {
                sent.delivered = false;
                if matches!(error, Undelivered::Later { .. }) {
                    way.lost += 1;
                }
                let trouble = slot.failed(at, &error, &threads).map_err(|error| failed(&error))?;
                let said = undelivered(&notice, &trouble.why);
                log::warn(&format!("{said}; it is tried again from {}", trouble.again));
                came.causes.push(Exit::ActionsFailed.cause(said));
            }
        }
        Ok((states, Some(sent)))
    }

    /// Closes the tickets and incidents of which everything is gone, and forgets what needs not be known any more.
    /// `known` is the ledger as it is kept, in which the clock of whatever may still be there runs.
    pub async fn settle(
        &self,
        digests: &[Digest],
        known: &LedgerSlice,
        seen: &Seen,
        came: &mut Came,
    ) -> Result<(), Failure> {
        let settled = Settled::of(known, seen);
        let now = self.clock.wall();
        let waiting: BTreeSet<&str> = digests.iter().flat_map(Digest::states).collect();
        for channel in self.channels {
            let mut is_lost = false;
            for (key, kept) in outbox::of_channel(self.store, &channel.name).map_err(|error| failed(&error))? {
                let done = |thread: &Thread| settled.is_done(thread);
                let over: Vec<(&String, &Thread)> = kept.threads.iter().filter(|(_, thread)| done(thread)).collect();
                let mut closed: BTreeSet<&str> = BTreeSet::new();
                for (thread_key, thread) in over {
                    let Way::Threads(own) = channel.by.notifier().way() else { break };
                    if is_lost {
                        break;
                    }
                    match own.settle(thread_key, thread, self.wire).await {
                        Ok(()) => drop(closed.insert(thread_key)),
                        Err(error) => {
                            is_lost = matches!(error, Undelivered::Later { .. });
                            let said =
                                format!("`{}` of `{}` is not closed: {}", thread.remote, channel.name, error.why());
                            log::warn(&said);
                            came.causes.push(Exit::ActionsFailed.cause(said));
                        }
                    }
                }
                came.closed += closed.len() as u64;
                let is_alerts = key.ends_with("/-alerts");
                if closed.is_empty() && kept.delivered.is_empty() {
                    continue;
                }
                outbox::change(self.store, &key, |outbox: &mut Outbox| {
                    outbox.threads.retain(|key, _| !closed.contains(key.as_str()));
                    // What is told by now need not be known here; an alert has to be for as long as it stands, and what
                    // was not seen today for a while.
                    outbox.delivered.retain(|state, at| {
                        let stands = waiting.contains(state.as_str());
                        if is_alerts {
                            stands || settled.keeps_alerts
                        } else {
                            !settled.told.contains(state) && (stands || now.since(*at) < KEPT)
                        }
                    });
                })
                .map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    }

    /// What would be sent.
    pub fn preview(&self, digests: &[Digest]) -> Result<Vec<String>, Failure> {
        let mut shown = Vec::new();
        for digest in digests {
            for name in digest.channels() {
                let Some(channel) = self.channels.iter().find(|channel| channel.name == name) else { continue };
                let notifier = channel.by.notifier();
                let known = outbox::load(self.store, name, digest.owner()).map_err(|error| failed(&error))?;
                let made = self.clock.wall();
                let about = About { deployment: self.deployment, run: self.run, made, sent: known.sent };
                let fresh = |state: &str, _: Severity| !known.delivered.contains_key(state);
                let Some((notice, _)) = digest.notice(name, notifier.most(), &fresh, &about) else { continue };
                let message = Message::of(&notice, channel);
                let text =
                    notifier.preview(&message).unwrap_or_else(|error| format!("not deliverable: {}\n", error.why()));
                shown.push(format!("Channel: {name} ({})\n{text}\n", channel.by.name()));
            }
        }
        Ok(shown)
    }
}

fn undelivered(notice: &Notice, why: &str) -> String {
    let whose =
        notice.to.as_deref().unwrap_or(if notice.alerts.is_empty() { "nobody known" } else { "those who watch" });
    format!("the notice to {whose} by `{}` was not delivered, and no grace begins: {why}", notice.channel)
}

/// What a run saw of what was told earlier.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Findings that somebody keeps.
    kept: BTreeSet<String>,
    /// What watching came to.
    told: Vec<policy::Told>,
}

impl Seen {
    pub fn of(report: &Report<'_>) -> Self {
        let kept = report.glances().filter(|glance| matches!(glance.reason, "excepted" | "protected" | "kept"));
        Self {
            kept: kept.map(|glance| row_of(&LedgerKey::new(&glance.policy.rule, &glance.resource))).collect(),
            told: report.told.clone(),
        }
    }
}

/// What is over, as far as it is known.
struct Settled {
    /// Clocks that run, of what nobody keeps.
    open: BTreeSet<String>,
    /// States that are told by now, by every channel.
    told: BTreeSet<String>,
    /// Alerts that stand.
    alerts: BTreeSet<String>,
    /// Policies that watch and of which this run knows what they found.
    judged: BTreeSet<String>,
    /// Whether some of them are not known now: what was told of alerts is then not forgotten.
    keeps_alerts: bool,
}

impl Settled {
    fn of(known: &LedgerSlice, seen: &Seen) -> Self {
        let mut open: BTreeSet<String> = known.iter().map(|(key, _)| row_of(key)).collect();
        let marks = known.iter().flat_map(|(key, sighting)| sighting.told.iter().map(move |told| (key, told)));
        let told = marks.map(|(key, told)| finding_state(&told.policy, &row_of(key), &told.fingerprint)).collect();
        // What its owner keeps is not done with, but there is nothing to do about it.
        for row in &seen.kept {
            open.remove(row);
        }
        let unknown = |told: &policy::Told| matches!(told.outcome, watch::Outcome::Unknown | watch::Outcome::Learning);
        let mut judged: BTreeSet<String> = seen.told.iter().map(|told| told.policy.clone()).collect();
        for told in seen.told.iter().filter(|told| unknown(told)) {
            judged.remove(&told.policy);
        }
        let alerts = seen.told.iter().filter(|told| told.outcome == watch::Outcome::Alert);
        Self {
            open,
            told,
            alerts: alerts.map(|told| alert_row(&told.policy, &told.subject)).collect(),
            keeps_alerts: seen.told.is_empty() || seen.told.iter().any(unknown),
            judged,
        }
    }

    fn is_done(&self, thread: &Thread) -> bool {
        match &thread.subject {
            None => !thread.rows.iter().any(|row| self.open.contains(row)),
            Some(_) => self.judged.contains(&thread.policy) && !thread.rows.iter().any(|row| self.alerts.contains(row)),
        }
    }
}
