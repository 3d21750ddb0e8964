//! What conditions may speak about: every field, its type, the classes that have it, and how it is read.
//!
//! One registry. The checker, the interpreter, the closure of kinds to list and the documentation all read
//! it, so a field cannot exist in one of them only.

#![expect(clippy::unnecessary_wraps, reason = "every reading has one shape, also those that never fail")]

use super::{Costs, decide::protect_tag};
use crate::{
    answers::{Ask, Metric, Question, Usage},
    detect::{NOT_ASKED, View},
    facts::{
        Artifact, DatabaseState, DbSnapshot, DiskState, EndpointKind, FactsRef, GatewayKind, ImageState, LbKind, Media,
        RecoveryPoint, Snapshot, Tier, Vm, VmState,
    },
    house::AccountClass,
    intern::Sym,
    inventory::{Resource, Unseen},
    model::{Class, CloudId, DAY, Relation, Timestamp},
    money::Amount,
    owner, ttl,
};
use std::{borrow::Cow, fmt};

/// The type of a value in a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int,
    /// A measure; not exact.
    Number,
    Text,
    /// An instant, whole seconds.
    Time,
    /// A duration, whole seconds.
    Span,
    /// US dollars a month, exact.
    Money,
}

impl Type {
    /// Its name with its article, for messages.
    pub const fn one(self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Time => "a timestamp",
            Self::Span => "a duration",
            Self::Money => "an amount of money",
        }
    }

    /// Its name in documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Number => "number",
            Self::Text => "string",
            Self::Time => "timestamp",
            Self::Span => "duration",
            Self::Money => "money",
        }
    }
}

/// A value in a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Bool(bool),
    Int(i64),
    Number(f64),
    Text(Cow<'a, str>),
    Time(i64),
    Span(i64),
    Money(Amount),
}

impl<'a> Value<'a> {
    pub const fn of(&self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::Text,
            Self::Time(_) => Type::Time,
            Self::Span(_) => Type::Span,
            Self::Money(_) => Type::Money,
        }
    }

    /// The same, without copying text.
    pub(super) fn borrowed(&'a self) -> Self {
        match self {
            Self::Bool(truth) => Self::Bool(*truth),
            Self::Int(number) => Self::Int(*number),
            Self::Number(number) => Self::Number(*number),
            Self::Text(text) => Self::Text(Cow::Borrowed(text)),
            Self::Time(at) => Self::Time(*at),
            Self::Span(seconds) => Self::Span(*seconds),
            Self::Money(amount) => Self::Money(*amount),
        }
    }
}

/// As evidence shows it.
impl fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(truth) => write!(formatter, "{truth}"),
            Self::Int(number) => write!(formatter, "{number}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(text),
            Self::Time(at) => write!(formatter, "{}", Timestamp(*at)),
            Self::Span(seconds) => {
                // People do not read seconds: whole days, hours or minutes, rounded down.
                let unit = [DAY, 3600, 60].into_iter().find(|unit| seconds.abs() >= 2 * unit).unwrap_or(60);
                formatter.write_str(&ttl::spoken(seconds / unit * unit))
            }
            Self::Money(amount) => write!(formatter, "{amount} USD"),
        }
    }
}

/// Why a value is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The cloud does not say.
    Missing(&'static str),
    /// Nobody has asked yet, and this reading may not.
    NotAsked,
    /// The tag is not there, under a verb for which that is unknown.
    NoTag,
    /// It could not be seen.
    Unseen(Box<Unseen>),
}

impl From<Unseen> for Why {
    fn from(unseen: Unseen) -> Self {
        Self::Unseen(Box::new(unseen))
    }
}

/// Why a row is counted as unknown, in a few words.
impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(formatter, "not known: {field}"),
            Self::NotAsked => formatter.write_str(NOT_ASKED),
            Self::NoTag => formatter.write_str("no such tag"),
            Self::Unseen(unseen) => formatter.write_str(&unseen.cause),
        }
    }
}

/// A value, or why it is not known.
pub type Read<'a> = Result<Value<'a>, Why>;

/// One resource, and everything a condition may look at.
#[derive(Clone, Copy)]
pub struct Reader<'a, 'c> {
    pub(super) view: &'a View<'a>,
    pub(super) costs: &'c dyn Costs,
    pub(super) resource: Resource<'a>,
    pub(super) asks: bool,
}

impl<'a, 'c> Reader<'a, 'c> {
    /// Notes no question: what has no answer yet is unknown.
    pub fn quiet(view: &'a View<'a>, costs: &'c dyn Costs, resource: Resource<'a>) -> Self {
        Self { view, costs, resource, asks: false }
    }

    /// Notes every question without an answer.
    pub fn asking(view: &'a View<'a>, costs: &'c dyn Costs, resource: Resource<'a>) -> Self {
        Self { view, costs, resource, asks: true }
    }

    /// Goes on where the question has an answer, or may be asked.
    fn may(&self, question: Question) -> Result<(), Why> {
        let ask = Ask { resource: self.resource.ix(), question };
        if self.asks || self.view.answers.get(ask).is_some() { Ok(()) } else { Err(Why::NotAsked) }
    }

    fn may_read_tags(&self) -> Result<(), Why> {
        if self.resource.listed_tags().is_some() { Ok(()) } else { self.may(Question::Tags) }
    }

    /// The value of a tag; `None` when it is not there.
    pub(super) fn tag(&self, key: &str) -> Result<Option<&'a str>, Why> {
        self.may_read_tags()?;
        Ok(self.view.tag(self.resource, key)?)
    }

    fn text(&self, sym: Sym) -> Read<'a> {
        Ok(Value::Text(Cow::Borrowed(self.view.inventory.text(sym))))
    }

    fn used(&self, relation: Relation) -> Read<'a> {
        Ok(Value::Bool(!self.view.users(self.resource, relation)?.is_empty()))
    }

    /// Looks also where the resource is shared with; the shares are asked for only when nobody at home uses it.
    fn used_or_shared(&self, relation: Relation) -> Read<'a> {
        if !self.view.users(self.resource, relation)?.is_empty() {
            return Ok(Value::Bool(true));
        }
        self.may(Question::Shares)?;
        Ok(Value::Bool(!self.view.users_and_shares(self.resource, relation)?.is_empty()))
    }

    fn source(&self, class: Class, native: Sym, field: &'static str) -> Read<'a> {
        if native.is_none() {
            return Err(Why::Missing(field));
        }
        Ok(Value::Bool(self.view.exists(
            self.resource,
            class,
            native,
            self.view.reach_of_source(self.resource),
            |_| true,
        )?))
    }

    /// A usage measure. A day without data is not a day without use.
    fn usage(&self, metric: Metric, days: u16, field: &'static str) -> Result<Usage, Why> {
        self.may(Question::Usage { metric, days })?;
        let usage = self.view.usage(self.resource, metric, days)?;
        // Storage is measured once a day and told late: one value is enough. For the rest, the newest day
        // may not have arrived.
        let storage = matches!(metric, Metric::BucketObjects | Metric::BucketBytes);
        let enough = if storage { usage.covered > 0 } else { usage.covered.saturating_add(1) >= days };
        if enough { Ok(usage) } else { Err(Why::Missing(field)) }
    }

    fn since(&self, at: Option<Timestamp>, field: &'static str) -> Read<'a> {
        at.map(|at| Value::Span(self.view.now.since(at))).ok_or(Why::Missing(field))
    }

    /// An asked instant; its creation when the answer is never.
    fn last(&self, question: Question, field: &'static str) -> Result<Timestamp, Why> {
        self.may(question)?;
        self.view.when(self.resource, question)?.or(self.resource.created()).ok_or(Why::Missing(field))
    }
}

/// How dear a field is to read: operands are evaluated in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// In the listing.
    Fact,
    Tags,
    Money,
    /// Searches other resources.
    Search,
    /// One call a resource.
    Call,
}

/// One word of the vocabulary.
pub struct Field {
    pub name: &'static str,
    pub of: Type,
    /// Empty: every class.
    pub classes: &'static [Class],
    pub doc: &'static str,
    /// The relations it searches.
    pub relations: &'static [Relation],
    /// The classes it looks sources up in.
    pub sources: &'static [Class],
    pub effort: Effort,
    words: fn(Class) -> &'static [&'static str],
    pub(super) read: for<'a, 'c> fn(&Reader<'a, 'c>) -> Read<'a>,
}

impl Field {
    const fn new(
        name: &'static str,
        of: Type,
        classes: &'static [Class],
        doc: &'static str,
        read: for<'a, 'c> fn(&Reader<'a, 'c>) -> Read<'a>,
    ) -> Self {
        Self { name, of, classes, doc, relations: &[], sources: &[], effort: Effort::Fact, words: |_| &[], read }
    }

    const fn words(self, words: fn(Class) -> &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    const fn relations(self, relations: &'static [Relation]) -> Self {
        Self { relations, effort: Effort::Search, ..self }
    }

    const fn sources(self, sources: &'static [Class]) -> Self {
        Self { sources, effort: Effort::Search, ..self }
    }

    const fn effort(self, effort: Effort) -> Self {
        Self { effort, ..self }
    }

    /// Whether resources of a class have it.
    pub fn is_of(&self, class: Class) -> bool {
        self.classes.is_empty() || self.classes.contains(&class)
    }

    /// The only values it takes for a class; empty: any.
    pub fn words_of(&self, class: Class) -> &'static [&'static str] {
        (self.words)(class)
    }
}

/// A field by its name.
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

fn int(value: impl Into<i64>) -> Read<'static> {
    Ok(Value::Int(value.into()))
}

fn counted(value: Option<u64>, field: &'static str) -> Read<'static> {
    value.map(|value| Value::Int(i64::try_from(value).unwrap_or(i64::MAX))).ok_or(Why::Missing(field))
}

fn truth(value: bool) -> Read<'static> {
    Ok(Value::Bool(value))
}

fn maybe(value: Option<bool>, field: &'static str) -> Read<'static> {
    value.map(Value::Bool).ok_or(Why::Missing(field))
}

fn time(value: Option<Timestamp>, field: &'static str) -> Read<'static> {
    value.map(|at| Value::Time(at.0)).ok_or(Why::Missing(field))
}

fn word(value: &'static str) -> Read<'static> {
    Ok(Value::Text(Cow::Borrowed(value)))
}

/// Of a field that the class does not have: the checker does not let it come to this.
const fn absent(field: &'static str) -> Read<'static> {
    Err(Why::Missing(field))
}

/// The last pull; the push where none was recorded though the registry records them.
fn last_pulled(artifact: &Artifact) -> Option<Timestamp> {
    if artifact.pull_recorded { artifact.last_pulled.or(artifact.pushed) } else { artifact.last_pulled }
}

fn stopped(vm: &Vm) -> bool {
    matches!(vm.state, VmState::Stopped | VmState::Deallocated)
}

fn snapshot_source(snapshot: &Snapshot) -> Sym {
    if snapshot.source_is_dummy { Sym::NONE } else { snapshot.source }
}

/// Every field, those of all classes first.
pub static FIELDS: &[Field] = &[
    Field::new("now", Type::Time, &[], "the instant of the survey", |r| Ok(Value::Time(r.view.now.0))),
    Field::new("id", Type::Text, &[], "`<kind>:<account>/<region>/<native id>`", |r| {
        Ok(Value::Text(Cow::Owned(r.resource.id())))
    }),
    Field::new("native_id", Type::Text, &[], "what the cloud's delete call takes", |r| {
        Ok(Value::Text(Cow::Borrowed(r.resource.native_id())))
    }),
    Field::new("name", Type::Text, &[], "for people; `\"\"` for none", |r| {
        Ok(Value::Text(Cow::Borrowed(r.resource.name())))
    }),
    Field::new("cloud", Type::Text, &[], "the cloud", |r| word(r.resource.cloud().name())).words(|_| {
        const NAMES: [&str; 3] = [CloudId::Aws.name(), CloudId::Azure.name(), CloudId::Gcp.name()];
        &NAMES
    }),
    Field::new("account", Type::Text, &[], "account, subscription or project id", |r| {
        Ok(Value::Text(Cow::Borrowed(r.resource.account())))
    }),
    Field::new(
        "account_class",
        Type::Text,
        &[],
        "what the account is for, by `[[scope]]`; `prod` when nobody said",
        |r| word(r.view.house.class(r.resource.cloud(), r.resource.account()).name()),
    )
    .words(|_| AccountClass::NAMES),
    Field::new("region", Type::Text, &[], "the region it is in; `global` for what an account has once", |r| {
        Ok(Value::Text(Cow::Borrowed(r.resource.region())))
    }),
    Field::new("kind", Type::Text, &[], "`aws.ec2-volume`; checked against the kinds of this build", |r| {
        word(r.resource.kind().id)
    }),
    Field::new("created", Type::Time, &[], "when it was created", |r| time(r.resource.created(), "created")),
    Field::new("age", Type::Span, &[], "`now - created`", |r| r.since(r.resource.created(), "age")),
    Field::new("managed_by", Type::Text, &[], "the manager whose mark it carries; `\"\"` for none", |r| {
        Ok(Value::Text(Cow::Borrowed(r.resource.managed_by())))
    }),
    Field::new("owner", Type::Text, &[], "its owner by tag, account or fallback; `\"\"` for none", |r| {
        r.may_read_tags()?;
        Ok(Value::Text(Cow::Owned(owner::of(r.view, r.resource)?.name.unwrap_or_default())))
    })
    .effort(Effort::Tags),
    Field::new("protected", Type::Bool, &[], "protected by the cloud, a protect tag or a keep tag", |r| {
        if !r.resource.protected().is_empty() {
            return truth(true);
        }
        r.may_read_tags()?;
        truth(protect_tag(r.view, r.resource)?.is_some())
    })
    .effort(Effort::Tags),
    Field::new(
        "shared",
        Type::Bool,
        &[Class::Snapshot, Class::Image, Class::DbSnapshot],
        "shared with any other account",
        |r| {
            r.may(Question::Shares)?;
            truth(!r.view.shares(r.resource)?.is_empty())
        },
    )
    .effort(Effort::Call),
    Field::new(
        "monthly_cost",
        Type::Money,
        &[],
        "US dollars a month, compared exactly; unknown where no price is known or the currency is another; \
         for snapshots an upper bound",
        |r| {
            let cost = r.costs.monthly(r.resource);
            match cost.amount {
                Some(amount) if cost.currency == "USD" => Ok(Value::Money(amount)),
                _ => Err(Why::Missing("monthly_cost")),
            }
        },
    )
    .effort(Effort::Money),
    Field::new(
        "idle_for",
        Type::Span,
        &[Class::Disk, Class::Vm, Class::Image, Class::Artifact, Class::LogGroup],
        "since it was last attached (disk), running (vm; zero while it runs), launched (image), pulled (artifact), \
         written to (log-group)",
        |r| match r.resource.facts() {
            FactsRef::Disk(disk) if disk.state == DiskState::Attached => Ok(Value::Span(0)),
            FactsRef::Disk(disk) => r.since(disk.last_attached, "idle_for"),
            FactsRef::Vm(vm) if !stopped(vm) => Ok(Value::Span(0)),
            FactsRef::Vm(vm) => r.since(vm.in_state_since, "idle_for"),
            FactsRef::Artifact(artifact) => r.since(last_pulled(artifact), "idle_for"),
            FactsRef::Image(_) => r.since(Some(r.last(Question::LastUsed, "idle_for")?), "idle_for"),
            FactsRef::LogGroup(_) => r.since(Some(r.last(Question::LastEvent, "idle_for")?), "idle_for"),
            _ => absent("idle_for"),
        },
    )
    .effort(Effort::Call),
    Field::new(
        "state",
        Type::Text,
        &[Class::Vm, Class::Disk, Class::Image, Class::Database, Class::Appliance, Class::Cluster],
        "its state, in the words of its class",
        |r| match r.resource.facts() {
            FactsRef::Vm(vm) => word(vm.state.name()),
            FactsRef::Disk(disk) => word(disk.state.name()),
            FactsRef::Image(image) => word(image.state.name()),
            FactsRef::Database(database) => word(database.state.name()),
            FactsRef::Appliance(appliance) => r.text(appliance.state),
            FactsRef::Cluster(cluster) => r.text(cluster.state),
            _ => absent("state"),
        },
    )
    .words(|class| match class {
        Class::Vm => VmState::NAMES,
        Class::Disk => DiskState::NAMES,
        Class::Image => ImageState::NAMES,
        Class::Database => DatabaseState::NAMES,
        _ => &[],
    }),
    Field::new(
        "type",
        Type::Text,
        &[Class::Vm, Class::Gateway, Class::Endpoint, Class::LoadBalancer, Class::TargetGroup],
        "machine type (`t3.micro`), sort of gateway, endpoint, balancer or target",
        |r| match r.resource.facts() {
            FactsRef::Vm(vm) => r.text(vm.vm_type),
            FactsRef::Gateway(gateway) => word(gateway.kind.name()),
            FactsRef::Endpoint(endpoint) => word(endpoint.kind.name()),
            FactsRef::LoadBalancer(balancer) => word(balancer.kind.name()),
            FactsRef::TargetGroup(group) => r.text(group.target_type),
            _ => absent("type"),
        },
    )
    .words(|class| match class {
        Class::Gateway => GatewayKind::NAMES,
        Class::Endpoint => EndpointKind::NAMES,
        Class::LoadBalancer => LbKind::NAMES,
        _ => &[],
    }),
    Field::new("image", Type::Text, &[Class::Vm], "native id of the image it was started from", |r| {
        match r.resource.facts() {
            FactsRef::Vm(vm) => r.text(vm.image),
            _ => absent("image"),
        }
    }),
    Field::new("spot", Type::Bool, &[Class::Vm], "runs on spare capacity", |r| match r.resource.facts() {
        FactsRef::Vm(vm) => truth(vm.spot),
        _ => absent("spot"),
    }),
    Field::new(
        "still_billed",
        Type::Bool,
        &[Class::Vm],
        "stopped, and its compute is billed all the same",
        |r| match r.resource.facts() {
            FactsRef::Vm(vm) => truth(vm.still_billed),
            _ => absent("still_billed"),
        },
    ),
    Field::new("in_state_for", Type::Span, &[Class::Vm], "how long it has been in its state", |r| {
        match r.resource.facts() {
            FactsRef::Vm(vm) => r.since(vm.in_state_since, "in_state_for"),
            _ => absent("in_state_for"),
        }
    }),
    Field::new(
        "stopped_for",
        Type::Span,
        &[Class::Vm],
        "how long it has been stopped or deallocated; zero when it is not",
        |r| match r.resource.facts() {
            FactsRef::Vm(vm) if !stopped(vm) => Ok(Value::Span(0)),
            FactsRef::Vm(vm) => r.since(vm.in_state_since, "stopped_for"),
            _ => absent("stopped_for"),
        },
    ),
    Field::new("cpu_max", Type::Number, &[Class::Vm], "highest CPU use of the last 14 days, percent", |r| {
        Ok(Value::Number(r.usage(Metric::VmCpuMax, 14, "cpu_max")?.max))
    })
    .effort(Effort::Call),
    Field::new(
        "size_gib",
        Type::Int,
        &[Class::Disk, Class::Snapshot, Class::Image, Class::Database, Class::DbSnapshot],
        "size; for snapshots and images that of the whole disk, an upper bound",
        |r| match r.resource.facts() {
            FactsRef::Disk(disk) => int(disk.size_gib),
            FactsRef::Snapshot(snapshot) => int(snapshot.size_gib),
            FactsRef::Image(image) => int(image.size_gib),
            FactsRef::Database(database) => int(database.storage_gib),
            FactsRef::DbSnapshot(snapshot) => int(snapshot.size_gib),
            _ => absent("size_gib"),
        },
    ),
    Field::new(
        "tier",
        Type::Text,
        &[Class::Disk, Class::Snapshot, Class::Database, Class::Plan, Class::Appliance],
        "volume type (`gp3`), storage tier of a snapshot, SKU of a plan or appliance",
        |r| match r.resource.facts() {
            FactsRef::Disk(disk) => r.text(disk.tier),
            FactsRef::Snapshot(snapshot) => word(snapshot.tier.name()),
            FactsRef::Database(database) => r.text(database.storage_type),
            FactsRef::Plan(plan) => r.text(plan.tier),
            FactsRef::Appliance(appliance) => r.text(appliance.tier),
            _ => absent("tier"),
        },
    )
    .words(|class| match class {
        Class::Snapshot => Tier::NAMES,
        _ => &[],
    }),
    Field::new("iops", Type::Int, &[Class::Disk], "provisioned operations a second", |r| match r.resource.facts() {
        FactsRef::Disk(disk) => counted(disk.iops.map(u64::from), "iops"),
        _ => absent("iops"),
    }),
    Field::new("throughput", Type::Int, &[Class::Disk], "provisioned MiB a second", |r| match r.resource.facts() {
        FactsRef::Disk(disk) => counted(disk.throughput.map(u64::from), "throughput"),
        _ => absent("throughput"),
    }),
    Field::new("attachments", Type::Int, &[Class::Disk], "machines it is attached to", |r| match r.resource.facts() {
        FactsRef::Disk(disk) => int(disk.attachments),
        _ => absent("attachments"),
    }),
    Field::new(
        "source_snapshot",
        Type::Text,
        &[Class::Disk],
        "native id of the snapshot it was made from; `\"\"` for none",
        |r| match r.resource.facts() {
            FactsRef::Disk(disk) => r.text(disk.source_snapshot),
            _ => absent("source_snapshot"),
        },
    ),
    Field::new("last_attached", Type::Time, &[Class::Disk], "when it was last attached or detached", |r| {
        match r.resource.facts() {
            FactsRef::Disk(disk) => time(disk.last_attached, "last_attached"),
            _ => absent("last_attached"),
        }
    }),
    Field::new("complete", Type::Bool, &[Class::Snapshot], "finished and usable", |r| match r.resource.facts() {
        FactsRef::Snapshot(snapshot) => truth(snapshot.complete),
        _ => absent("complete"),
    }),
    Field::new("stored_bytes", Type::Int, &[Class::Snapshot], "what is really stored and billed", |r| {
        match r.resource.facts() {
            FactsRef::Snapshot(snapshot) => counted(snapshot.stored_bytes, "stored_bytes"),
            _ => absent("stored_bytes"),
        }
    }),
    Field::new(
        "source_exists",
        Type::Bool,
        &[Class::Snapshot, Class::DbSnapshot, Class::RecoveryPoint],
        "what it was taken of still exists; unknown where the cloud does not say what that was (copies)",
        |r| match r.resource.facts() {
            FactsRef::Snapshot(snapshot) => r.source(Class::Disk, snapshot_source(snapshot), "source_exists"),
            FactsRef::DbSnapshot(DbSnapshot { source, .. }) => r.source(Class::Database, *source, "source_exists"),
            FactsRef::RecoveryPoint(RecoveryPoint { source, source_class: Some(class), .. }) => {
                r.source(*class, *source, "source_exists")
            }
            _ => absent("source_exists"),
        },
    )
    .sources(&[Class::Disk, Class::Database]),
    Field::new("used_by_image", Type::Bool, &[Class::Snapshot], "an image is made of it", |r| {
        r.used_or_shared(Relation::UsedByImage)
    })
    .relations(&[Relation::UsedByImage]),
    Field::new(
        "used_by_template",
        Type::Bool,
        &[Class::Snapshot, Class::Image],
        "a template, group, fleet, recipe or parameter names it",
        |r| r.used_or_shared(Relation::UsedByTemplate),
    )
    .relations(&[Relation::UsedByTemplate]),
    Field::new("used_by_vm", Type::Bool, &[Class::Image], "a machine was started from it", |r| {
        r.used_or_shared(Relation::UsedByVm)
    })
    .relations(&[Relation::UsedByVm]),
    Field::new("deprecated", Type::Bool, &[Class::Image], "marked as no longer to be used", |r| {
        match r.resource.facts() {
            FactsRef::Image(image) => truth(image.deprecated),
            _ => absent("deprecated"),
        }
    }),
    Field::new(
        "newest",
        Type::Bool,
        &[Class::Image],
        "the newest usable one of a family by whose name machines are started",
        |r| match r.resource.facts() {
            FactsRef::Image(image) => truth(image.newest),
            _ => absent("newest"),
        },
    ),
    Field::new("public", Type::Bool, &[Class::Image], "anybody may use it", |r| match r.resource.facts() {
        FactsRef::Image(image) => truth(image.public),
        _ => absent("public"),
    }),
    Field::new(
        "last_launched",
        Type::Time,
        &[Class::Image],
        "when a machine was last started from it; its creation when never",
        |r| Ok(Value::Time(r.last(Question::LastUsed, "last_launched")?.0)),
    )
    .effort(Effort::Call),
    Field::new("images", Type::Int, &[Class::Registry], "how many images are in it", |r| match r.resource.facts() {
        FactsRef::Registry(registry) => counted(registry.images.map(u64::from), "images"),
        _ => absent("images"),
    }),
    Field::new("tagged", Type::Bool, &[Class::Artifact], "has an image tag", |r| match r.resource.facts() {
        FactsRef::Artifact(artifact) => truth(artifact.tagged),
        _ => absent("tagged"),
    }),
    Field::new(
        "size_bytes",
        Type::Int,
        &[Class::Artifact, Class::RecoveryPoint],
        "compressed size of an artifact, size of a recovery point",
        |r| match r.resource.facts() {
            FactsRef::Artifact(artifact) => counted(artifact.size_bytes, "size_bytes"),
            FactsRef::RecoveryPoint(point) => counted(point.size_bytes, "size_bytes"),
            _ => absent("size_bytes"),
        },
    ),
    Field::new("pushed", Type::Time, &[Class::Artifact], "when it was pushed", |r| match r.resource.facts() {
        FactsRef::Artifact(artifact) => time(artifact.pushed, "pushed"),
        _ => absent("pushed"),
    }),
    Field::new(
        "last_pulled",
        Type::Time,
        &[Class::Artifact],
        "last pull the registry recorded; its push when never; unknown where the registry records none",
        |r| match r.resource.facts() {
            FactsRef::Artifact(artifact) => time(last_pulled(artifact), "last_pulled"),
            _ => absent("last_pulled"),
        },
    ),
    Field::new("media", Type::Text, &[Class::Artifact], "an image, or an index of images", |r| {
        match r.resource.facts() {
            FactsRef::Artifact(artifact) => word(artifact.media.name()),
            _ => absent("media"),
        }
    })
    .words(|_| Media::NAMES),
    Field::new(
        "rank",
        Type::Int,
        &[Class::Artifact, Class::FunctionVersion],
        "1 is the newest of its repository or function",
        |r| match r.resource.facts() {
            FactsRef::Artifact(artifact) => int(artifact.rank),
            FactsRef::FunctionVersion(version) => int(version.rank),
            _ => absent("rank"),
        },
    ),
    Field::new(
        "referenced",
        Type::Bool,
        &[Class::Artifact, Class::FunctionVersion],
        "a workload runs it or is defined with it",
        |r| r.used(Relation::Referenced),
    )
    .relations(&[Relation::Referenced]),
    Field::new(
        "child_of_index",
        Type::Bool,
        &[Class::Artifact],
        "an index of its repository lists it, or it is attached to another",
        |r| {
            if !r.view.indexes_listing(r.resource).is_empty() {
                return truth(true);
            }
            if !r.asks && r.view.waits(r.resource, Question::Manifest) {
                return Err(Why::NotAsked);
            }
            if r.view.attached_to_another(r.resource)? {
                return truth(true);
            }
            if !r.asks {
                // Looking on could note questions about the indexes beside it.
                return Err(Why::NotAsked);
            }
            r.view.every_index_seen(r.resource)?;
            truth(false)
        },
    )
    .effort(Effort::Call),
    Field::new(
        "container",
        Type::Text,
        &[Class::Artifact, Class::Upload, Class::FunctionVersion],
        "the repository, bucket or function it is in",
        |r| match r.resource.facts() {
            FactsRef::Artifact(artifact) => r.text(artifact.container),
            FactsRef::Upload(upload) => r.text(upload.container),
            FactsRef::FunctionVersion(version) => r.text(version.function),
            _ => absent("container"),
        },
    ),
    Field::new("initiated", Type::Time, &[Class::Upload], "when it was begun", |r| match r.resource.facts() {
        FactsRef::Upload(upload) => time(upload.initiated, "initiated"),
        _ => absent("initiated"),
    }),
    Field::new("objects", Type::Number, &[Class::Bucket], "objects in it, from storage metrics", |r| {
        Ok(Value::Number(r.usage(Metric::BucketObjects, 3, "objects")?.max))
    })
    .effort(Effort::Call),
    Field::new(
        "bytes",
        Type::Number,
        &[Class::Upload, Class::Bucket, Class::Gateway, Class::Endpoint, Class::LogGroup],
        "stored (upload, bucket, log-group), or carried in the last 32 (gateway) or 30 days (endpoint)",
        |r| match r.resource.facts() {
            FactsRef::Upload(_) => {
                r.may(Question::Bytes)?;
                Ok(Value::Number(r.view.bytes(r.resource)? as f64))
            }
            FactsRef::Bucket(_) => Ok(Value::Number(r.usage(Metric::BucketBytes, 3, "bytes")?.max)),
            FactsRef::Gateway(_) => Ok(Value::Number(r.usage(Metric::GatewayTraffic, 32, "bytes")?.sum)),
            FactsRef::Endpoint(_) => Ok(Value::Number(r.usage(Metric::EndpointBytes, 30, "bytes")?.sum)),
            FactsRef::LogGroup(group) => {
                group.bytes.map(|bytes| Value::Number(bytes as f64)).ok_or(Why::Missing("bytes"))
            }
            _ => absent("bytes"),
        },
    )
    .effort(Effort::Call),
    Field::new("versioned", Type::Bool, &[Class::Bucket], "versioning is or was on", |r| match r.resource.facts() {
        FactsRef::Bucket(bucket) => maybe(bucket.versioned, "versioned"),
        _ => absent("versioned"),
    }),
    Field::new("lifecycle", Type::Bool, &[Class::Bucket], "has an enabled lifecycle rule", |r| {
        match r.resource.facts() {
            FactsRef::Bucket(bucket) => maybe(bucket.lifecycle, "lifecycle"),
            _ => absent("lifecycle"),
        }
    }),
    Field::new(
        "noncurrent_rule",
        Type::Bool,
        &[Class::Bucket],
        "an enabled rule ends noncurrent versions",
        |r| match r.resource.facts() {
            FactsRef::Bucket(bucket) => maybe(bucket.noncurrent_rule, "noncurrent_rule"),
            _ => absent("noncurrent_rule"),
        },
    ),
    Field::new("abort_rule", Type::Bool, &[Class::Bucket], "an enabled rule aborts incomplete uploads", |r| {
        match r.resource.facts() {
            FactsRef::Bucket(bucket) => maybe(bucket.abort_rule, "abort_rule"),
            _ => absent("abort_rule"),
        }
    }),
    Field::new("runtime", Type::Text, &[Class::Function], "its runtime; `\"\"` for a container image", |r| {
        match r.resource.facts() {
            FactsRef::Function(function) => r.text(function.runtime),
            _ => absent("runtime"),
        }
    }),
    Field::new(
        "last_modified",
        Type::Time,
        &[Class::Function, Class::FunctionVersion],
        "when its code or settings last changed",
        |r| match r.resource.facts() {
            FactsRef::Function(function) => time(function.last_modified, "last_modified"),
            FactsRef::FunctionVersion(version) => time(version.last_modified, "last_modified"),
            _ => absent("last_modified"),
        },
    ),
    Field::new(
        "kept_warm",
        Type::Int,
        &[Class::Function],
        "instances kept running, and billed, whether or not anybody calls; unknown where the listing does not tell",
        |r| match r.resource.facts() {
            FactsRef::Function(function) => counted(function.kept_warm.map(u64::from), "kept_warm"),
            _ => absent("kept_warm"),
        },
    ),
    Field::new("code_bytes", Type::Int, &[Class::Function, Class::FunctionVersion], "size of its code", |r| {
        match r.resource.facts() {
            FactsRef::Function(function) => counted(function.code_bytes, "code_bytes"),
            FactsRef::FunctionVersion(version) => counted(version.code_bytes, "code_bytes"),
            _ => absent("code_bytes"),
        }
    }),
    Field::new("edge", Type::Bool, &[Class::Function, Class::FunctionVersion], "runs at the edge", |r| {
        match r.resource.facts() {
            FactsRef::Function(function) => maybe(function.edge, "edge"),
            FactsRef::FunctionVersion(version) => maybe(version.edge, "edge"),
            _ => absent("edge"),
        }
    }),
    Field::new("invocations", Type::Number, &[Class::Function], "calls in the last 30 days", |r| {
        Ok(Value::Number(r.usage(Metric::FunctionInvocations, 30, "invocations")?.sum))
    })
    .effort(Effort::Call),
    Field::new("aliased", Type::Bool, &[Class::FunctionVersion], "an alias sends traffic to it", |r| {
        r.used(Relation::Aliased)
    })
    .relations(&[Relation::Aliased]),
    Field::new("version", Type::Int, &[Class::FunctionVersion], "its number", |r| match r.resource.facts() {
        FactsRef::FunctionVersion(version) => counted(Some(version.version), "version"),
        _ => absent("version"),
    }),
    Field::new("holds", Type::Int, &[Class::Plan], "apps or databases in it", |r| match r.resource.facts() {
        FactsRef::Plan(plan) => counted(plan.holds.map(u64::from), "holds"),
        _ => absent("holds"),
    }),
    Field::new("capacity", Type::Int, &[Class::Plan], "instances that are billed", |r| match r.resource.facts() {
        FactsRef::Plan(plan) => int(plan.capacity),
        _ => absent("capacity"),
    }),
    Field::new("free", Type::Bool, &[Class::Plan], "of a tier that costs nothing by itself", |r| {
        match r.resource.facts() {
            FactsRef::Plan(plan) => truth(plan.free),
            _ => absent("free"),
        }
    }),
    Field::new("sort", Type::Text, &[Class::Appliance], "what it is: `firewall`, `VPN gateway` …", |r| {
        match r.resource.facts() {
            FactsRef::Appliance(appliance) => r.text(appliance.sort),
            _ => absent("sort"),
        }
    }),
    Field::new(
        "serves",
        Type::Int,
        &[Class::Appliance],
        "backends, connections, circuits or networks it serves",
        |r| match r.resource.facts() {
            FactsRef::Appliance(appliance) => counted(appliance.serves.map(u64::from), "serves"),
            _ => absent("serves"),
        },
    ),
    Field::new("default", Type::Bool, &[Class::SecurityGroup], "comes with its network and cannot be deleted", |r| {
        match r.resource.facts() {
            FactsRef::SecurityGroup(group) => truth(group.default),
            _ => absent("default"),
        }
    }),
    Field::new(
        "associations",
        Type::Int,
        &[Class::SecurityGroup],
        "interfaces and subnets it is on, where the group itself says so",
        |r| match r.resource.facts() {
            FactsRef::SecurityGroup(group) => counted(group.associations.map(u64::from), "associations"),
            _ => absent("associations"),
        },
    ),
    Field::new("cluster_version", Type::Text, &[Class::Cluster], "its Kubernetes version; `\"\"` when not told", |r| {
        match r.resource.facts() {
            FactsRef::Cluster(cluster) => r.text(cluster.version),
            _ => absent("cluster_version"),
        }
    }),
    Field::new("nodes", Type::Int, &[Class::Cluster], "nodes the service counts", |r| match r.resource.facts() {
        FactsRef::Cluster(cluster) => counted(cluster.nodes.map(u64::from), "nodes"),
        _ => absent("nodes"),
    }),
    Field::new("associated", Type::Bool, &[Class::Address], "belongs to something", |r| match r.resource.facts() {
        FactsRef::Address(address) => truth(address.associated),
        _ => absent("associated"),
    }),
    Field::new("internal", Type::Bool, &[Class::Address], "of a private network: costs nothing", |r| {
        match r.resource.facts() {
            FactsRef::Address(address) => truth(address.internal),
            _ => absent("internal"),
        }
    }),
    Field::new("ip", Type::Text, &[Class::Address], "the address itself", |r| match r.resource.facts() {
        FactsRef::Address(address) => r.text(address.ip),
        _ => absent("ip"),
    }),
    Field::new("attached", Type::Bool, &[Class::Interface], "attached to something", |r| match r.resource.facts() {
        FactsRef::Interface(interface) => truth(interface.attached),
        _ => absent("attached"),
    }),
    Field::new("requester", Type::Text, &[Class::Interface], "who created it for us; `\"\"` when we did", |r| match r
        .resource
        .facts()
    {
        FactsRef::Interface(interface) => r.text(interface.requester),
        _ => absent("requester"),
    }),
    Field::new(
        "machinery",
        Type::Bool,
        &[Class::Interface, Class::Bucket, Class::Function, Class::LogGroup],
        "part of another resource (function, balancer, gateway), or made by a service for its own use",
        |r| match r.resource.facts() {
            FactsRef::Interface(interface) => truth(interface.machinery),
            FactsRef::Bucket(bucket) => truth(bucket.machinery),
            FactsRef::Function(function) => truth(function.machinery),
            FactsRef::LogGroup(group) => truth(group.machinery),
            _ => absent("machinery"),
        },
    ),
    Field::new(
        "active",
        Type::Bool,
        &[Class::Gateway, Class::Endpoint, Class::Appliance],
        "in the state in which it carries traffic and is billed",
        |r| match r.resource.facts() {
            FactsRef::Appliance(appliance) => truth(appliance.active),
            FactsRef::Gateway(gateway) => truth(gateway.active),
            FactsRef::Endpoint(endpoint) => truth(endpoint.active),
            _ => absent("active"),
        },
    ),
    Field::new("routed", Type::Bool, &[Class::Gateway, Class::Endpoint], "a route sends traffic to it", |r| {
        r.used(Relation::Routed)
    })
    .relations(&[Relation::Routed]),
    Field::new("service", Type::Text, &[Class::Endpoint], "the service it leads to", |r| match r.resource.facts() {
        FactsRef::Endpoint(endpoint) => r.text(endpoint.service),
        _ => absent("service"),
    }),
    Field::new("zones", Type::Int, &[Class::Endpoint], "zones it is billed in", |r| match r.resource.facts() {
        FactsRef::Endpoint(endpoint) => int(endpoint.zones),
        _ => absent("zones"),
    }),
    Field::new("requests", Type::Number, &[Class::LoadBalancer], "requests or new flows in the last 14 days", |r| {
        Ok(Value::Number(r.usage(Metric::LbRequests, 14, "requests")?.sum))
    })
    .effort(Effort::Call),
    Field::new("targets", Type::Int, &[Class::TargetGroup], "registered targets", |r| {
        r.may(Question::Targets)?;
        int(r.view.targets(r.resource)?.0)
    })
    .effort(Effort::Call),
    Field::new("healthy", Type::Int, &[Class::TargetGroup], "healthy targets", |r| {
        r.may(Question::Targets)?;
        int(r.view.targets(r.resource)?.1)
    })
    .effort(Effort::Call),
    Field::new("bound", Type::Bool, &[Class::TargetGroup], "a load balancer names it", |r| match r.resource.facts() {
        FactsRef::TargetGroup(group) => truth(group.bound),
        _ => absent("bound"),
    }),
    Field::new("engine", Type::Text, &[Class::Database, Class::DbSnapshot], "`postgres`, `mysql` …", |r| {
        match r.resource.facts() {
            FactsRef::Database(database) => r.text(database.engine),
            FactsRef::DbSnapshot(snapshot) => r.text(snapshot.engine),
            _ => absent("engine"),
        }
    }),
    Field::new("db_class", Type::Text, &[Class::Database], "machine class, `db.t4g.micro`", |r| {
        match r.resource.facts() {
            FactsRef::Database(database) => r.text(database.db_class),
            _ => absent("db_class"),
        }
    }),
    Field::new("multi_az", Type::Bool, &[Class::Database], "has a standby in another zone", |r| {
        match r.resource.facts() {
            FactsRef::Database(database) => truth(database.multi_az),
            _ => absent("multi_az"),
        }
    }),
    Field::new("replica", Type::Bool, &[Class::Database], "a read replica of another", |r| match r.resource.facts() {
        FactsRef::Database(database) => truth(database.replica),
        _ => absent("replica"),
    }),
    Field::new("connections_max", Type::Number, &[Class::Database], "most connections of the last 14 days", |r| {
        Ok(Value::Number(r.usage(Metric::DbConnectionsMax, 14, "connections_max")?.max))
    })
    .effort(Effort::Call),
    Field::new("manual", Type::Bool, &[Class::DbSnapshot], "taken by a person or a pipeline", |r| {
        match r.resource.facts() {
            FactsRef::DbSnapshot(snapshot) => truth(snapshot.manual),
            _ => absent("manual"),
        }
    }),
    Field::new(
        "retained",
        Type::Bool,
        &[Class::DbSnapshot],
        "a backup kept after its database was deleted",
        |r| match r.resource.facts() {
            FactsRef::DbSnapshot(snapshot) => truth(snapshot.retained),
            _ => absent("retained"),
        },
    ),
    Field::new(
        "source_type",
        Type::Text,
        &[Class::RecoveryPoint],
        "the provider's word for what was backed up: `EBS`, `RDS`",
        |r| match r.resource.facts() {
            FactsRef::RecoveryPoint(point) => r.text(point.source_type),
            _ => absent("source_type"),
        },
    ),
    Field::new("vault", Type::Text, &[Class::RecoveryPoint], "the vault it is in", |r| match r.resource.facts() {
        FactsRef::RecoveryPoint(point) => r.text(point.vault),
        _ => absent("vault"),
    }),
    Field::new("retention_days", Type::Int, &[Class::LogGroup], "days events are kept; 0 is for ever", |r| {
        match r.resource.facts() {
            FactsRef::LogGroup(group) => int(group.retention_days.unwrap_or(0)),
            _ => absent("retention_days"),
        }
    }),
    Field::new(
        "last_event",
        Type::Time,
        &[Class::LogGroup],
        "when it was last written to; its creation when never",
        |r| Ok(Value::Time(r.last(Question::LastEvent, "last_event")?.0)),
    )
    .effort(Effort::Call),
];

/// The language and its vocabulary for people: the text of `policies/VOCABULARY.md`.
pub fn markdown() -> String {
    let mut out = String::from(LANGUAGE);
    for class in std::iter::once(None).chain(Class::ALL.iter().copied().map(Some)) {
        if class == Some(Class::Referrer) {
            continue;
        }
        let fields: Vec<&Field> = FIELDS
            .iter()
            .filter(|field| class.map_or(field.classes.is_empty(), |class| field.classes.contains(&class)))
            .collect();
        if fields.is_empty() {
            continue;
        }
        out.push_str(
            &[
                "\n#### ",
                class.map_or("every class", Class::name),
                "\n\n| field | type | what it is |\n|---|---|---|\n",
            ]
            .concat(),
        );
        for field in fields {
            let words = class.map_or_else(|| field.words_of(Class::Disk), |class| field.words_of(class));
            let mut about = field.doc.to_owned();
            if !words.is_empty() {
                let words: Vec<String> = words.iter().map(|word| ["`", word, "`"].concat()).collect();
                about = [&about, ": ", &words.join(" ")].concat();
            }
            match field.effort {
                Effort::Fact | Effort::Tags | Effort::Money => {}
                Effort::Search => about.push_str(" (searched everywhere within reach; may be unknown)"),
                Effort::Call => about.push_str(" (may need a call a resource)"),
            }
            out.push_str(&["| `", field.name, "` | ", field.of.name(), " | ", &about, " |\n"].concat());
        }
    }
    out
}

const LANGUAGE: &str = "\
# Policies and their vocabulary

<!-- Generated from sweeper/core/src/policy/vocabulary.rs: `SWEEPER_BLESS=1 cargo test -p sweeper-core vocabulary`. -->

## Keys of a `[[policy]]`

| key | what it is | where it is not written |
|---|---|---|
| `name` | unique | an error |
| `sweep` | a detector, or what is watched: see below | `class` and `when` alone decide, and the detector is called `condition` |
| `class` | one class of resources | every class the detector judges |
| `clouds`, `accounts`, `regions`, `kinds` | lists, never empty; an account is an id, or `aws:111122223333` | everything |
| `when` | a condition, see below | no condition |
| `then` | `report`, `tag`, `stop`, `delete`, `set-retention` | `report` |
| `for` | how long it must have held: `14d`, `72h`, `30m`, `2w` | `14d` |
| `grace` | how long the owner has after being told | `7d` |
| `limit` | `{ count = 50, share = \"5%\", monthly_usd = 2000 }`, a run | that |
| `keep` | `snapshot`, `definition` or `none`, before a deletion | the fullest the classes have |
| `consent` | `objection` or `explicit` | `explicit` |
| `approve` | `standing`, `owner`, `admin`, `two-people` | `two-people` |
| `accept_unseen` | referrers out of sight that are accepted | none: such findings are held |
| `severity` | `info`, `ticket`, `page` | the detector's |
| `tell` | where findings are sent | nowhere |

Under `then = \"stop\"`, `\"delete\"` or `\"set-retention\"` the rules are strict, so that losing a line is an error or
makes the policy narrower, never wider: `when` (on one line), `for`, `grace` and all of `limit` must be written;
exactly one of `clouds`, `accounts`, `regions`, `kinds` is written, and the rest of the scope goes into `when`;
`class` does not go with `sweep`. Write `when = 'true'` to act on everything that is found.

## Policies that watch

`sweep` may name something that is no resource. Such a policy tells, and has nothing to act on; its keys are `name`, `sweep`,
`severity` (`ticket`), `tell`, and those beside it. The bill is that of `[bill]` in `sweeper.toml`; a bill that is missing, cannot
be read or is too old is *unknown*, never quiet, and the run ends with 3.

| `sweep` | what is told | its keys |
|---|---|---|
| `bill-delta` | what the last mature week cost more or less than expected and nothing explains: above 10 % and the floor, on two odd days | `by` (`service`, `account`, `region`, `owner`), `floor` (25 a day) |
| `budget` | a month's budget that will be spent before its end, or burns at twice its usual | `monthly`; `owners`, or `accounts`, `clouds`; neither is the whole bill |
| `runaway-function` | a function that costs three times what its weekdays did, two days in a row, or ten times at once | `floor` (5 a day), `accounts`, `clouds` |
| `growth` | more resources every day for a week | `by` (`class`, `account`, `owner`), `share` (`5%` a day), `accounts`, `clouds` |
| `always-on` | machines and databases outside production that run through every night and weekend | `floor` (1 a month), `accounts`, `clouds` |
| `commitment-unused` | commitments that are paid for and cover nothing | `floor` (1 a month) |
| `extended-support` | charges for versions beyond their standard support | `floor` (1 a month) |
| `over-quota` | groups of resources that are more, or cost more a month, than they may, with the five dearest of each | `count`, `monthly_usd`, or both; `by` (`owner`, `account`, `region`, `class`), `classes`, `owners`, `accounts`, `clouds` |

A quota needs no bill: it counts what a survey sees, at the prices that are known. What is seen over it is certain; that the others are
within is *unknown* while a listing that may hold more of theirs is blind, an owner cannot be told or, under `monthly_usd`, a price
is not known. `classes` narrows it to what has prices, or to what a team is meant to count. Nothing is ever deleted by a quota.

## Keys of an `[[except]]`

All three are needed: `resource` (`<kind>:<account>/<native id>`, or with `<region>/` before the id; `*` is any
text), `reason`, and `until`, a date that counts until its day has ended everywhere on earth.

## Conditions

`when` in a policy is a condition in a subset of [CEL](https://cel.dev). It is checked when the policy is
loaded: an unknown field, a field that the class does not have, a state that does not exist, or two things that
cannot be compared are errors at their place.

```toml
when = 'size_gib > 100 && has_tag(\"env\") && tag(\"env\") != \"prod\" && age > duration(\"720h\")'
```

### Unknown

A condition is true, false or *unknown*. What the cloud does not say, what could not be read and what nobody has
asked yet is unknown, and so is every comparison with it. `unknown && false` is false, `unknown || true` is true;
otherwise unknown stays unknown: the resource is then shown as unknown, and nothing is ever done to it. The order
in which conditions are written does not matter: cheap ones are evaluated first, and a question that costs a call
is asked only where the rest does not decide.

### Operators

`&&` `||` `!` · `==` `!=` `<` `<=` `>` `>=` · `in [\"a\", \"b\"]` · `+` `-` (whole numbers, timestamps with
durations, durations) · `condition ? this : that`. Strings are compared byte by byte. There are no macros
(`has`, `all`, `exists`, `map`, `filter`), no lists but after `in`, no maps, no regular expressions.

### Functions

| function | what it is |
|---|---|
| `has_tag(\"key\")` | whether the tag is there; unknown where tags could not be read |
| `tag(\"key\")` | its value. Of a tag that is not there: `\"\"` under `then = \"report\"` and `\"tag\"`; *unknown* under `stop`, `delete` and `set-retention`, so that forgetting a tag never gets a resource deleted. Write `!has_tag(\"key\") \\|\\| …` to include those without it |
| `duration(\"720h\")` | a length of time, in `h`, `m`, `s` (CEL has no days) |
| `timestamp(\"2026-11-20T00:00:00Z\")` | an instant, RFC 3339 |
| `text.startsWith(\"a\")`, `.endsWith(\"a\")`, `.contains(\"a\")` | whether it does |
| `size(text)` | its length in characters |

### Fields

Money is compared exactly, as a decimal: `monthly_cost > 12.50`. A day without data is not a day without
use: usage is unknown unless there is data of every day of its window but one.
";
