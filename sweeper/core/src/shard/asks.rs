//! What the rules still ask once the shards were merged, cut into slips: one a shard.

use super::{
    Run, ShardError, Shelf, Stage,
    sheet::{Head, Parts, Reader, put, sealed},
    units::cut,
    work::Listed,
};
use crate::{
    answers::{Answer, Ask, Question},
    inventory::Inventory,
    kind::KindSpec,
    model::{CloudId, Scope},
    money::Amount,
    store::document::{self, Document},
    survey_file::RunCost,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufReader, BufWriter, Read, Write},
};

const ASKS: &str = "asks.json";

/// The questions of a run, a slip a shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// How many there are.
    pub questions: u64,
    /// What paid calls have cost before they are put, US dollars.
    pub spent: Amount,
    slips: Vec<Parts>,
}

impl Document for Asking {
    const FORMAT: &'static str = "sweeper.asks";
}

/// Questions about resources of one listing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    kind: String,
    scope: Scope,
    /// Row and question.
    asks: Vec<(u32, Question)>,
}

/// Their answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answered {
    kind: String,
    scope: Scope,
    /// Row, native id, question and answer.
    answers: Vec<(u32, String, Question, Answer)>,
}

/// What one shard asks.
pub(super) struct Slip {
    batches: Vec<Batch>,
    /// The listings that it asks about.
    pub(super) inventory: Inventory,
}

/// How many calls a question is expected to take, in hundredths: metrics are asked for by the hundred, anything else
/// takes a call each.
const fn size(question: Question) -> u64 {
    match question {
        Question::Usage { .. } | Question::Advised => 1,
        _ => 100,
    }
}

/// Writes the questions about a merged inventory, cut into as many slips as the run has shards, unless another merge
/// did; gives what then counts. `attempt` is a name that no other merge has, `spent` what listing has cost.
pub fn publish(
    shelf: &dyn Shelf,
    (run, attempt): (&Run, &str),
    inventory: &Inventory,
    asks: &BTreeSet<Ask>,
    spent: Amount,
) -> Result<Asking, ShardError> {
    let mut asks: Vec<Ask> = asks.iter().copied().filter(|ask| inventory.has(ask.resource)).collect();
    let place = |ask: &Ask| {
        let resource = inventory.at(ask.resource);
        (resource.scope(), resource.kind().id, *ask)
    };
    asks.sort_by(|a, b| place(a).cmp(&place(b)));
    let sizes: Vec<u64> = asks.iter().map(|ask| size(ask.question)).collect();
    let shards = cut(&sizes, run.shards);
    let mut slips = Vec::new();
    for shard in 0..run.shards {
        let own: Vec<Ask> = asks.iter().zip(&shards).filter(|(_, to)| **to == shard).map(|(ask, _)| *ask).collect();
        let mut batches: Vec<Batch> = Vec::new();
        for ask in &own {
            let resource = inventory.at(ask.resource);
            let entry = (ask.resource.row(), ask.question);
            match batches.last_mut() {
                Some(batch) if batch.kind == resource.kind().id && &batch.scope == resource.scope() => {
                    batch.asks.push(entry);
                }
                _ => batches.push(Batch {
                    kind: resource.kind().id.to_owned(),
                    scope: resource.scope().clone(),
                    asks: vec![entry],
                }),
            }
        }
        let part = inventory.part(own.iter().map(|ask| ask.resource));
        let name = format!("asks-{shard}-{}", document::part(attempt));
        slips.push(put(shelf, run, &name, |out| {
            let mut out = BufWriter::with_capacity(1 << 16, out);
            serde_json::to_writer(&mut out, &batches)?;
            out.write_all(b"\n")?;
            serde_json::to_writer(&mut out, &Listed(&part))?;
            out.flush()
        })?);
    }
    let asking = Asking { questions: asks.len() as u64, spent, slips };
    let key = run.key(ASKS);
    if shelf.create(&key, &document::written(&key, &asking)?)? {
        return Ok(asking);
    }
    Asking::read(shelf, run)?.ok_or_else(|| ShardError::NoAsks(run.id.clone()))
}

impl Asking {
    /// The questions of a run, if they are there.
    pub fn read(shelf: &dyn Shelf, run: &Run) -> Result<Option<Self>, ShardError> {
        let key = run.key(ASKS);
        let Some(bytes) = shelf.read(&key)? else { return Ok(None) };
        let asking: Self = document::parse(&key, &bytes)?;
        if asking.slips.len() != run.shards as usize {
            return Err(ShardError::Damaged(key, "it has not a slip for every shard".to_owned()));
        }
        Ok(Some(asking))
    }

    /// What a shard asks.
    pub(super) fn slip(
        &self,
        shelf: &dyn Shelf,
        run: &Run,
        shard: u32,
        specs: &[&'static KindSpec],
    ) -> Result<Slip, ShardError> {
        let Some(parts) = self.slips.get(shard as usize) else {
            return Err(ShardError::Index { shard, shards: run.shards });
        };
        let mut reader = Reader::new(shelf, run, parts);
        let slip = Slip::read(&mut reader, specs);
        let rest = io::copy(&mut reader, &mut io::sink());
        let damaged = |why: String| ShardError::Damaged(run.key(&parts.name), why);
        rest.map_err(|error| damaged(error.to_string()))?;
        reader.end().map_err(damaged)?;
        slip.map_err(damaged)
    }
}

impl Slip {
    fn read(input: &mut dyn Read, specs: &[&'static KindSpec]) -> Result<Self, String> {
        let mut input = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, input));
        let batches = Vec::<Batch>::deserialize(&mut input).map_err(|error| error.to_string())?;
        let inventory = Inventory::read(&mut input, specs).map_err(|error| error.to_string())?;
        input.end().map_err(|error| error.to_string())?;
        Ok(Self { batches, inventory })
    }

    pub(super) fn len(&self) -> u64 {
        self.batches.iter().map(|batch| batch.asks.len() as u64).sum()
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.batches.iter().map(|batch| &batch.scope)
    }

    fn ask(&self, batch: &Batch, row: u32, question: Question) -> Option<Ask> {
        let resource = self.inventory.find_row(&batch.kind, &batch.scope, row)?;
        Some(Ask { resource, question })
    }

    /// What to ask in accounts that are open.
    pub(super) fn asks(&self, closed: &BTreeMap<(CloudId, String), String>) -> BTreeSet<Ask> {
        let open = |batch: &&Batch| !closed.contains_key(&(batch.scope.cloud, batch.scope.account.clone()));
        let asks = self.batches.iter().filter(open);
        asks.flat_map(|batch| batch.asks.iter().filter_map(|(row, question)| self.ask(batch, *row, *question)))
            .collect()
    }

    /// The answers as they are written, and whether every question has one.
    pub(super) fn answered(
        &self,
        answers: &BTreeMap<Ask, Answer>,
        closed: &BTreeMap<(CloudId, String), String>,
    ) -> (Vec<Answered>, bool) {
        let mut complete = true;
        let mut out = Vec::new();
        for batch in &self.batches {
            let shut = closed.get(&(batch.scope.cloud, batch.scope.account.clone()));
            let mut given = Vec::new();
            for (row, question) in &batch.asks {
                let Some(ask) = self.ask(batch, *row, *question) else { continue };
                let unseen = || Answer::Unseen(shut.cloned().unwrap_or_else(|| "not asked".to_owned()));
                let answer = answers.get(&ask).cloned().unwrap_or_else(unseen);
                complete &= !matches!(answer, Answer::Unseen(_));
                given.push((*row, self.inventory.at(ask.resource).native_id().to_owned(), *question, answer));
            }
            out.push(Answered { kind: batch.kind.clone(), scope: batch.scope.clone(), answers: given });
        }
        (out, complete)
    }
}

/// What the answer shards say about the resources of a merged inventory.
pub struct Given {
    pub answers: BTreeMap<Ask, Answer>,
    /// What their calls came to.
    pub cost: RunCost,
    /// Shards of which nothing is known, and why. Their questions are unseen for that reason.
    pub gaps: Vec<String>,
}

/// Reads the sealed answers. An answer about what is not in its place any more is left out.
pub fn given(
    shelf: &dyn Shelf,
    run: &Run,
    asking: &Asking,
    inventory: &Inventory,
    specs: &[&'static KindSpec],
) -> Result<Given, ShardError> {
    let mut given = Given { answers: BTreeMap::new(), cost: RunCost::default(), gaps: Vec::new() };
    for shard in 0..run.shards {
        match sealed(shelf, run, Stage::Answers, shard, read)? {
            Ok((head, batches)) => {
                given.cost.add(&head.cost);
                for Answered { kind, scope, answers } in batches {
                    for (row, native, question, answer) in answers {
                        if let Some(resource) = inventory.find_row(&kind, &scope, row)
                            && inventory.at(resource).native_id() == native
                        {
                            given.answers.insert(Ask { resource, question }, answer);
                        }
                    }
                }
            }
            Err(why) => {
                let slip = asking.slip(shelf, run, shard, specs)?;
                if slip.batches.is_empty() {
                    continue;
                }
                for batch in &slip.batches {
                    for (row, question) in &batch.asks {
                        if let Some(resource) = inventory.find_row(&batch.kind, &batch.scope, *row) {
                            let ask = Ask { resource, question: *question };
                            given.answers.insert(ask, Answer::Unseen(why.clone()));
                        }
                    }
                }
                given.gaps.push(why);
            }
        }
    }
    Ok(given)
}

fn read(input: &mut dyn Read) -> Result<(Head, Vec<Answered>), String> {
    let mut input = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, input));
    let head = Head::deserialize(&mut input).map_err(|error| error.to_string())?;
    let answers = Vec::<Answered>::deserialize(&mut input).map_err(|error| error.to_string())?;
    input.end().map_err(|error| error.to_string())?;
    Ok((head, answers))
}
