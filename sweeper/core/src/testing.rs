//! A small cloud made of text, for tests of rules: kinds of every class, and a world to put things into.
//!
//! In a new [`World`] every kind of [`KINDS`] was listed completely in [`home`] and nothing is there. A
//! test adds what it is about, blinds what it wants unseen, and seals the world to judge in it.

use crate::{
    answers::{Answer, Answers, Ask, Question},
    deed::Target,
    detect::{self, Notes, Verdict, View},
    facts::{Facts, Referrer},
    house::House,
    intern::Sym,
    inventory::{Draft, Inventory, InventoryBuilder, Listing, Resource, Status},
    kind::{KindSpec, Places},
    model::{Class, CloudId, DAY, Reach, Relation, Scope, Timestamp},
};
use std::collections::{BTreeMap, BTreeSet};

/// The instant of every test: 2026-11-20T12:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_176_000);

/// So many days before [`NOW`].
pub(crate) const fn ago(days: i64) -> Timestamp {
    NOW.plus(-days * DAY)
}

/// Where things are unless a test says otherwise.
pub(crate) fn home() -> Scope {
    Scope::new(CloudId::Aws, "111111111111", "eu-west-1")
}

/// A volume as a plan names it.
pub(crate) fn volume(uid: &str) -> Target {
    Target {
        kind: "aws.ec2-volume".to_owned(),
        cloud: CloudId::Aws,
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        listed_in: "eu-west-1".to_owned(),
        native_id: uid.to_owned(),
        uid: uid.to_owned(),
        name: String::new(),
        created: Some(ago(90)),
    }
}

macro_rules! test_kinds {
    ($($name:ident $id:literal $class:ident $places:ident [$($relation:ident $reach:ident),*]);* $(;)?) => {
        $(pub(crate) static $name: KindSpec = KindSpec {
            id: $id,
            cloud: CloudId::Aws,
            class: Class::$class,
            title: $id,
            places: Places::$places,
            reads: &[concat!("test:List-", $id)],
            asks: &["test:Ask"],
            refers: &[$((Relation::$relation, Reach::$reach)),*],
            needs: &[],
            out_of_sight: &[],
            advised: "",
            report_only: "",
            acts: &[],
        };)*

        /// Every test kind.
        pub(crate) static KINDS: &[&KindSpec] = &[$(&$name),*];
    };
}

test_kinds! {
    VM "aws.test-vm" Vm Regions [UsedByVm Region];
    DISK "aws.test-disk" Disk Regions [];
    SNAPSHOT "aws.test-snapshot" Snapshot Regions [];
    IMAGE "aws.test-image" Image Regions [UsedByImage Region];
    TEMPLATE "aws.test-template" Referrer Regions [UsedByTemplate Region];
    PARAMETER "aws.test-parameter" Referrer Regions [UsedByTemplate Account];
    ARTIFACT "aws.test-artifact" Artifact Regions [];
    WORKLOAD "aws.test-workload" Referrer Regions [Referenced Org];
    BUCKET "aws.test-bucket" Bucket Account [];
    UPLOAD "aws.test-upload" Upload Account [];
    FUNCTION "aws.test-function" Function Regions [Referenced Org];
    FUNCTION_VERSION "aws.test-function-version" FunctionVersion Regions [];
    ALIAS "aws.test-alias" Referrer Regions [Aliased Region];
    ADDRESS "aws.test-address" Address Regions [];
    INTERFACE "aws.test-interface" Interface Regions [Holds Region];
    GATEWAY "aws.test-gateway" Gateway Regions [Holds Region];
    ROUTES "aws.test-routes" Referrer Regions [Routed Region];
    ENDPOINT "aws.test-endpoint" Endpoint Regions [];
    LOAD_BALANCER "aws.test-load-balancer" LoadBalancer Regions [];
    TARGET_GROUP "aws.test-target-group" TargetGroup Regions [Targets Region];
    OTHER_GROUP "aws.test-other-group" Referrer Regions [Targets Region];
    DATABASE "aws.test-database" Database Regions [];
    DB_SNAPSHOT "aws.test-db-snapshot" DbSnapshot Regions [];
    LOG_GROUP "aws.test-log-group" LogGroup Regions [];
    PLAN "aws.test-plan" Plan Regions [];
    APPLIANCE "aws.test-appliance" Appliance Regions [];
    SECURITY_GROUP "aws.test-security-group" SecurityGroup Regions [Guards Region];
    GUARDED "aws.test-guarded" Referrer Regions [Guards Region];
    CLUSTER "aws.test-cluster" Cluster Regions [];
}

/// Something being put together for a test.
pub(crate) struct World {
    builder: InventoryBuilder,
    listings: BTreeMap<(&'static str, Scope), Listing>,
    blind: BTreeSet<&'static str>,
    answers: Vec<(String, Question, Answer)>,
}

impl World {
    /// Everything seen, nothing there.
    pub(crate) fn new() -> Self {
        let mut builder = InventoryBuilder::new(KINDS);
        let listings = KINDS.iter().map(|spec| ((spec.id, place(spec)), builder.listing(spec, &place(spec)))).collect();
        Self { builder, listings, blind: BTreeSet::new(), answers: Vec::new() }
    }

    /// The symbol of a text, for facts.
    pub(crate) fn sym(&self, text: &str) -> Sym {
        self.listings.values().next().unwrap().sym(text)
    }

    /// Adds a resource, created 400 days ago, with no tags.
    #[must_use]
    pub(crate) fn with(self, spec: &'static KindSpec, native: &str, facts: impl Into<Facts>) -> Self {
        let tags = crate::inventory::Tags::Read(Vec::new());
        self.draft(spec, Draft { created: Some(ago(400)), tags, ..Draft::new(native, facts) })
    }

    /// Adds a referrer, which is nothing but what it uses.
    #[must_use]
    pub(crate) fn referrer(self, spec: &'static KindSpec, native: &str, uses: &[(Relation, &str)]) -> Self {
        self.draft(spec, Draft { uses: uses.to_vec(), ..Draft::new(native, Referrer {}) })
    }

    /// Adds a resource as it is given.
    #[must_use]
    pub(crate) fn draft(mut self, spec: &'static KindSpec, draft: Draft<'_>) -> Self {
        self.listings.get_mut(&(spec.id, place(spec))).unwrap().push(draft);
        self
    }

    /// Makes the listing of a kind fail.
    #[must_use]
    pub(crate) fn blind(mut self, spec: &KindSpec) -> Self {
        self.blind.insert(spec.id);
        self
    }

    /// Gives an answer, in place of an earlier one to the same question.
    #[must_use]
    pub(crate) fn answer(mut self, native: &str, question: Question, answer: Answer) -> Self {
        self.answers.push((native.to_owned(), question, answer));
        self
    }

    /// Takes an answer back.
    #[must_use]
    pub(crate) fn unanswered(mut self, question: Question) -> Self {
        self.answers.retain(|(_, known, _)| *known != question);
        self
    }

    /// Makes a question fail for everything.
    #[must_use]
    pub(crate) fn unseen(mut self, question: Question) -> Self {
        for (_, known, answer) in &mut self.answers {
            if *known == question {
                *answer = Answer::Unseen("denied test:Answer".to_owned());
            }
        }
        self
    }

    /// Nothing can be changed any more.
    pub(crate) fn seal(mut self) -> Sealed {
        for ((id, scope), listing) in self.listings {
            let spec = KINDS.iter().find(|spec| spec.id == id).unwrap();
            if self.blind.contains(id) {
                self.builder.mark(spec, &scope, Status::Blind { why: format!("denied test:List-{id}") }, 1);
            } else {
                self.builder.complete(listing, 1);
            }
        }
        let inventory = self.builder.build();
        let mut answers = Answers::default();
        for (native, question, answer) in self.answers {
            // What a blinded listing would have held is not there to be asked.
            if let Some(resource) = inventory.resources().find(|resource| resource.native_id() == native) {
                answers.insert(Ask { resource: resource.ix(), question }, answer);
            }
        }
        Sealed { inventory, answers, house: House::default() }
    }
}

fn place(spec: &KindSpec) -> Scope {
    match spec.places {
        Places::Regions => home(),
        Places::Account => Scope::new(CloudId::Aws, "111111111111", Scope::GLOBAL),
    }
}

/// A world to judge in.
pub(crate) struct Sealed {
    pub(crate) inventory: Inventory,
    pub(crate) answers: Answers,
    pub(crate) house: House,
}

impl Sealed {
    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.inventory, &self.answers, &self.house, NOW)
    }

    /// The first resource with this native id.
    pub(crate) fn resource(&self, native: &str) -> Resource<'_> {
        self.inventory.resources().find(|resource| resource.native_id() == native).unwrap()
    }

    /// What a detector says of a resource, and what it looked at.
    pub(crate) fn judge(&self, detector: &str, native: &str) -> (Verdict, Notes) {
        let view = self.view();
        let verdict = detect::detector(detector).unwrap().judge(&view, self.resource(native));
        (verdict, view.take_notes())
    }
}
