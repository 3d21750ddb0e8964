//! Custom images.

use crate::{
    advice, aggregated, asks,
    auth::Gcp,
    compute::{self, Sort},
    fault,
    kinds::{at, members, uid},
    marks, operations, paths,
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::{Image as Wire, deprecation_status::State, image::Status};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::Site,
    deed::{ActSpec, Deed, DeedKind, Pen, Permit, Progress, Reversal, Sent, Write},
    facts::{FactsRef, Image, ImageState},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation, Scope},
    money::Cost,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-image",
    cloud: CloudId::Gcp,
    class: Class::Image,
    title: "custom image",
    places: Places::Account,
    reads: &[LIST],
    asks: &[SHARES, ADVICE.op],
    refers: &[(Relation::UsedByImage, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "Recommender",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "compute.images.list";
const SHARES: &str = "compute.images.getIamPolicy";
const GET: &str = "compute.images.get";
const DELETE: &str = "compute.images.delete";
const SET_LABELS: &str = "compute.images.setLabels";
const SORT: Sort = Sort { collection: "images", get: GET };
const LABELS: &[Write] =
    &[Write { permission: SET_LABELS, method: "POST", action: "/compute/v1/projects/{}/global/images/{}/setLabels" }];
const WATCHED: &[&str] = &[GET, operations::GLOBAL];

/// An image is read again with the list: which is the newest of its family no other call tells.
const ACTS: &[ActSpec] = &[
    compute::tagging(LABELS, WATCHED),
    compute::untagging(LABELS, WATCHED),
    ActSpec {
        deed: DeedKind::Delete,
        writes: &[Write { permission: DELETE, method: "DELETE", action: "/compute/v1/projects/{}/global/images/{}" }],
        reads: WATCHED,
        reversal: Reversal::OneWay("what the image holds: Compute Engine keeps nothing of a deleted one"),
        keeps: &[],
        takes: &[],
    },
];
const ADVICE: advice::Recommender = advice::Recommender {
    id: "google.compute.image.IdleResourceRecommender",
    op: "recommender.computeImageIdleResourceRecommendations.list",
};

pub(super) struct ComputeImage(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeImage {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let images = self.0.images(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            images.list().set_project(project).set_max_results(aggregated::PAGE).set_or_clear_page_token(token).send()
        };
        // Which is the newest of a family only the whole list says.
        let (images, blind) = aggregated::all(site, LIST, ask).await?;
        let newest = newest(&images);
        for image in &images {
            push(image, &newest, out);
        }
        blind.tell(out);
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let shares = asks::of(asks, |question| question == Question::Shares);
        let mut answers =
            asks::each(shares.iter().map(|ask| (*ask, self.shares(site, inventory, *ask))).collect()).await;
        let advised = advice::answer(&self.0, site, inventory, asks, ADVICE, |image| {
            (Scope::GLOBAL.to_owned(), format!("global/images/{}", image.native_id()))
        });
        answers.extend(advised.await);
        Ok(answers)
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => SORT.label(&self.0, pen, SET_LABELS).await,
            Deed::Delete => SORT.delete(&self.0, pen, DELETE).await,
            _ => Err(CloudError::new(Fault::Refused, GET, "this kind does not know how")),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        SORT.progress(&self.0, site, permit, sent).await
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        let FactsRef::Image(image) = resource.facts() else { return Cost::unknown() };
        // Billed is the archive, which is smaller than the disk it unpacks to.
        match prices.unit(CloudId::Gcp, resource.region(), "image.gib-month") {
            Some(gib) if image.size_gib > 0 => Cost::upper_bound(gib.times(i64::from(image.size_gib))),
            _ => Cost::unknown(),
        }
    }
}

impl ComputeImage {
    async fn shares(&self, site: &Site, inventory: &Inventory, ask: Ask) -> Result<Answer, CloudError> {
        let images = self.0.images(SHARES).await?;
        let project = site.scope().account.as_str();
        let name = inventory.at(ask.resource).native_id();
        let policy =
            fault::call(site, SHARES, || images.get_iam_policy().set_project(project).set_resource(name).send())
                .await?;
        Ok(Answer::Shares(members::accounts(&self.0, project, &policy)))
    }
}

fn state(image: &Wire) -> ImageState {
    match (&image.status, image.deprecated.as_ref().and_then(|deprecated| deprecated.state.as_ref())) {
        // Obsolete and deleted images start nothing, and are billed all the same.
        (Some(Status::Ready), Some(State::Obsolete | State::Deleted)) => ImageState::Disabled,
        (Some(Status::Ready), _) => ImageState::Available,
        _ => ImageState::Other,
    }
}

fn is_deprecated(image: &Wire) -> bool {
    let state = image.deprecated.as_ref().and_then(|deprecated| deprecated.state.as_ref());
    state.is_some_and(|state| *state != State::Active)
}

/// By family, the name of the image that whoever starts from the family gets: the newest that is not deprecated
/// ("Image families", Compute Engine). A family of deprecated images gives nothing.
fn newest(images: &[Wire]) -> BTreeMap<&str, &str> {
    let mut newest: BTreeMap<&str, &Wire> = BTreeMap::new();
    let usable = images.iter().filter(|image| state(image) == ImageState::Available && !is_deprecated(image));
    for image in usable {
        let Some(family) = image.family.as_deref().filter(|family| !family.is_empty()) else { continue };
        let age = |image: &Wire| (at(image.creation_timestamp.as_deref()), image.id);
        let known = newest.entry(family).or_insert(image);
        if age(known) < age(image) {
            *known = image;
        }
    }
    newest.into_iter().filter_map(|(family, image)| Some((family, image.name.as_deref()?))).collect()
}

fn push(image: &Wire, newest: &BTreeMap<&str, &str>, out: &mut Listing) {
    let path = image.self_link.as_deref().map(paths::path).unwrap_or_default();
    let name = image.name.as_deref().unwrap_or_default();
    let uid = uid(image.id);
    let family = image.family.as_deref().filter(|family| newest.get(family) == Some(&name));
    let facts = Image {
        state: state(image),
        size_gib: image.disk_size_gb.and_then(|size| u32::try_from(size).ok()).unwrap_or(0),
        deprecated: is_deprecated(image),
        // Who may use it stands in its policy, which is asked for where it decides.
        public: false,
        newest: family.is_some(),
    };
    let source = match (image.source_snapshot.as_deref().map(paths::path), image.source_snapshot_id.as_deref()) {
        (Some(path), Some(id)) if !id.is_empty() => format!("{path}#{id}"),
        (Some(path), _) => path.to_owned(),
        (None, _) => String::new(),
    };
    let this = if uid.is_empty() { String::new() } else { format!("{path}#{uid}") };
    // Templates name the family.
    let by_family = match (family, path.rsplit_once('/')) {
        (Some(family), Some((folder, _))) => format!("{folder}/family/{family}"),
        _ => String::new(),
    };
    let managed_by = marks::managed_by(&image.labels);
    out.push(Draft {
        uid: &uid,
        created: at(image.creation_timestamp.as_deref()),
        tags: Tags::Read(marks::tags(&image.labels)),
        managed_by: &managed_by,
        uses: vec![(Relation::UsedByImage, &source)],
        also: vec![path, &this, &by_family],
        ..Draft::new(name, facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_family_is_the_one_that_can_be_started() {
        let json = r#"[
            {"name": "a", "id": "1", "family": "web", "status": "READY", "creationTimestamp": "2026-01-01T00:00:00Z"},
            {"name": "b", "id": "2", "family": "web", "status": "READY", "creationTimestamp": "2026-02-01T00:00:00Z"},
            {"name": "c", "id": "3", "family": "web", "status": "READY", "creationTimestamp": "2026-03-01T00:00:00Z",
             "deprecated": {"state": "DEPRECATED"}},
            {"name": "d", "id": "4", "family": "web", "status": "PENDING", "creationTimestamp": "2026-04-01T00:00:00Z"},
            {"name": "e", "id": "5", "family": "web-old", "status": "READY", "creationTimestamp": "2026-04-01T00:00:00Z",
             "deprecated": {"state": "OBSOLETE"}}]"#;
        let images: Vec<Wire> = serde_json::from_str(json).unwrap();
        assert_eq!(newest(&images), BTreeMap::from([("web", "b")]));
        assert_eq!(state(&images[4]), ImageState::Disabled);
    }
}
