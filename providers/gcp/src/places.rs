//! Listings that a service gives only a place at a time.

use crate::{asks, auth::Gcp, fault, kinds};
use std::{collections::BTreeMap, future::Future, sync::Arc};
use sweeper_core::{
    calls::{Pages, Site},
    inventory::Listing,
    kind::{CloudError, Fault},
    model::Scope,
};

pub(crate) const REGIONS: &str = "compute.regions.list";

/// Whether an error is about the run or the identity rather than about one place or thing.
pub(crate) fn stops(error: &CloudError) -> bool {
    matches!(error.fault, Fault::Unauthenticated | Fault::OutOfTime | Fault::OutOfBudget | Fault::Cancelled)
}

/// Where to look, and why that may not be everywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) names: Vec<String>,
    pub(crate) unseen: Option<String>,
}

impl Places {
    /// Those that are told; where they are not, the regions that somebody is interested in, which are better than
    /// nothing, and not all.
    pub(crate) fn or_named(gcp: &Gcp, told: Result<Vec<String>, CloudError>) -> Result<Self, CloudError> {
        match told {
            Ok(names) => Ok(Self { names, unseen: None }),
            Err(error) if gcp.config.regions.is_empty() || stops(&error) => Err(error),
            Err(error) => Ok(Self { names: gcp.config.regions.iter().cloned().collect(), unseen: Some(error.cause()) }),
        }
    }
}

/// The regions of a project, for services that do not tell their own: those of Compute Engine, or where that is
/// switched off those of Artifact Registry.
pub(crate) async fn regions(gcp: &Gcp, site: &Site) -> Result<Arc<Places>, CloudError> {
    let list = async {
        let told = match of_compute(gcp, site).await {
            Err(error) if !stops(&error) => match kinds::artifact_locations(gcp, site).await {
                // Multi-regions have names without a dash.
                Ok(places) => Ok(places.iter().filter(|place| place.contains('-')).cloned().collect()),
                // That no service tells the regions says nothing of what may be there.
                Err(_) if error.fault == Fault::NotOffered => Err(CloudError { fault: Fault::Refused, ..error }),
                Err(_) => Err(error),
            },
            told => told,
        };
        Places::or_named(gcp, told)
    };
    gcp.once(site, REGIONS, Box::pin(list)).await
}

async fn of_compute(gcp: &Gcp, site: &Site) -> Result<Vec<String>, CloudError> {
    let client = gcp.regions(REGIONS).await?;
    let project = &site.scope().account;
    let mut names = Vec::new();
    let mut pages = Pages::new(REGIONS);
    while let Some(token) = pages.next() {
        let page = fault::call(site, REGIONS, || {
            let list = client.list().set_project(project).set_max_results(500_u32);
            match &token {
                Some(token) => list.set_page_token(token).send(),
                None => list.send(),
            }
        })
        .await?;
        names.extend(page.items.into_iter().filter_map(|region| region.name));
        pages.seen(page.next_page_token.as_deref())?;
    }
    if names.is_empty() {
        return Err(CloudError::new(Fault::Malformed, REGIONS, "no regions"));
    }
    Ok(names)
}

/// What each place gave, and why some gave nothing.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub(crate) all: Vec<T>,
    unseen: BTreeMap<String, String>,
}

impl<T> Found<T> {
    /// Says where there may be more.
    pub(crate) fn blind(&self, out: &mut Listing) {
        for (place, why) in &self.unseen {
            out.blind_in(place, why);
        }
    }

    /// The same with other things, and with what else was not seen.
    pub(crate) fn with<U>(&self, all: Vec<U>, more: impl IntoIterator<Item = (String, String)>) -> Found<U> {
        let mut unseen = self.unseen.clone();
        unseen.extend(more);
        Found { all, unseen }
    }
}

/// Lists place by place, the first alone: rights and the service's switch are the project's, so what refuses there
/// refuses everywhere. Of the others one that fails is blind by itself.
pub(crate) async fn each<T, F>(places: &Places, list: impl Fn(String) -> F) -> Result<Found<T>, CloudError>
where
    F: Future<Output = Result<Vec<T>, CloudError>> + Send,
    T: Send,
{
    let mut told = Vec::new();
    let mut names = places.names.iter();
    for place in names.by_ref() {
        let listed = list(place.clone()).await;
        let answers = listed.as_ref().err().is_none_or(|error| !is_elsewhere(error));
        match listed {
            Err(error) if !worth_another(&error) => return Err(error),
            listed => told.push((place.clone(), listed)),
        }
        if answers {
            break;
        }
    }
    let rest = names.map(|place| {
        let listed = list(place.clone());
        async move { Ok((place.clone(), listed.await)) }
    });
    told.extend(asks::all(rest.collect()).await?);
    gathered(told, places)
}

/// Whether a service answers so for a place that it is not offered in: it says no more than that the place may not
/// exist. A refusal for want of a right says so too, and names the right.
fn is_elsewhere(error: &CloudError) -> bool {
    let words = ["may not exist", "is not found or access is unauthorized", "not a valid location", "nvalid location"];
    match error.fault {
        Fault::NotFound => true,
        Fault::Denied | Fault::Refused if !error.message.contains(error.op) => {
            error.message.to_lowercase().contains("location") && words.iter().any(|words| error.message.contains(words))
        }
        _ => false,
    }
}

/// Whether after an error in one place it is worth asking in the next.
fn worth_another(error: &CloudError) -> bool {
    is_elsewhere(error)
        || matches!(error.fault, Fault::Transient | Fault::Throttled | Fault::Malformed | Fault::Refused)
}

fn gathered<T>(told: Vec<(String, Result<Vec<T>, CloudError>)>, places: &Places) -> Result<Found<T>, CloudError> {
    let any = told.iter().any(|(_, listed)| listed.is_ok());
    let mut found = Found { all: Vec::new(), unseen: BTreeMap::new() };
    found.unseen.extend(places.unseen.clone().map(|why| (Scope::GLOBAL.to_owned(), why)));
    for (place, listed) in told {
        match listed {
            Ok(listed) => found.all.extend(listed),
            Err(error) if stops(&error) || !any => return Err(error),
            Err(error) if is_elsewhere(&error) => {}
            Err(error) => {
                found.unseen.insert(place, error.cause());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OP: &str = "run.services.list";

    fn error(fault: Fault, message: &str) -> CloudError {
        CloudError::new(fault, OP, message)
    }

    fn run(answers: &[(&str, Result<u8, CloudError>)]) -> (Result<Found<u8>, CloudError>, usize) {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let places = Places { names: answers.iter().map(|(name, _)| (*name).to_owned()).collect(), unseen: None };
        let list = |place: String| {
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let answer = answers.iter().find(|(name, _)| *name == place).unwrap().1.clone();
            async move { answer.map(|one| vec![one]) }
        };
        let found = futures_util::FutureExt::now_or_never(each(&places, list)).unwrap();
        (found, asked.into_inner())
    }

    #[test]
    fn what_is_the_projects_is_asked_once() {
        for fault in [Fault::Denied, Fault::NotOffered, Fault::Unauthenticated, Fault::OutOfTime] {
            let (found, asked) = run(&[("a-1", Err(error(fault, ""))), ("b-1", Ok(1))]);
            assert_eq!((found.unwrap_err().fault, asked), (fault, 1));
        }
    }

    #[test]
    fn a_place_that_fails_is_blind_by_itself() {
        let (found, _) = run(&[("a-1", Ok(1)), ("b-1", Err(error(Fault::Transient, ""))), ("c-1", Ok(2))]);
        let found = found.unwrap();
        assert_eq!(found.all, [1, 2]);
        assert_eq!(found.unseen.into_iter().collect::<Vec<_>>(), [("b-1".to_owned(), format!("failing: {OP}"))]);
        let (found, _) = run(&[("a-1", Err(error(Fault::Transient, ""))), ("b-1", Ok(1))]);
        assert_eq!(found.unwrap().unseen.len(), 1);
    }

    #[test]
    fn where_the_service_is_not_offered_nothing_is() {
        let gone = || Err(error(Fault::Denied, "Permission denied on 'locations/a-1' (or it may not exist)."));
        let (found, _) = run(&[("a-1", gone()), ("b-1", Ok(1)), ("c-1", Err(error(Fault::NotFound, "")))]);
        let found = found.unwrap();
        assert_eq!((found.all, found.unseen.len()), (vec![1], 0));
        // If it is offered nowhere, that is no answer.
        let (found, asked) = run(&[("a-1", gone()), ("b-1", gone())]);
        assert_eq!((found.unwrap_err().fault, asked), (Fault::Denied, 2));
    }
}
