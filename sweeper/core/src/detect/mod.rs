//! Detectors: patterns of waste, each a pure function of what was seen.
//!
//! A detector reads facts and asks the [`View`]; it never sees a cloud's own shapes, a clock or a call.
//! Whatever it asks that has not been answered is noted, and the verdict is *unknown* until it is: that
//! note is how the survey learns which paid or slow questions are worth asking. Some questions are only
//! asked once others are answered (whether an empty bucket really is empty), so asking goes in rounds,
//! until a round notes nothing new.

use crate::{
    answers::{Answer, Answers, Ask, Metric, Question, Usage},
    facts::{FactsRef, Media},
    house::House,
    in_use::{self, Mention, Told},
    inventory::{Inventory, Resource, ResourceIx, Search, Unseen},
    model::{Class, CloudId, DAY, Reach, Relation, Scope, Timestamp},
};
use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

mod repository;

pub(crate) use dead_cluster::gone_manager;

/// How much it matters that somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Ticket,
    Page,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Ticket => "ticket",
            Self::Page => "page",
        }
    }
}

/// A detector's passport.
#[derive(Debug)]
pub struct Spec {
    /// Names the pattern; reads well after "sweep every …". Equal to the file's name.
    pub id: &'static str,
    /// "disk that nothing mounts".
    pub title: &'static str,
    /// The classes it judges. Empty: every class but referrers.
    pub classes: &'static [Class],
    /// Relations it asks [`View::users`] about: the kinds that declare them are listed along.
    pub relations: &'static [Relation],
    /// Classes it asks [`View::exists`] about: their kinds are listed along.
    pub sources: &'static [Class],
    /// Questions it may put to the cloud: one call or more a resource, each only where it decides.
    pub questions: &'static [Question],
    /// The policy severity it has when a policy does not say.
    pub severity: Severity,
    /// One paragraph, shown by `explain`.
    pub why_it_matters: &'static str,
    /// What makes it wrong and how to except that, shown by `explain`.
    pub when_it_is_wrong: &'static str,
}

impl Spec {
    /// Whether a resource with this pattern is waste itself, so that its cost is a saving. Of the others
    /// only a setting is wrong: nothing of their cost may be claimed.
    pub fn is_waste(&self) -> bool {
        !matches!(self.id, "missing-owner" | "previous-generation-disk" | "unbounded-log-group" | "unbounded-versions")
    }

    /// Whether it says that nobody uses a resource: what an in-use file names is then not this pattern.
    pub fn is_of_unused(&self) -> bool {
        matches!(
            self.id,
            "unattached-disk"
                | "orphaned-snapshot"
                | "unused-image"
                | "untagged-artifact"
                | "stale-artifact"
                | "old-function-version"
                | "unassociated-address"
                | "unattached-interface"
                | "unused-security-group"
                | "unbound-target-group"
                | "sourceless-db-snapshot"
                | "dead-cluster"
        )
    }

    /// Whether it judges resources of a class.
    pub fn judges(&self, class: Class) -> bool {
        class != Class::Referrer && (self.classes.is_empty() || self.classes.contains(&class))
    }
}

/// One thing seen, and where.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Evidence {
    pub fact: Cow<'static, str>,
    pub value: String,
    /// The permission of the call it came from, or a short phrase.
    pub source: Cow<'static, str>,
}

/// A finding's content. Cannot be built without evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    evidence: Vec<Evidence>,
    since: Option<(Timestamp, &'static str)>,
}

impl Finding {
    /// With its first piece of evidence.
    pub fn new(fact: impl Into<Cow<'static, str>>, value: impl ToString, source: impl Into<Cow<'static, str>>) -> Self {
        Self {
            evidence: vec![Evidence { fact: fact.into(), value: value.to_string(), source: source.into() }],
            since: None,
        }
    }

    /// And another.
    #[must_use]
    pub fn and(
        mut self,
        fact: impl Into<Cow<'static, str>>,
        value: impl ToString,
        source: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.evidence.push(Evidence { fact: fact.into(), value: value.to_string(), source: source.into() });
        self
    }

    /// And where it was searched, after a search.
    #[must_use]
    pub fn searched(self, view: &View<'_>) -> Self {
        self.and("searched", view.searched_line(), "inventory")
    }

    /// And a measure: its highest day, and how much of the window there is data for.
    #[must_use]
    pub fn measured(self, metric: Metric, usage: &Usage) -> Self {
        let value = format!("at most {} on {} of {} days", Number(usage.max), usage.covered, usage.days);
        self.and(metric.name(), value, "metrics")
    }

    /// And a fact that may not be known, when it is.
    #[must_use]
    pub fn and_known(
        self,
        fact: impl Into<Cow<'static, str>>,
        value: Option<impl ToString>,
        source: impl Into<Cow<'static, str>>,
    ) -> Self {
        match value {
            Some(value) => self.and(fact, value, source),
            None => self,
        }
    }

    /// Since when the cloud itself says so, and by which fact.
    #[must_use]
    pub fn since(mut self, at: Option<Timestamp>, basis: &'static str) -> Self {
        self.since = at.map(|at| (at, basis));
        self
    }

    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    pub fn since_hint(&self) -> Option<(Timestamp, &'static str)> {
        self.since
    }
}

/// A measure as people write it: whole, or with two places.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.fract() == 0.0 { write!(formatter, "{:.0}", self.0) } else { write!(formatter, "{:.2}", self.0) }
    }
}

/// What a detector says of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Found(Finding),
    /// Not this pattern; with the trap's name when it only looks like it.
    Clean(Option<&'static str>),
    /// Something that decides it could not be seen.
    Unknown(Unseen),
}

impl Verdict {
    /// Not this pattern.
    pub const CLEAN: Self = Self::Clean(None);

    /// Looks like this pattern and is not: `trap` says why.
    pub const fn trap(trap: &'static str) -> Self {
        Self::Clean(Some(trap))
    }
}

/// `?` in a judge turns what was not seen into *unknown*.
pub type Judged = Result<Verdict, Unseen>;

/// What the judging of one resource looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Questions that still have no answer. They count whatever the verdict: some only add evidence.
    pub asks: BTreeSet<Ask>,
    /// Kinds searched, with reach.
    pub searched: BTreeSet<String>,
    /// Waived scopes the verdict rests on.
    pub assuming: BTreeSet<String>,
    /// Referrers nobody can list from here.
    pub out_of_sight: BTreeSet<&'static str>,
}

/// The cause of an [`Unseen`] that only waits for an answer.
pub const NOT_ASKED: &str = "not asked";

/// Everything a rule may look at.
pub struct View<'a> {
    pub inventory: &'a Inventory,
    pub answers: &'a Answers,
    pub house: &'a House,
    pub now: Timestamp,
    notes: RefCell<Notes>,
    /// The passport of the detector that is looking, to hold it to what it declares.
    looking: Cell<Option<&'static Spec>>,
    repositories: repository::Cache,
    told: RefCell<BTreeMap<CloudId, ByAccount>>,
}

type ByAccount = BTreeMap<Box<str>, Rc<Told>>;

/// Who uses a resource: those that were seen, and whoever an in-use file tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    seen: Vec<ResourceIx>,
    elsewhere: bool,
}

impl Users {
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty() && !self.elsewhere
    }

    /// How many are known of.
    pub fn len(&self) -> usize {
        self.seen.len() + usize::from(self.elsewhere)
    }

    /// Those that were seen.
    pub fn iter(&self) -> impl Iterator<Item = &ResourceIx> {
        self.seen.iter()
    }
}

impl<'a> View<'a> {
    pub fn new(inventory: &'a Inventory, answers: &'a Answers, house: &'a House, now: Timestamp) -> Self {
        Self {
            inventory,
            answers,
            house,
            now,
            notes: RefCell::default(),
            looking: Cell::default(),
            repositories: repository::Cache::default(),
            told: RefCell::default(),
        }
    }

    /// What was looked at since the last call.
    pub fn take_notes(&self) -> Notes {
        self.repositories.notes_taken();
        self.notes.take()
    }

    /// A detector that asks more than it declares would be judged on listings that nobody made.
    fn declared(&self, what: &dyn std::fmt::Debug, declares: impl Fn(&Spec) -> bool) {
        if let Some(spec) = self.looking.get() {
            debug_assert!(declares(spec), "{} asks {what:?} and does not declare it", spec.id);
        }
    }

    fn searched(&self, search: &Search) {
        let sight = &search.sight;
        let mut notes = self.notes.borrow_mut();
        // A million searches note the same few lines: only new ones are worth a copy.
        for line in &sight.searched {
            if !notes.searched.contains(line) {
                notes.searched.insert(line.clone());
            }
        }
        for line in &sight.assuming {
            if !notes.assuming.contains(line) {
                notes.assuming.insert(line.clone());
            }
        }
    }

    /// What the in-use files that speak for a resource's account come to.
    pub fn told(&self, resource: Resource<'a>) -> Rc<Told> {
        let (cloud, account) = (resource.cloud(), resource.account());
        if let Some(known) = self.told.borrow().get(&cloud).and_then(|accounts| accounts.get(account)) {
            return Rc::clone(known);
        }
        let told = Rc::new(self.house.referrers.told(self.inventory, cloud, account, self.now));
        self.told.borrow_mut().entry(cloud).or_default().insert(account.into(), Rc::clone(&told));
        told
    }

    /// Where an in-use file says that a resource is in use: it, or a part of the image that it is the index of.
    pub fn mention(&self, resource: Resource<'a>) -> Option<Mention<'a>> {
        let referrers = &self.house.referrers;
        if referrers.is_empty() {
            return None;
        }
        if let Some(mention) = referrers.mention(resource) {
            return Some(mention);
        }
        match resource.facts() {
            FactsRef::Artifact(artifact) if artifact.media == Media::Index => {
                let listed = resource.uses().filter(|(relation, _)| *relation == Relation::ChildOf);
                let mut children: Vec<&str> = listed.map(|(_, child)| child).collect();
                if let Ok(Answer::Manifest { children: answered, .. }) = self.answer(resource, Question::Manifest) {
                    children.extend(answered.iter().map(String::as_str));
                }
                referrers.mention_of_ids(&children)
            }
            _ => None,
        }
    }

    /// Notes which in-use files were looked into, and what is out of sight all the same. That nobody uses a resource
    /// cannot be concluded while one of them cannot be relied on.
    fn nobody_elsewhere(&self, resource: Resource<'a>) -> Result<(), Unseen> {
        if self.house.referrers.is_empty() {
            return Ok(());
        }
        let told = self.told(resource);
        if let Some(trouble) = &told.trouble {
            return Err(Unseen { cause: trouble.clone(), what: "what is used elsewhere".to_owned() });
        }
        let mut notes = self.notes.borrow_mut();
        for line in &told.searched {
            if !notes.searched.contains(line) {
                notes.searched.insert(line.clone());
            }
        }
        Ok(())
    }

    /// Notes what of a search's users nobody can list from here, but for what an in-use file has all of.
    fn out_of_sight(&self, resource: Resource<'a>, search: &Search) {
        let hidden = &search.sight.out_of_sight;
        if hidden.is_empty() {
            return;
        }
        let told = (!self.house.referrers.is_empty()).then(|| self.told(resource));
        let is_told = |what: &&&str| told.as_ref().is_some_and(|told| told.covers.contains(**what));
        self.notes.borrow_mut().out_of_sight.extend(hidden.iter().filter(|what| !is_told(what)));
    }

    /// Who uses the resource by a relation, everywhere within reach.
    pub fn users(&self, resource: Resource<'a>, relation: Relation) -> Result<Users, Unseen> {
        self.declared(&relation, |spec| spec.relations.contains(&relation));
        self.users_in(resource, relation, &[])
    }

    fn users_in(&self, resource: Resource<'a>, relation: Relation, shares: &[String]) -> Result<Users, Unseen> {
        let asks_elsewhere = in_use::may_be_elsewhere(relation);
        if asks_elsewhere && self.mention(resource).is_some() {
            return Ok(Users { seen: Vec::new(), elsewhere: true });
        }
        let search = self.inventory.users(resource, relation, shares)?;
        self.searched(&search);
        self.out_of_sight(resource, &search);
        if asks_elsewhere && search.users.is_empty() {
            self.nobody_elsewhere(resource)?;
        }
        Ok(Users { seen: search.users, elsewhere: false })
    }

    /// As [`Self::users`], for a rule about *all* of them: one user seen does not make up for a blind place
    /// in which there may be another.
    pub fn every_user(&self, resource: Resource<'a>, relation: Relation) -> Result<Vec<ResourceIx>, Unseen> {
        self.declared(&relation, |spec| spec.relations.contains(&relation));
        let search = self.inventory.users(resource, relation, &[])?;
        self.searched(&search);
        self.out_of_sight(resource, &search);
        match &search.sight.unseen {
            Some(unseen) => Err(unseen.clone()),
            None => Ok(search.users),
        }
    }

    /// As [`Self::users`], looking also in the accounts the resource is shared with. Asks for the shares
    /// only when nobody at home uses it, since a user at home decides already.
    pub fn users_and_shares(&self, resource: Resource<'a>, relation: Relation) -> Result<Users, Unseen> {
        let users = self.users(resource, relation)?;
        if !users.is_empty() {
            return Ok(users);
        }
        let shares = self.shares(resource)?;
        if shares.is_empty() {
            return Ok(users);
        }
        self.users_in(resource, relation, shares)
    }

    /// Whether a resource of a class with this native id exists within reach, of those that fit.
    pub fn exists(
        &self,
        near: Resource<'a>,
        class: Class,
        native: crate::intern::Sym,
        reach: Reach,
        fits: impl Fn(Resource<'_>) -> bool,
    ) -> Result<bool, Unseen> {
        self.declared(&class, |spec| spec.sources.contains(&class));
        let search = self.inventory.exists(near, class, native, reach, fits)?;
        self.searched(&search);
        Ok(!search.users.is_empty())
    }

    /// Whether a resource of a class with this native id is known anywhere in the cloud. That one is seen is
    /// certain; that none is says nothing, since not everything may have been seen.
    pub fn known(&self, near: Resource<'a>, class: Class, native: crate::intern::Sym) -> bool {
        self.declared(&class, |spec| spec.sources.contains(&class));
        let search = self.inventory.exists(near, class, native, Reach::Org, |_| true);
        search.is_ok_and(|search| !search.users.is_empty())
    }

    /// Whether another resource of a class within reach refers by the relation to the same thing.
    pub fn marked(
        &self,
        near: Resource<'a>,
        class: Class,
        relation: Relation,
        target: crate::intern::Sym,
        reach: Reach,
    ) -> Result<bool, Unseen> {
        self.declared(&class, |spec| spec.sources.contains(&class));
        let search = self.inventory.marked(near, class, relation, target, reach)?;
        self.searched(&search);
        Ok(!search.users.is_empty())
    }

    /// Whether a group or template that is seen in the resource's account refers by the relation to the same thing.
    /// That one is seen is certain; that none is says nothing: nothing is listed for this.
    pub fn known_to_groups(&self, near: Resource<'a>, relation: Relation, target: crate::intern::Sym) -> bool {
        let search = self.inventory.marked(near, Class::Referrer, relation, target, Reach::Account);
        search.is_ok_and(|search| !search.users.is_empty())
    }

    /// Whether any kind of the resource's cloud may refer by a relation at all.
    pub fn may_be(&self, relation: Relation, resource: Resource<'_>) -> bool {
        self.inventory
            .kinds()
            .iter()
            .any(|spec| spec.cloud == resource.cloud() && spec.refers.iter().any(|(declared, _)| *declared == relation))
    }

    /// The answer to a question, noting it when it has not been asked yet.
    pub fn ask(&self, resource: Resource<'a>, question: Question) -> Result<&'a Answer, Unseen> {
        self.declared(&question, |spec| spec.questions.contains(&question));
        let answer = self.answer(resource, question);
        let ask = Ask { resource: resource.ix(), question };
        if answer.is_err() && self.answers.get(ask).is_none() {
            self.notes.borrow_mut().asks.insert(ask);
        }
        answer
    }

    /// Whether a question has not been put yet.
    pub fn waits(&self, resource: Resource<'a>, question: Question) -> bool {
        self.answers.get(Ask { resource: resource.ix(), question }).is_none()
    }

    fn answer(&self, resource: Resource<'a>, question: Question) -> Result<&'a Answer, Unseen> {
        let cause = match self.answers.get(Ask { resource: resource.ix(), question }) {
            Some(Answer::Unseen(cause)) => cause.clone(),
            Some(answer) => return Ok(answer),
            None => NOT_ASKED.to_owned(),
        };
        Err(Unseen { cause, what: format!("{} of {}", question.name(), resource.kind().title) })
    }

    fn wrong(question: Question) -> Unseen {
        Unseen {
            cause: format!("bug: another answer than asked for {}", question.name()),
            what: question.name().to_owned(),
        }
    }

    /// A measure over the last whole days. Days without data are not zero: see [`Usage::covered`].
    pub fn usage(&self, resource: Resource<'a>, metric: Metric, days: u16) -> Result<Usage, Unseen> {
        let question = Question::Usage { metric, days };
        match self.ask(resource, question)? {
            Answer::Usage(usage) => Ok(*usage),
            _ => Err(Self::wrong(question)),
        }
    }

    /// The measure, if on no day of the window it was above `most`; `None` if it was. Quiet is only said of
    /// a window with data on every day but one (the newest may not have arrived): missing data is unknown,
    /// not zero. One busy day is enough to say busy.
    pub fn quiet(&self, resource: Resource<'a>, metric: Metric, days: u16, most: f64) -> Result<Option<Usage>, Unseen> {
        let usage = self.usage(resource, metric, days)?;
        if usage.max > most {
            return Ok(None);
        }
        if usage.covered.saturating_add(1) < days || usage.max.is_nan() {
            return Err(Unseen {
                cause: "no complete metrics".to_owned(),
                what: format!("{} of {}, {} of {days} days", metric.name(), resource.kind().title, usage.covered),
            });
        }
        Ok(Some(usage))
    }

    /// Whether it came to be less than `days` ago, so that a window of so many days cannot judge it.
    pub fn younger(&self, created: Option<Timestamp>, days: u16) -> bool {
        created.is_some_and(|at| self.now.since(at) < i64::from(days) * DAY)
    }

    /// A fact that decides and that the cloud did not tell.
    pub fn not_told(&self, resource: Resource<'_>, fact: &str) -> Unseen {
        Unseen { cause: format!("not told: {fact}"), what: format!("{fact} of {}", resource.kind().title) }
    }

    /// Accounts the resource is shared with; `"all"` is everybody.
    pub fn shares(&self, resource: Resource<'a>) -> Result<&'a [String], Unseen> {
        match self.ask(resource, Question::Shares)? {
            Answer::Shares(shares) => Ok(shares),
            _ => Err(Self::wrong(Question::Shares)),
        }
    }

    /// An instant; `None` is never.
    pub fn when(&self, resource: Resource<'a>, question: Question) -> Result<Option<Timestamp>, Unseen> {
        match self.ask(resource, question)? {
            Answer::When(at) => Ok(*at),
            _ => Err(Self::wrong(question)),
        }
    }

    /// A yes or no.
    pub fn truth(&self, resource: Resource<'a>, question: Question) -> Result<bool, Unseen> {
        match self.ask(resource, question)? {
            Answer::Truth(truth) => Ok(*truth),
            _ => Err(Self::wrong(question)),
        }
    }

    /// Adds what the provider's own adviser says of the resource, where the kind has one and it answered.
    fn advised(&self, resource: Resource<'a>, finding: Finding) -> Finding {
        let adviser = resource.kind().advised;
        if adviser.is_empty() {
            return finding;
        }
        match self.ask(resource, Question::Advised) {
            Ok(Answer::Truth(advised)) => finding.and(format!("also in {adviser}"), advised, adviser),
            _ => finding,
        }
    }

    /// Children and subject of an artifact.
    pub fn manifest(&self, resource: Resource<'a>) -> Result<(&'a [String], Option<&'a str>), Unseen> {
        match self.ask(resource, Question::Manifest)? {
            Answer::Manifest { children, subject } => Ok((children, subject.as_deref())),
            _ => Err(Self::wrong(Question::Manifest)),
        }
    }

    /// Registered and healthy targets.
    pub fn targets(&self, resource: Resource<'a>) -> Result<(u32, u32), Unseen> {
        match self.ask(resource, Question::Targets)? {
            Answer::Targets { targets, healthy } => Ok((*targets, *healthy)),
            _ => Err(Self::wrong(Question::Targets)),
        }
    }

    /// A size in bytes.
    pub fn bytes(&self, resource: Resource<'a>) -> Result<u64, Unseen> {
        match self.ask(resource, Question::Bytes)? {
            Answer::Bytes(bytes) => Ok(*bytes),
            _ => Err(Self::wrong(Question::Bytes)),
        }
    }

    /// The value of a tag with exactly this key; `None` when it is not there. Unread tags are unknown.
    pub fn tag(&self, resource: Resource<'a>, key: &str) -> Result<Option<&'a str>, Unseen> {
        match resource.listed_tags() {
            Some(tags) => Ok(self.inventory.find(key).and_then(|key| {
                tags.iter().find(|(known, _)| *known == key).map(|(_, value)| self.inventory.text(*value))
            })),
            None => match self.ask(resource, Question::Tags)? {
                Answer::Tags(tags) => Ok(tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())),
                _ => Err(Self::wrong(Question::Tags)),
            },
        }
    }

    /// All tags, in the cloud's order. Unread tags are unknown.
    pub fn tags(&self, resource: Resource<'a>) -> Result<Vec<(&'a str, &'a str)>, Unseen> {
        match resource.listed_tags() {
            Some(tags) => {
                Ok(tags.iter().map(|(key, value)| (self.inventory.text(*key), self.inventory.text(*value))).collect())
            }
            None => match self.ask(resource, Question::Tags)? {
                Answer::Tags(tags) => Ok(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()),
                _ => Err(Self::wrong(Question::Tags)),
            },
        }
    }

    /// How far away the source of a copy may be: in its own region, or in any when the copy has none.
    pub fn reach_of_source(&self, resource: Resource<'_>) -> Reach {
        if resource.region() == Scope::GLOBAL { Reach::Account } else { Reach::Region }
    }

    /// The permission a resource was listed with: the source of evidence from its facts.
    pub fn source(&self, resource: Resource<'_>) -> Cow<'static, str> {
        Cow::Borrowed(resource.kind().reads.first().copied().unwrap_or(resource.kind().id))
    }

    /// Searched kinds as one line of evidence, after a search.
    pub fn searched_line(&self) -> String {
        self.notes.borrow().searched.iter().cloned().collect::<Vec<_>>().join(", ")
    }
}

/// A registered detector.
pub struct Detector {
    pub spec: &'static Spec,
    judge: for<'a> fn(&View<'a>, Resource<'a>) -> Judged,
}

impl Detector {
    /// Judges a resource of one of its classes.
    pub fn judge<'a>(&self, view: &View<'a>, resource: Resource<'a>) -> Verdict {
        // A user that is told of is certain, whatever else is blind, and nothing need be asked.
        if self.spec.is_of_unused() && view.mention(resource).is_some() {
            return Verdict::trap(in_use::NAMED);
        }
        view.looking.set(Some(self.spec));
        let judged = (self.judge)(view, resource);
        view.looking.set(None);
        match judged {
            Ok(Verdict::Found(finding)) => {
                if self.spec.is_of_unused()
                    && let Err(unseen) = view.nobody_elsewhere(resource)
                {
                    return Verdict::Unknown(unseen);
                }
                Verdict::Found(view.advised(resource, finding))
            }
            Ok(verdict) => verdict,
            Err(unseen) => Verdict::Unknown(unseen),
        }
    }
}

macro_rules! detectors {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// Every detector, in the order of its line here.
        pub static DETECTORS: &[Detector] = &[$(Detector { spec: &$name::SPEC, judge: $name::judge }),*];

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($name)),*];
    };
}

detectors! {
    unattached_disk,
    previous_generation_disk,
    stopped_vm,
    stopped_not_deallocated,
    idle_vm,
    orphaned_snapshot,
    unused_image,
    untagged_artifact,
    stale_artifact,
    incomplete_upload,
    empty_bucket,
    unbounded_versions,
    idle_function,
    old_function_version,
    unassociated_address,
    unattached_interface,
    idle_gateway,
    idle_endpoint,
    targetless_load_balancer,
    idle_load_balancer,
    unbound_target_group,
    idle_network_appliance,
    unused_security_group,
    dead_cluster,
    empty_plan,
    idle_database,
    sourceless_db_snapshot,
    stale_log_group,
    unbounded_log_group,
    missing_owner,
    expired,
}

/// A detector by its id.
pub fn detector(id: &str) -> Option<&'static Detector> {
    DETECTORS.iter().find(|detector| detector.spec.id == id)
}

#[cfg(test)]
pub(crate) mod tests;
