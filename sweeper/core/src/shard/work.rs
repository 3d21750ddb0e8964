//! What a shard does: lists its units, or puts its questions, and seals what it saw.

use super::{
    Asking, Frozen, Run, Sealing, ShardError, Shelf, Stage,
    sheet::{Attempt, Head},
    units::enter,
};
use crate::{
    answers::{Answer, Ask},
    calls::Calls,
    inventory::{Inventory, InventoryBuilder, Status},
    model::{CloudId, Timestamp},
    survey::{self, Progress, ToList, Universes},
    survey_file::RunCost,
};
use serde::{Serialize, Serializer};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufWriter, Write},
    sync::Arc,
};

/// An inventory as a survey has it.
pub(crate) struct Listed<'a>(pub(crate) &'a Inventory);

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

fn head(started: Timestamp, calls: &Calls) -> Head {
    Head { started, taken_at: calls.clock().wall(), doubt: calls.clocks().doubt(), cost: RunCost::of(&calls.journal()) }
}

fn check(run: &Run, shard: u32) -> Result<(), ShardError> {
    if shard < run.shards { Ok(()) } else { Err(ShardError::Index { shard, shards: run.shards }) }
}

/// Lists the units of a shard and seals what was seen. Accounts that cannot be entered are blind; a cloud that cannot be entered at all is an error, and nothing is sealed.
pub async fn list(
    shelf: &dyn Shelf,
    (run, shard, attempt): (&Run, u32, &str),
    frozen: &Frozen,
    universes: &Universes,
    calls: &Calls,
    progress: &dyn Progress,
) -> Result<Sealing, ShardError> {
    check(run, shard)?;
    let started = calls.clock().wall();
    let wanted = frozen.wanted(universes);
    let own = frozen.listings(shard);
    let closed = enter(universes, own.keys().copied()).await?;
    let mut builder = InventoryBuilder::new(&survey::specs(universes, &wanted));
    let mut listings: Vec<ToList> = Vec::new();
    let kinds = universes.kinds();
    let mut accounts: BTreeSet<(CloudId, &str)> = BTreeSet::new();
    let mut regions: BTreeSet<&str> = BTreeSet::new();
    let mut count = 0;
    for (scope, names) in own {
        accounts.insert((scope.cloud, &scope.account));
        regions.insert(&scope.region);
        for kind in names.into_iter().filter_map(|name| kinds.get(name)) {
            count += 1;
            match closed.get(&(scope.cloud, scope.account.clone())) {
                Some(why) => builder.mark(kind.spec(), scope, Status::Blind { why: why.clone() }, 0),
                None => listings.push(ToList { kind: Arc::clone(kind), scope: scope.clone() }),
            }
        }
    }
    progress.planned(accounts.len(), regions.len(), listings.len());
    survey::enumerate(&mut builder, listings, calls, progress).await;
    let inventory = builder.build();
    let complete = inventory.coverage().iter().all(|(.., covered)| !matches!(covered.status, Status::Blind { .. }));
    let head = head(started, calls);
    let attempt = Attempt { run, stage: Stage::Units, shard, name: attempt };
    attempt.seal(shelf, (count, complete), |out| {
        let mut out = BufWriter::with_capacity(1 << 16, out);
        serde_json::to_writer(&mut out, &head)?;
        out.write_all(b"\n")?;
        serde_json::to_writer(&mut out, &Listed(&inventory))?;
        out.flush()
    })
}

/// Enters the accounts that some questions are about, and gives what must stay unseen since they cannot be entered.
pub(crate) async fn closed(
    universes: &Universes,
    inventory: &Inventory,
    asks: &BTreeSet<Ask>,
) -> BTreeMap<Ask, Answer> {
    let scope = |ask: &Ask| inventory.at(ask.resource).scope();
    let entered = enter(universes, asks.iter().map(scope)).await;
    let why = |ask: &Ask| match &entered {
        Ok(closed) => closed.get(&(scope(ask).cloud, scope(ask).account.clone())).cloned(),
        Err(error) => Some(error.cause()),
    };
    asks.iter().filter_map(|ask| Some((*ask, Answer::Unseen(why(ask)?)))).collect()
}

/// Puts the questions of a shard and seals the answers. As with [`list`].
pub async fn answer(
    shelf: &dyn Shelf,
    (run, shard, attempt): (&Run, u32, &str),
    asking: &Asking,
    universes: &Universes,
    calls: &Calls,
    progress: &dyn Progress,
) -> Result<Sealing, ShardError> {
    check(run, shard)?;
    let started = calls.clock().wall();
    let specs: Vec<_> = universes.kinds().values().map(|kind| kind.spec()).collect();
    let slip = asking.slip(shelf, run, shard, &specs)?;
    let closed = enter(universes, slip.scopes()).await?;
    let clouds: Vec<_> = universes.clouds.iter().map(|(cloud, _)| Arc::clone(cloud)).collect();
    let asks = slip.asks(&closed);
    let answers = survey::answers(&slip.inventory, &clouds, asks, calls, progress).await;
    let (answered, complete) = slip.answered(&answers, &closed);
    let head = head(started, calls);
    let attempt = Attempt { run, stage: Stage::Answers, shard, name: attempt };
    attempt.seal(shelf, (slip.len(), complete), |out| {
        let mut out = BufWriter::with_capacity(1 << 16, out);
        serde_json::to_writer(&mut out, &head)?;
        out.write_all(b"\n")?;
        serde_json::to_writer(&mut out, &answered)?;
        out.flush()
    })
}
