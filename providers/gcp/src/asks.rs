//! Questions that take a call each, put a few at a time.

use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::{self, StreamExt as _},
};
use std::future::Future;
use sweeper_core::{
    answers::{Answer, Ask, Question},
    kind::CloudError,
};

/// Calls under way for one batch of questions, or one listing that calls once a thing. The door limits
/// further, per service.
pub(crate) const AT_ONCE: usize = 8;

/// Answers each ask by its own future. A failed one is the answer to its own ask and to no other: resources have
/// policies of their own.
pub(crate) async fn each<F>(work: Vec<(Ask, F)>) -> Vec<(Ask, Answer)>
where
    F: Future<Output = Result<Answer, CloudError>> + Send,
{
    let work: Vec<BoxFuture<'_, _>> =
        work.into_iter().map(|(ask, answer)| async move { (ask, or_unseen(answer.await)) }.boxed()).collect();
    stream::iter(work).buffered(AT_ONCE).collect().await
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
    let work: Vec<BoxFuture<'_, _>> = work.into_iter().map(FutureExt::boxed).collect();
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
