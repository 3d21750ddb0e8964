//! Listings that several kinds read.

use crate::{
    arm::Azure,
    entity::{Entity, Sort},
    graph,
};
use futures_util::{
    future::BoxFuture,
    stream::{self, StreamExt as _},
};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Question, Usage},
    calls::Site,
    inventory::Listing,
    kind::{CloudError, Fault},
};

/// Calls under way at once for one listing that calls once a thing. The door limits further.
pub(crate) const AT_ONCE: usize = 8;

/// Every resource of a sort in the site's subscription, listed once a run however many kinds need it: by Resource
/// Graph or, where that does not tell, by `list`, which is noted in `out`.
pub(crate) async fn entities<P>(
    azure: &Azure,
    site: &Site,
    sort: &'static Sort,
    list: BoxFuture<'_, Result<Vec<Entity<P>>, CloudError>>,
    out: Option<&mut Listing>,
) -> Result<Arc<Vec<Entity<P>>>, CloudError>
where
    P: DeserializeOwned + Send + Sync + 'static,
{
    let either = Box::pin(async move {
        match graph::rows::<P>(azure, site, sort).await {
            Some(rows) => Ok(rows),
            None => list.await,
        }
    });
    let all = azure.once(site, format!("shared {}", sort.of), either).await?;
    if let (Some(out), Some(note)) = (out, graph::note(azure, sort)) {
        out.notes(note);
    }
    Ok(all)
}

/// As [`entities`], of what a subscription lists itself.
pub(crate) async fn of_subscription<P>(
    azure: &Azure,
    site: &Site,
    sort: &'static Sort,
    out: Option<&mut Listing>,
) -> Result<Arc<Vec<Entity<P>>>, CloudError>
where
    P: DeserializeOwned + Send + Sync + 'static,
{
    let path = format!("/subscriptions/{}/providers/{}", site.scope().account, sort.of);
    let list = Box::pin(async move { azure.list(site, sort.op, &path, sort.api).await });
    entities(azure, site, sort, list, out).await
}

/// Runs the futures a few at a time; their results in order, or the first error.
pub(crate) async fn all<T, F>(work: Vec<F>) -> Result<Vec<T>, CloudError>
where
    F: Future<Output = Result<T, CloudError>> + Send,
    T: Send,
{
    let mut results = Vec::with_capacity(work.len());
    let mut stream = stream::iter(work).buffered(AT_ONCE);
    while let Some(result) = stream.next().await {
        results.push(result?);
    }
    Ok(results)
}

/// Whether an error is about the run or the identity rather than about one thing.
pub(crate) fn stops(error: &CloudError) -> bool {
    matches!(error.fault, Fault::Unauthenticated | Fault::OutOfTime | Fault::Cancelled)
}

/// The answer for what is measured on no day.
pub(crate) fn unmeasured(question: Question) -> Answer {
    let days = if let Question::Usage { days, .. } = question { days } else { 0 };
    Answer::Usage(Usage { max: 0.0, sum: 0.0, covered: 0, days, last_above_zero: None })
}

/// Answers each ask by its own future. A failed one is the answer to its own ask and to no other.
pub(crate) async fn each<F>(work: Vec<(Ask, F)>) -> Vec<(Ask, Answer)>
where
    F: Future<Output = Result<Answer, CloudError>> + Send,
{
    let work = work
        .into_iter()
        .map(|(ask, answer)| async move { (ask, answer.await.unwrap_or_else(|error| Answer::Unseen(error.cause()))) });
    stream::iter(work.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await
}

/// What tests list.
#[cfg(test)]
pub(crate) mod fixtures {
    use crate::{
        entity::{Common, Entity, location},
        marks,
    };
    use serde::de::DeserializeOwned;
    use sweeper_core::{
        facts::{Appliance, FactsRef},
        inventory::{Inventory, InventoryBuilder, Listing},
        kind::KindSpec,
        model::{CloudId, Scope},
    };

    pub(crate) fn entity<P: DeserializeOwned>(json: &str) -> Entity<P> {
        serde_json::from_str(json).unwrap()
    }

    /// An inventory with what `push` makes of a row.
    pub(crate) fn listed<P>(
        spec: &'static KindSpec,
        row: &Entity<P>,
        push: impl FnOnce(&Entity<P>, &Common, &mut Listing),
    ) -> Inventory {
        let mut builder = InventoryBuilder::new(&[spec]);
        let mut listing = builder.listing(spec, &Scope::new(CloudId::Azure, "s", Scope::GLOBAL));
        let common = Common {
            lower: row.id.to_ascii_lowercase(),
            region: location(row.location.as_deref().unwrap_or_default()),
            managed_by: marks::managed_by(row),
            protected: String::new(),
            cluster: String::new(),
        };
        push(row, &common, &mut listing);
        builder.complete(listing, 1);
        builder.build()
    }

    pub(crate) fn rows<P: DeserializeOwned>(
        spec: &'static KindSpec,
        json: &str,
        push: impl FnOnce(&Entity<P>, &Common, &mut Listing),
    ) -> Inventory {
        listed(spec, &entity(json), push)
    }

    /// The facts of an appliance with such properties, whose id is `/row`.
    pub(crate) fn appliance<P: DeserializeOwned>(
        spec: &'static KindSpec,
        properties: &str,
        push: impl FnOnce(&Entity<P>, &Common, &mut Listing),
    ) -> Appliance {
        let json = format!(r#"{{"id":"/row","location":"eastus","properties":{properties}}}"#);
        match rows(spec, &json, push).resources().next().unwrap().facts() {
            FactsRef::Appliance(facts) => facts.clone(),
            _ => panic!("no appliance"),
        }
    }
}
