//! `sweeper.survey/1`: a sealed survey as a file, named by its content.
//!
//! Two lines: the survey, and its seal, the SHA-256 of the first line. A survey that was changed after it was
//! taken, by a bad disk or by hand, is refused. Everything that a report needs is in it, so that `report --survey FILE` reads nothing else and gives
//! the same bytes on every machine. Written and read as a stream.

use crate::{
    answers::Answers,
    calls::Journal,
    costs::CostSheet,
    house::House,
    inventory::Inventory,
    kind::KindSpec,
    ledger::LedgerSlice,
    model::{CloudId, Timestamp},
    money::Amount,
    survey::{Looked, Survey},
    waiver::Waiver,
};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeSeed, Error as _, MapAccess, Visitor},
    ser::SerializeStruct as _,
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, BufRead, Read, Write},
};
use thiserror::Error;

/// The format written.
pub const FORMAT: &str = "sweeper.survey/1";
const FAMILY: &str = "sweeper.survey/";

/// What the run's calls came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCost {
    pub calls: u64,
    /// Paid units: metrics asked for, LIST requests.
    pub metrics: u64,
    /// US dollars.
    pub usd: Amount,
    /// By permission.
    pub by_api: BTreeMap<String, ApiCost>,
}

/// What the calls of one permission came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCost {
    pub calls: u64,
    pub units: u64,
    pub usd: Amount,
}

impl RunCost {
    /// Adds what another part of the same run came to.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.metrics += other.metrics;
        self.usd += other.usd;
        for (op, more) in &other.by_api {
            let api = self.by_api.entry(op.clone()).or_default();
            api.calls += more.calls;
            api.units += more.units;
            api.usd += more.usd;
        }
    }

    pub fn of(journal: &Journal) -> Self {
        let mut cost = Self::default();
        for ((_, op), tally) in journal {
            cost.calls += tally.calls;
            cost.metrics += tally.units;
            cost.usd += tally.usd;
            let api = cost.by_api.entry((*op).to_owned()).or_default();
            api.calls += tally.calls;
            api.units += tally.units;
            api.usd += tally.usd;
        }
        cost
    }
}

/// A survey with everything that judging it needs but the policies.
pub struct Sealed {
    pub survey: Survey,
    /// When the last answer was in.
    pub finished: Timestamp,
    /// Clouds whose whole organisation was asked for, so that not seeing all of it is blindness.
    pub whole: BTreeSet<CloudId>,
    pub house: House,
    pub waivers: Vec<Waiver>,
    pub costs: CostSheet,
    pub ledger: LedgerSlice,
    pub cost: RunCost,
}

/// Why a survey file cannot be used.
#[derive(Debug, Error)]
pub enum SurveyFileError {
    #[error("it is not a survey: {0}")]
    Foreign(String),
    /// Written by a later release.
    #[error("it has format `{0}`, and this release reads up to `{FORMAT}`")]
    Newer(String),
    #[error("it is damaged or cut short: {0}")]
    Damaged(String),
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

struct Hashing<T> {
    inner: T,
    hash: Sha256,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    fn digest(&mut self) -> String {
        hexadecimal(&self.hash.finalize_reset())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The first line of what is under it, its end included, hashed on the way.
struct FirstLine<R> {
    inner: R,
    hash: Sha256,
    ended: bool,
}

impl<R: BufRead> Read for FirstLine<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let ahead = self.inner.fill_buf()?;
        let most = ahead.len().min(bytes.len());
        // JSON has no bare line end inside, so the first one ends the survey.
        let count = ahead[..most].iter().position(|byte| *byte == b'\n').map_or(most, |at| {
            self.ended = true;
            at + 1
        });
        bytes[..count].copy_from_slice(&ahead[..count]);
        self.inner.consume(count);
        self.hash.update(&bytes[..count]);
        Ok(count)
    }
}

/// The second line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    sha256: String,
}

/// A seal is shorter than this; what is longer is none.
const LONGEST_SEAL: u64 = 200;

/// Writes a survey with its seal and gives the SHA-256 of the survey, hexadecimal.
pub fn write(sealed: &Sealed, tool: &str, out: impl Write) -> io::Result<String> {
    let mut out = io::BufWriter::with_capacity(1 << 16, Hashing::new(out));
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, crate::inert::InertJson);
    Written { sealed, tool }.serialize(&mut serializer)?;
    out.write_all(b"\n")?;
    let mut out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let sha256 = out.digest();
    serde_json::to_writer(&mut out.inner, &Seal { sha256: sha256.clone() })?;
    out.inner.write_all(b"\n")?;
    out.inner.flush()?;
    Ok(sha256)
}

/// Reads a survey with the kinds this build knows, holds it against its seal, and gives its digest.
pub fn read(input: impl Read, known: &[&'static KindSpec]) -> Result<(Sealed, String), SurveyFileError> {
    let line = FirstLine { inner: io::BufReader::with_capacity(1 << 16, input), hash: Sha256::new(), ended: false };
    let mut input = io::BufReader::with_capacity(1 << 16, line);
    let mut newer = None;
    let sealed = {
        let mut deserializer = serde_json::Deserializer::from_reader(&mut input);
        let seed = Seed { known, newer: &mut newer };
        let sealed = seed.deserialize(&mut deserializer).and_then(|sealed| deserializer.end().map(|()| sealed));
        match (sealed, newer) {
            (Ok(sealed), _) => sealed,
            (Err(_), Some(format)) if format.starts_with(FAMILY) => return Err(SurveyFileError::Newer(format)),
            (Err(error), format) => {
                return Err(match error.classify() {
                    serde_json::error::Category::Io => SurveyFileError::Io(error.into()),
                    _ if format.is_some() || error.to_string().starts_with(FOREIGN) => {
                        SurveyFileError::Foreign(error.to_string())
                    }
                    _ => SurveyFileError::Damaged(error.to_string()),
                });
            }
        }
    };
    io::copy(&mut input, &mut io::sink())?;
    let line = input.into_inner();
    let digest = hexadecimal(&line.hash.finalize());
    let mut seal = Vec::new();
    line.inner.take(LONGEST_SEAL).read_to_end(&mut seal)?;
    match serde_json::from_slice::<Seal>(&seal) {
        Ok(seal) if seal.sha256 == digest => Ok((sealed, digest)),
        Ok(_) => Err(SurveyFileError::Damaged("it is not what was sealed: something changed it since".to_owned())),
        Err(_) => Err(SurveyFileError::Damaged("its seal is missing".to_owned())),
    }
}

/// How the error of a file of another sort begins.
const FOREIGN: &str = "no survey";

struct Written<'a> {
    sealed: &'a Sealed,
    tool: &'a str,
}

impl Serialize for Written<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Listed<'a>(&'a Inventory);
        impl Serialize for Listed<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.write(serializer)
            }
        }
        let Sealed { survey, finished, whole, house, waivers, costs, ledger, cost } = self.sealed;
        let mut out = serializer.serialize_struct("Survey", 14)?;
        out.serialize_field("format", FORMAT)?;
        out.serialize_field("tool", self.tool)?;
        out.serialize_field("started", &survey.started)?;
        out.serialize_field("taken_at", &survey.taken_at)?;
        out.serialize_field("finished", finished)?;
        out.serialize_field("whole", whole)?;
        out.serialize_field("accounts", &survey.accounts)?;
        out.serialize_field("house", house)?;
        out.serialize_field("waivers", waivers)?;
        out.serialize_field("cost", cost)?;
        out.serialize_field("ledger", ledger)?;
        out.serialize_field("inventory", &Listed(&survey.inventory))?;
        out.serialize_field("answers", &survey.answers)?;
        out.serialize_field("costs", costs)?;
        out.end()
    }
}

struct Seed<'k, 'n> {
    known: &'k [&'static KindSpec],
    /// Set to the format when it is not the one we read.
    newer: &'n mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = Sealed;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Sealed, D::Error> {
        deserializer.deserialize_map(self)
    }
}

struct InventorySeed<'k>(&'k [&'static KindSpec]);

impl<'de> DeserializeSeed<'de> for InventorySeed<'_> {
    type Value = Inventory;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Inventory, D::Error> {
        Inventory::read(deserializer, self.0)
    }
}

/// Surveys of one cloud say it in a word.
#[derive(Deserialize)]
#[serde(untagged)]
enum Whole {
    OfAll(bool),
    Of(BTreeSet<CloudId>),
}

impl Whole {
    fn clouds(self) -> BTreeSet<CloudId> {
        match self {
            Self::OfAll(true) => CloudId::ALL.into(),
            Self::OfAll(false) => BTreeSet::new(),
            Self::Of(clouds) => clouds,
        }
    }
}

#[derive(Default)]
struct Fields {
    started: Option<Timestamp>,
    taken_at: Option<Timestamp>,
    finished: Option<Timestamp>,
    whole: Option<BTreeSet<CloudId>>,
    accounts: Option<Vec<Looked>>,
    house: Option<House>,
    waivers: Option<Vec<Waiver>>,
    cost: Option<RunCost>,
    ledger: Option<LedgerSlice>,
    inventory: Option<Inventory>,
    answers: Option<Answers>,
    costs: Option<CostSheet>,
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = Sealed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a survey")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sealed, A::Error> {
        // The format comes first: nothing of a file we do not understand is looked at.
        if map.next_key::<String>()?.as_deref() != Some("format") {
            return Err(A::Error::custom(format!("{FOREIGN}: it does not begin with its format")));
        }
        let format: String = map.next_value()?;
        if format != FORMAT {
            let error = A::Error::custom(format!("{FOREIGN}: its format is `{}`", short(&format)));
            *self.newer = Some(short(&format));
            return Err(error);
        }
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tool" => drop(map.next_value::<String>()?),
                "started" => fields.started = Some(map.next_value()?),
                "taken_at" => fields.taken_at = Some(map.next_value()?),
                "finished" => fields.finished = Some(map.next_value()?),
                "whole" => fields.whole = Some(map.next_value::<Whole>()?.clouds()),
                "accounts" => fields.accounts = Some(map.next_value()?),
                "house" => fields.house = Some(map.next_value()?),
                "waivers" => fields.waivers = Some(map.next_value()?),
                "cost" => fields.cost = Some(map.next_value()?),
                "ledger" => fields.ledger = Some(map.next_value()?),
                "inventory" => fields.inventory = Some(map.next_value_seed(InventorySeed(self.known))?),
                "answers" => fields.answers = Some(map.next_value()?),
                "costs" => fields.costs = Some(map.next_value()?),
                other => return Err(A::Error::custom(format!("unknown key `{}`", short(other)))),
            }
        }
        let missing = |name: &'static str| A::Error::missing_field(name);
        Ok(Sealed {
            survey: Survey {
                inventory: fields.inventory.ok_or_else(|| missing("inventory"))?,
                answers: fields.answers.ok_or_else(|| missing("answers"))?,
                accounts: fields.accounts.ok_or_else(|| missing("accounts"))?,
                started: fields.started.ok_or_else(|| missing("started"))?,
                taken_at: fields.taken_at.ok_or_else(|| missing("taken_at"))?,
                journal: Journal::new(),
            },
            finished: fields.finished.ok_or_else(|| missing("finished"))?,
            whole: fields.whole.ok_or_else(|| missing("whole"))?,
            house: fields.house.ok_or_else(|| missing("house"))?,
            waivers: fields.waivers.ok_or_else(|| missing("waivers"))?,
            costs: fields.costs.ok_or_else(|| missing("costs"))?,
            ledger: fields.ledger.ok_or_else(|| missing("ledger"))?,
            cost: fields.cost.ok_or_else(|| missing("cost"))?,
        })
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A foreign text in a message: its first characters.
fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answers::{Answer, Ask, Question},
        facts::{Disk, DiskState},
        inventory::{Draft, InventoryBuilder, Status, Tags},
        kind::Places,
        model::{Class, CloudId, Relation, Scope},
        money::Cost,
    };

    static VOLUME: KindSpec = KindSpec {
        id: "aws.ec2-volume",
        cloud: CloudId::Aws,
        class: Class::Disk,
        title: "EBS volume",
        places: Places::Regions,
        reads: &["ec2:DescribeVolumes"],
        asks: &[],
        refers: &[],
        needs: &[],
        out_of_sight: &[],
        advised: "",
        report_only: "",
        acts: &[],
    };

    fn sealed() -> Sealed {
        let mut builder = InventoryBuilder::new(&[&VOLUME]);
        let scope = Scope::new(CloudId::Aws, "111111111111", "us-east-1");
        let mut listing = builder.listing(&VOLUME, &scope);
        for n in 0..3 {
            let disk = Disk {
                state: DiskState::Available,
                size_gib: 100,
                tier: listing.sym("gp3"),
                iops: None,
                throughput: None,
                source_snapshot: listing.sym(""),
                attachments: 0,
                last_attached: None,
            };
            listing.push(Draft {
                name: "=HYPERLINK(\"x\")\u{202e}\u{1b}[31m<b>\n",
                tags: Tags::Read(vec![("owner", "alice"), ("k\u{9b}", "v")]),
                created: Some(Timestamp(1_700_000_000)),
                uses: vec![(Relation::Holds, "vol-1")],
                ..Draft::new(&format!("vol-{n}"), disk)
            });
        }
        builder.complete(listing, 2);
        let blind = Scope::new(CloudId::Aws, "222222222222", "us-east-1");
        builder.mark(&VOLUME, &blind, Status::Blind { why: "denied ec2:DescribeVolumes".to_owned() }, 1);
        let inventory = builder.build();
        let costs = CostSheet::of(&inventory, |_| Cost::list(Amount::whole(8)));
        let mut answers = Answers::default();
        if let Some(first) = inventory.resources().next() {
            let ask = Ask { resource: first.ix(), question: Question::Shares };
            answers.insert(ask, Answer::Unseen("denied ec2:DescribeSnapshotAttribute".to_owned()));
        }
        let account =
            Looked { cloud: CloudId::Aws, id: "111111111111".to_owned(), name: "main".to_owned(), path: String::new() };
        let survey = Survey {
            inventory,
            answers,
            accounts: vec![account],
            started: Timestamp(1_763_000_000),
            taken_at: Timestamp(1_763_000_100),
            journal: Journal::new(),
        };
        Sealed {
            survey,
            finished: Timestamp(1_763_000_101),
            whole: BTreeSet::from([CloudId::Aws]),
            house: House::default(),
            waivers: Vec::new(),
            costs,
            ledger: LedgerSlice::default(),
            cost: RunCost::default(),
        }
    }

    fn written() -> (Vec<u8>, String) {
        let mut bytes = Vec::new();
        let digest = write(&sealed(), "sweeper test", &mut bytes).unwrap();
        (bytes, digest)
    }

    fn failure(bytes: &[u8]) -> Option<SurveyFileError> {
        read(bytes, &[&VOLUME]).err()
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let (bytes, digest) = written();
        let (back, named) = read(bytes.as_slice(), &[&VOLUME]).unwrap();
        assert_eq!(digest, named);
        assert_eq!(digest.len(), 64);
        let mut again = Vec::new();
        write(&back, "sweeper test", &mut again).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(bytes).unwrap());
    }

    #[test]
    fn the_iac_index_is_sealed_where_there_is_one() {
        use crate::iac::{Entry, Iac, IacIndex, Outcome, Source};
        let (bytes, _) = written();
        assert!(!String::from_utf8(bytes).unwrap().contains("\"iac\""), "a survey without one is as it was");
        let text = |text: &str| text.to_owned();
        let entry = Entry { id: text("vol-1"), address: text("a.b"), stack: text("s"), tool: text("pulumi") };
        let index = IacIndex::new(Timestamp(1_763_000_000), text("test"), false, vec![entry]);
        let source = |path: &str, outcome| Source { path: text(path), outcome };
        let mut sealed = sealed();
        sealed.house.iac = Iac {
            clouds: BTreeSet::from([CloudId::Aws]),
            max_age: 3600,
            sources: vec![
                source("a.json", Outcome::Index(index)),
                source("b.json", Outcome::Unreadable(text("it is not there"))),
            ],
        };
        let mut bytes = Vec::new();
        write(&sealed, "sweeper test", &mut bytes).unwrap();
        let (back, _) = read(bytes.as_slice(), &[&VOLUME]).unwrap();
        assert_eq!(back.house, sealed.house);
        let mut again = Vec::new();
        write(&back, "sweeper test", &mut again).unwrap();
        assert_eq!(again, bytes);
    }

    #[test]
    fn in_use_files_are_sealed_where_there_are_some() {
        use crate::in_use::{InUseFile, Outcome, Referrer, Referrers};
        let (bytes, _) = written();
        assert!(!String::from_utf8(bytes).unwrap().contains("\"referrers\""), "a survey without one is as it was");
        let text = |text: &str| text.to_owned();
        let file = InUseFile::new(
            Timestamp(1_763_000_000),
            text("prod"),
            [text("kubernetes")].into(),
            true,
            vec![text("vol-1"), text("sha256:1")],
        );
        let referrer = |name: &str, outcome| Referrer {
            name: text(name),
            clouds: [CloudId::Aws].into(),
            accounts: vec![text("aws:*")],
            clusters: vec![text("prod-*")],
            max_age: 3600,
            outcome,
        };
        let mut sealed = sealed();
        sealed.house.referrers = Referrers(vec![
            referrer("a.json", Outcome::File(file)),
            referrer("b.json", Outcome::Unreadable(text("it is not there"))),
        ]);
        let mut bytes = Vec::new();
        write(&sealed, "sweeper test", &mut bytes).unwrap();
        let (back, _) = read(bytes.as_slice(), &[&VOLUME]).unwrap();
        assert_eq!(back.house, sealed.house);
        let mut again = Vec::new();
        write(&back, "sweeper test", &mut again).unwrap();
        assert_eq!(again, bytes);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic() {
        let (bytes, digest) = written();
        for cut in 0..bytes.len() - 1 {
            assert!(failure(&bytes[..cut]).is_some(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for with in [b'9', b'"', b'[', 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = with;
                if let Ok((back, named)) = read(damaged.as_slice(), &[&VOLUME]) {
                    assert!(damaged == bytes || named != digest);
                    // Whatever was read can be looked at.
                    for resource in back.survey.inventory.resources() {
                        let _ = (resource.id(), resource.facts(), resource.listed_tags(), resource.uses().count());
                        let _ = back.survey.inventory.users(resource, Relation::Holds, &[]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_changed_digit_breaks_the_seal() {
        let (bytes, digest) = written();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with(&format!("{{\"sha256\":\"{digest}\"}}\n")), "{text}");
        let changed = text.replacen("vol-", "vol_", 1);
        assert_ne!(changed, text);
        assert!(matches!(failure(changed.as_bytes()), Some(SurveyFileError::Damaged(why)) if why.contains("sealed")));
        let unsealed = text.lines().next().unwrap();
        assert!(matches!(failure(unsealed.as_bytes()), Some(SurveyFileError::Damaged(why)) if why.contains("seal")));
    }

    #[test]
    fn a_file_of_another_sort_is_named_as_such() {
        let newer = br#"{"format":"sweeper.survey/2","what":1}"#;
        assert!(matches!(failure(newer), Some(SurveyFileError::Newer(format)) if format == "sweeper.survey/2"));
        assert!(matches!(failure(br#"{"format":"other/1"}"#), Some(SurveyFileError::Foreign(_))));
        assert!(matches!(failure(br#"{"a":1}"#), Some(SurveyFileError::Foreign(_))));
        assert!(failure(b"").is_some());
        assert!(failure(b"[]").is_some());
    }

    #[test]
    fn a_kind_this_build_does_not_know_is_named() {
        let (bytes, _) = written();
        let error = read(bytes.as_slice(), &[]).err().unwrap().to_string();
        assert!(error.contains("`aws.ec2-volume`, which this build does not know"), "{error}");
    }
}
