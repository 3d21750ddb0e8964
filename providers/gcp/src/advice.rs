//! Recommender's idle findings: evidence beside a finding, never the verdict.
//!
//! Recommendations are listed per location and name what they are about in their operations, by exact resource
//! name. A project may have the API off, or keep it to others: then nothing is known, and nothing is blind.

use crate::{auth::Gcp, fault, paths};
use google_cloud_recommender_v1::model::{Recommendation, recommendation_state_info::State};
use std::collections::{BTreeMap, BTreeSet};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    inventory::{Inventory, Resource},
    kind::CloudError,
};

/// What a recommender is called, and the permission its list needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recommender {
    /// `google.compute.disk.IdleResourceRecommender`.
    pub(crate) id: &'static str,
    pub(crate) op: &'static str,
}

/// Answers the [`Question::Advised`] among `asks`: one listing a location. `at` gives the location a resource is
/// advised in and its path within the project (`zones/z/disks/d`).
pub(crate) async fn answer(
    gcp: &Gcp,
    site: &Site,
    inventory: &Inventory,
    asks: &[Ask],
    recommender: Recommender,
    at: impl Fn(Resource<'_>) -> (String, String),
) -> Vec<(Ask, Answer)> {
    let mut locations: BTreeMap<String, Vec<(Ask, String)>> = BTreeMap::new();
    for ask in asks.iter().filter(|ask| ask.question == Question::Advised) {
        let (location, path) = at(inventory.at(ask.resource));
        locations.entry(location).or_default().push((*ask, path));
    }
    let mut answers = Vec::new();
    for (location, asks) in locations {
        let told = named(gcp, site, recommender, &location).await;
        answers.extend(asks.into_iter().map(|(ask, path)| {
            let answer = match &told {
                Ok(named) => Answer::Truth(named.contains(&path)),
                Err(error) => Answer::Unseen(error.cause()),
            };
            (ask, answer)
        }));
    }
    answers
}

/// The resources named in a location, by their paths within the project.
async fn named(
    gcp: &Gcp,
    site: &Site,
    recommender: Recommender,
    location: &str,
) -> Result<BTreeSet<String>, CloudError> {
    let client = gcp.recommender(recommender.op).await?;
    let project = &site.scope().account;
    let parent = format!("projects/{project}/locations/{location}/recommenders/{}", recommender.id);
    let mut named = BTreeSet::new();
    let mut pages = Pages::new(recommender.op);
    while let Some(token) = pages.next() {
        let page = fault::call(site, recommender.op, || {
            client
                .list_recommendations()
                .set_parent(&parent)
                .set_page_size(1000)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await?;
        for recommendation in &page.recommendations {
            named.extend(resources(recommendation).map(str::to_owned));
        }
        pages.seen(Some(&page.next_page_token))?;
    }
    Ok(named)
}

/// What a recommendation that stands is about.
fn resources(recommendation: &Recommendation) -> impl Iterator<Item = &str> {
    let stands = recommendation
        .state_info
        .as_ref()
        .is_none_or(|info| matches!(info.state, State::Active | State::Claimed | State::Unspecified));
    let operations = recommendation.content.iter().flat_map(|content| &content.operation_groups);
    operations
        .flat_map(|group| &group.operations)
        .filter(move |_| stands)
        .filter_map(|operation| within_project(&operation.resource))
}

/// `zones/z/disks/d` of `//compute.googleapis.com/projects/p/zones/z/disks/d`: the project may be told by its
/// number.
fn within_project(resource: &str) -> Option<&str> {
    let path = paths::path(resource).strip_prefix("projects/")?;
    path.split_once('/').map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_name_without_the_project() {
        assert_eq!(within_project("//compute.googleapis.com/projects/12/zones/z/disks/d"), Some("zones/z/disks/d"));
        assert_eq!(within_project("//compute.googleapis.com/projects/p"), None);
        assert_eq!(within_project(""), None);
    }

    #[test]
    fn dismissed_advice_stands_no_more() {
        let json = |state: &str| {
            format!(
                r#"{{"stateInfo": {{"state": "{state}"}}, "content": {{"operationGroups": [{{"operations": [
                {{"action": "remove", "resource": "//compute.googleapis.com/projects/p/zones/z/disks/d"}}]}}]}}}}"#
            )
        };
        let of = |state: &str| serde_json::from_str::<Recommendation>(&json(state)).unwrap();
        assert_eq!(resources(&of("ACTIVE")).collect::<Vec<_>>(), ["zones/z/disks/d"]);
        assert_eq!(resources(&of("DISMISSED")).count(), 0);
    }
}
