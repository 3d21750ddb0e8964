//! Putting sealed shards together, to what one process would have seen.

use super::{
    Frozen, Run, ShardError, Shelf, Stage,
    sheet::{Head, sealed},
};
use crate::{
    answers::Answers,
    calls::Journal,
    clocks::APART,
    inventory::{Inventory, InventoryBuilder, Status},
    kind::KindSpec,
    model::{Scope, Timestamp},
    survey::{self, Survey, Universes},
    survey_file::RunCost,
    ttl,
};
use serde::Deserialize as _;
use std::io::{BufReader, Read};

/// What the shards of a run saw.
pub struct Gathered {
    pub survey: Survey,
    /// What their calls came to.
    pub cost: RunCost,
    /// Shards of which nothing is known, and why.
    pub gaps: Vec<String>,
    /// Why some process's clock is not trusted, if one is not.
    pub doubt: Option<String>,
}

/// Merges what was sealed. What was not, or is not what was sealed, is blind. Its instant is that of the shard that
/// was first ready: nothing counts as older than any shard knew it.
pub fn gather(
    shelf: &dyn Shelf,
    run: &Run,
    frozen: &Frozen,
    universes: &Universes,
    now: Timestamp,
) -> Result<Gathered, ShardError> {
    let wanted = frozen.wanted(universes);
    let specs = survey::specs(universes, &wanted);
    let mut agenda = survey::agenda(universes, &wanted);
    let mut cost = RunCost::default();
    let mut gaps = Vec::new();
    let mut doubt: Option<String> = None;
    let mut first: Option<Timestamp> = None;
    let kinds = universes.kinds();
    for shard in 0..frozen.shards {
        let own = frozen.listings(shard);
        let mark = |builder: &mut InventoryBuilder, why: &str, all: bool| {
            for (scope, names) in &own {
                for spec in names.iter().filter_map(|name| kinds.get(name)).map(|kind| kind.spec()) {
                    if all || !builder.is_covered(spec, scope) {
                        builder.mark(spec, scope, Status::Blind { why: why.to_owned() }, 0);
                    }
                }
            }
        };
        let read = sealed(shelf, run, Stage::Units, shard, |input| read(input, &specs))?;
        match read {
            Ok((head, inventory)) => {
                let owns = |spec: &'static KindSpec, scope: &Scope| {
                    own.get(scope).is_some_and(|kinds| kinds.contains(spec.id))
                };
                agenda.builder.adopt(inventory, owns);
                mark(&mut agenda.builder, &format!("{} did not list it", run.named(shard)), false);
                cost.add(&head.cost);
                first = Some(first.map_or(head.taken_at, |first| first.min(head.taken_at)));
                doubt = doubt.or_else(|| clock(&head, frozen, now).map(|why| format!("{}: {why}", run.named(shard))));
            }
            Err(why) => {
                mark(&mut agenda.builder, &why, true);
                gaps.push(why);
            }
        }
    }
    for listing in &agenda.listings {
        if !agenda.builder.is_covered(listing.kind.spec(), &listing.scope) {
            let why = "it is in no unit of the run's list".to_owned();
            agenda.builder.mark(listing.kind.spec(), &listing.scope, Status::Blind { why }, 0);
        }
    }
    let survey = Survey {
        inventory: agenda.builder.build(),
        answers: Answers::default(),
        accounts: agenda.accounts,
        started: frozen.started,
        taken_at: first.unwrap_or(frozen.started),
        journal: Journal::new(),
    };
    Ok(Gathered { survey, cost, gaps, doubt })
}

/// Why a shard's clock is not trusted: the clouds say otherwise, or it was ready before the run began or after now.
fn clock(head: &Head, frozen: &Frozen, now: Timestamp) -> Option<String> {
    if let Some(why) = &head.doubt {
        return Some(why.clone());
    }
    let early = frozen.started.since(head.taken_at);
    let late = head.taken_at.since(now);
    if early > APART {
        return Some(format!("its clock is {} behind that of the process that began the run", ttl::spoken(early)));
    }
    (late > APART).then(|| format!("its clock is {} ahead of that of the merge", ttl::spoken(late)))
}

fn read(input: &mut dyn Read, specs: &[&'static KindSpec]) -> Result<(Head, Inventory), String> {
    let mut input = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, input));
    let head = Head::deserialize(&mut input).map_err(|error| error.to_string())?;
    let inventory = Inventory::read(&mut input, specs).map_err(|error| error.to_string())?;
    input.end().map_err(|error| error.to_string())?;
    Ok((head, inventory))
}
