//! Questions that take a call each, put a few at a time.

use futures_util::stream::{self, StreamExt as _};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Mutex, PoisonError},
};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    inventory::Inventory,
    kind::{CloudError, Fault},
};

/// Calls under way for one batch of questions, or one listing that calls once a thing. The door limits
/// further, per service.
pub(crate) const AT_ONCE: usize = 8;

/// Answers each ask by its own future. A failed one is the answer to its own ask and to no other: for
/// resources with policies of their own, of which one that denies says nothing about the next.
pub(crate) async fn each<F>(work: Vec<(Ask, F)>) -> Vec<(Ask, Answer)>
where
    F: Future<Output = Result<Answer, CloudError>> + Send,
{
    let work: Vec<_> = work.into_iter().map(|(ask, answer)| async move { (ask, or_unseen(answer.await)) }).collect();
    stream::iter(work).buffered(AT_ONCE).collect().await
}

/// As [`each`], for calls that no policy tells apart by resource: after a denial none is made again.
pub(crate) async fn alike<F>(work: Vec<(Ask, F)>) -> Vec<(Ask, Answer)>
where
    F: Future<Output = Result<Answer, CloudError>> + Send,
{
    let denied: Mutex<Option<CloudError>> = Mutex::new(None);
    let known = || denied.lock().unwrap_or_else(PoisonError::into_inner);
    let known = &known;
    let work = work.into_iter().map(|(ask, answer)| {
        let answer = async move {
            if let Some(error) = known().clone() {
                return Err(error);
            }
            let answer = answer.await;
            if let Err(error) = &answer
                && matches!(error.fault, Fault::Denied | Fault::Unauthenticated)
            {
                *known() = Some(error.clone());
            }
            answer
        };
        (ask, answer)
    });
    each(work.collect()).await
}

/// The asks with such a question.
pub(crate) fn of(asks: &[Ask], wanted: impl Fn(Question) -> bool) -> Vec<Ask> {
    asks.iter().copied().filter(|ask| wanted(ask.question)).collect()
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

/// The answer, or why there is none.
pub(crate) fn or_unseen(answer: Result<Answer, CloudError>) -> Answer {
    answer.unwrap_or_else(|error| Answer::Unseen(error.cause()))
}

/// The asks by the part of their resource's native id before `separator` (repository, bucket).
pub(crate) fn by_container<'a>(
    inventory: &'a Inventory,
    asks: impl Iterator<Item = &'a Ask>,
    separator: char,
) -> BTreeMap<&'a str, Vec<Ask>> {
    let mut containers: BTreeMap<&str, Vec<Ask>> = BTreeMap::new();
    for ask in asks {
        let native = inventory.at(ask.resource).native_id();
        let container = native.split_once(separator).map_or(native, |(container, _)| container);
        containers.entry(container).or_default().push(*ask);
    }
    containers
}
