//! Versions of images in galleries.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Ref, Sort, at, part},
    graph, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::Site,
    deed::{Pen, Permit, Progress, Reversal, Sent, Target as Planned},
    facts::{Image, ImageState},
    inventory::{Inventory, Listing},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation, Scope, Timestamp},
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.compute-gallery-image-version",
    cloud: CloudId::Azure,
    class: Class::Image,
    title: "gallery image version",
    places: Places::Account,
    reads: &[LIST, GALLERIES, DEFINITIONS, rights::OP, locks::OP, graph::OP],
    asks: &[GALLERIES],
    refers: &[(Relation::UsedByImage, Reach::Account)],
    needs: &[],
    out_of_sight: &[
        (Relation::UsedByVm, "templates and pipelines that start machines from the version by its id"),
        (Relation::UsedByTemplate, "templates and pipelines that start machines from the version by its id"),
    ],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Compute/galleries/{}/images/{}/versions/{}"),
        acts::tagging!(untag "Microsoft.Compute/galleries/{}/images/{}/versions/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Compute/galleries/{}/images/{}/versions/{}",
            "Microsoft.Compute/galleries/images/versions/delete",
            acts::GALLERIES,
            Reversal::OneWay("the version and its replicas; what it was made of stays"),
            // A record of what it was. Its data does not come back.
            &[Keep::Definition]
        ),
    ],
};

const LIST: &str = "Microsoft.Compute/galleries/images/versions/read";
const GALLERIES: &str = "Microsoft.Compute/galleries/read";
const DEFINITIONS: &str = "Microsoft.Compute/galleries/images/read";
const API: &str = "2023-07-03";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Compute/galleries/images/versions",
    columns: "",
    filter: "",
    api: API,
};

static GALLERY: Sort =
    Sort { op: GALLERIES, table: "resources", of: "Microsoft.Compute/galleries", columns: "", filter: "", api: API };

/// Versions have no immutable id: what is compared is when they were published, and of what.
static ACT: Act<Properties> = Act { sort: &SORT, query: "", uid: |_| "" };

pub(super) struct ComputeGalleryImageVersion(pub(super) Arc<Azure>);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    publishing_profile: Option<Publishing>,
    storage_profile: Option<Storage>,
    provisioning_state: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Publishing {
    exclude_from_latest: Option<bool>,
    published_date: Option<String>,
    end_of_life_date: Option<String>,
    replica_count: Option<u32>,
    target_regions: Option<Vec<Target>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Target {
    regional_replica_count: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Storage {
    source: Option<Ref>,
    os_disk_image: Option<Disk>,
    data_disk_images: Option<Vec<Disk>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Disk {
    #[serde(rename = "sizeInGB")]
    size_gib: Option<u32>,
    source: Option<Ref>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GalleryProperties {
    identifier: Option<Identifier>,
    sharing_profile: Option<Sharing>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Identifier {
    unique_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Sharing {
    /// `Private`, `Groups`, `Community`
    permissions: Option<String>,
    groups: Option<Vec<Group>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    /// Subscriptions or tenants.
    ids: Option<Vec<String>>,
}

#[async_trait]
impl Kind for ComputeGalleryImageVersion {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let azure = &self.0;
        let versions = if let Some(rows) = graph::rows::<Properties>(azure, site, &SORT).await {
            rows
        } else {
            if let Some(note) = graph::note(azure, &SORT) {
                out.notes(note);
            }
            versions(azure, site, out).await?
        };
        let galleries = if versions.is_empty() { Ok(Vec::new()) } else { galleries(azure, site).await };
        if let Err(error) = &galleries {
            out.hides(error.cause());
        }
        let galleries =
            galleries.map(|list| list.into_iter().map(|one| (one.id.to_ascii_lowercase(), one.properties)).collect());
        let around = azure.around(site, LIST, out).await;
        let (newest, now) = (newest(&versions), site.clock().wall());
        for version in &versions {
            push(version, &around.common(version), &newest, galleries.as_ref().ok(), now, out);
        }
        Ok(())
    }

    /// Its definition's other versions say whether it is the newest, and its gallery with whom it is shared.
    async fn observe(&self, site: &Site, target: &Planned, out: &mut Listing) -> Result<(), CloudError> {
        let azure = &self.0;
        let Some(version) = ACT.read(azure, site, target).await? else { return Ok(()) };
        let lower = version.id.to_ascii_lowercase();
        let malformed = || CloudError::new(Fault::Malformed, LIST, "not an id of a gallery's version");
        let definition = &version.id[..lower.find("/versions/").ok_or_else(malformed)?];
        let gallery = &version.id[..lower.find("/images/").ok_or_else(malformed)?];
        let siblings: Vec<Entity<Properties>> = azure.list(site, LIST, &format!("{definition}/versions"), API).await?;
        let gallery: Entity<GalleryProperties> = azure.get(site, GALLERIES, gallery, API).await?;
        let galleries = BTreeMap::from([(gallery.id.to_ascii_lowercase(), gallery.properties)]);
        let around = azure.around_now(site).await;
        push(&version, &around.common(&version), &newest(&siblings), Some(&galleries), site.clock().wall(), out);
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        ACT.act(&self.0, pen).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        ACT.progress(&self.0, site, permit, sent).await
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let mut by_gallery: BTreeMap<String, Vec<Ask>> = BTreeMap::new();
        for ask in asks.iter().filter(|ask| ask.question == Question::Shares) {
            let id = inventory.at(ask.resource).native_id();
            let end = id.to_ascii_lowercase().find("/images/").unwrap_or(id.len());
            by_gallery.entry(id[..end].to_owned()).or_default().push(*ask);
        }
        let mut answers = Vec::new();
        for (gallery, asks) in by_gallery {
            let path = format!("{gallery}?$expand=sharingProfile/Groups");
            let read: Result<Entity<GalleryProperties>, CloudError> = self.0.get(site, GALLERIES, &path, API).await;
            let answer = match read {
                Ok(gallery) => Answer::Shares(shares(&gallery.properties)),
                Err(error) => Answer::Unseen(error.cause()),
            };
            answers.extend(asks.into_iter().map(|ask| (ask, answer.clone())));
        }
        Ok(answers)
    }
}

/// With whom a gallery is shared: subscriptions and tenants by id, or everybody.
fn shares(gallery: &GalleryProperties) -> Vec<String> {
    let Some(sharing) = &gallery.sharing_profile else { return Vec::new() };
    if is_public(gallery) {
        return vec!["all".to_owned()];
    }
    sharing.groups.iter().flatten().flat_map(|group| group.ids.iter().flatten().cloned()).collect()
}

fn is_public(gallery: &GalleryProperties) -> bool {
    let sharing = gallery.sharing_profile.as_ref().and_then(|sharing| sharing.permissions.as_deref());
    sharing.is_some_and(|permissions| permissions.eq_ignore_ascii_case("Community"))
}

/// The subscription's galleries, by either way.
async fn galleries(azure: &Azure, site: &Site) -> Result<Vec<Entity<GalleryProperties>>, CloudError> {
    if let Some(rows) = graph::rows(azure, site, &GALLERY).await {
        return Ok(rows);
    }
    let path = format!("/subscriptions/{}/providers/{}", site.scope().account, GALLERY.of);
    azure.list(site, GALLERIES, &path, API).await
}

/// The subscription's versions, gallery by gallery, definition by definition. Each list shows what the identity may
/// read, so each right must hold at the root.
async fn versions(azure: &Azure, site: &Site, out: &mut Listing) -> Result<Vec<Entity<Properties>>, CloudError> {
    #[derive(Deserialize)]
    struct Definition {
        id: String,
    }
    for op in [GALLERIES, DEFINITIONS] {
        if let Err(why) = rights::held(azure, site, op).await {
            out.blind_in(Scope::GLOBAL, why);
        }
    }
    let path = format!("/subscriptions/{}/providers/{}", site.scope().account, GALLERY.of);
    let galleries: Vec<Definition> = azure.list(site, GALLERIES, &path, API).await?;
    let mut all = Vec::new();
    for gallery in galleries {
        let definitions: Vec<Definition> =
            azure.list(site, DEFINITIONS, &format!("{}/images", gallery.id), API).await?;
        for definition in definitions {
            azure.pages(site, LIST, &format!("{}/versions", definition.id), API, |version| all.push(version)).await?;
        }
    }
    Ok(all)
}

/// The definition of a version, lower case, and the version's number.
fn parts(id: &str) -> (String, [u64; 3]) {
    let id = id.to_ascii_lowercase();
    let (definition, version) = id.split_once("/versions/").unwrap_or((&id, ""));
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (definition.to_owned(), [next(), next(), next()])
}

/// The versions, by lower-cased id, that their definitions stand for: the highest that is not excluded.
fn newest(versions: &[Entity<Properties>]) -> BTreeSet<String> {
    let mut newest: BTreeMap<String, ([u64; 3], String)> = BTreeMap::new();
    for version in versions {
        let publishing = version.properties.publishing_profile.as_ref();
        if publishing.and_then(|publishing| publishing.exclude_from_latest) == Some(true)
            || !is_good(&version.properties)
        {
            continue;
        }
        let (definition, number) = parts(&version.id);
        let known = newest.entry(definition).or_insert((number, String::new()));
        if number >= known.0 {
            *known = (number, version.id.to_ascii_lowercase());
        }
    }
    newest.into_values().map(|(_, id)| id).collect()
}

fn is_good(properties: &Properties) -> bool {
    properties.provisioning_state.as_deref().is_none_or(|state| state.eq_ignore_ascii_case("Succeeded"))
}

fn push(
    entity: &Entity<Properties>,
    common: &Common,
    newest: &BTreeSet<String>,
    galleries: Option<&BTreeMap<String, GalleryProperties>>,
    now: Timestamp,
    out: &mut Listing,
) {
    let properties = &entity.properties;
    let storage = properties.storage_profile.as_ref();
    let disks: Vec<&Disk> = storage
        .into_iter()
        .flat_map(|storage| storage.os_disk_image.iter().chain(storage.data_disk_images.iter().flatten()))
        .collect();
    let publishing = properties.publishing_profile.as_ref();
    let regions = publishing.map(|publishing| {
        let own = publishing.replica_count.unwrap_or(1);
        let targets = publishing.target_regions.iter().flatten();
        targets.fold(0_u32, |sum, target| sum.saturating_add(target.regional_replica_count.unwrap_or(own)))
    });
    // Every replica is stored and billed.
    let replicas = regions.filter(|count| *count > 0).unwrap_or(1);
    let size = disks.iter().fold(0_u32, |sum, disk| sum.saturating_add(disk.size_gib.unwrap_or(0)));
    let (definition, _) = parts(&entity.id);
    let gallery_id = definition.split("/images/").next().unwrap_or_default().to_owned();
    let gallery = galleries.and_then(|galleries| galleries.get(&gallery_id));
    let is_newest = newest.contains(&common.lower);
    let facts = Image {
        state: if is_good(properties) { ImageState::Available } else { ImageState::Other },
        size_gib: size.saturating_mul(replicas),
        deprecated: publishing
            .and_then(|publishing| at(publishing.end_of_life_date.as_deref()))
            .is_some_and(|end| end <= now),
        public: gallery.is_some_and(is_public),
        newest: is_newest,
    };
    let mut sources: Vec<String> = disks.iter().filter_map(|disk| disk.source.as_ref()).map(Ref::lower).collect();
    sources.extend(storage.and_then(|storage| storage.source.as_ref()).map(Ref::lower));
    let name = part(&entity.id, "images")
        .map_or_else(|| entity.name().to_owned(), |image| format!("{image} {}", entity.name()));
    // Who may use a shared gallery names it by its unique name.
    let unique = gallery.and_then(|gallery| gallery.identifier.as_ref()?.unique_name.as_deref());
    let shared = unique.map(|unique| {
        let image = part(&definition, "images").unwrap_or_default();
        format!("/sharedgalleries/{}/images/{image}", unique.to_ascii_lowercase())
    });
    let shared_version =
        shared.as_ref().map(|shared| format!("{shared}/versions/{}", entity.name().to_ascii_lowercase()));
    let mut draft = common.draft(entity, facts);
    draft.name = &name;
    draft.created = at(publishing.and_then(|publishing| publishing.published_date.as_deref()));
    draft.uses.extend(sources.iter().map(|id| (Relation::UsedByImage, id.as_str())));
    draft.also.extend(shared_version.as_deref());
    if is_newest {
        draft.also.push(&definition);
        draft.also.extend(shared.as_deref());
    }
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, error, lists, page};
    use sweeper_core::facts::FactsRef;

    const GALLERY_ID: &str = "/subscriptions/s/resourceGroups/RG/providers/Microsoft.Compute/galleries/G";

    fn version(number: &str, more: &str) -> String {
        format!(
            r#"{{"id":"{GALLERY_ID}/images/D/versions/{number}","name":"{number}","location":"eastus","properties":{{
            "publishingProfile":{{"publishedDate":"2026-01-01T00:00:00Z","replicaCount":1,
            "targetRegions":[{{"name":"East US","regionalReplicaCount":2}},{{"name":"West US"}}]{more}}},
            "storageProfile":{{"osDiskImage":{{"sizeInGB":10,"source":{{"id":"/x/SNAP"}}}}}},"provisioningState":"Succeeded"}}}}"#
        )
    }

    #[tokio::test]
    async fn the_newest_stands_for_its_definition() {
        let server = Server::start(|asked| match asked.path.split('?').next().unwrap_or_default() {
            path if path.ends_with("/galleries") => page(&format!(
                r#"{{"id":"{GALLERY_ID}","name":"G","properties":{{"identifier":{{"uniqueName":"s-G"}},"sharingProfile":{{"permissions":"Groups"}}}}}}"#
            )),
            path if path.ends_with("/images") => page(&format!(r#"{{"id":"{GALLERY_ID}/images/D","name":"D","properties":{{}}}}"#)),
            path if path.ends_with("/versions") => page(
                &[version("1.9.0", ""), version("1.10.0", ""), version("2.0.0", r#","excludeFromLatest":true"#)].join(","),
            ),
            "/providers/Microsoft.ResourceGraph/resources" => error(404, "NotFound"),
            _ => lists(&[])(asked),
        })
        .await;
        let make = |azure: &Arc<Azure>| vec![Arc::new(ComputeGalleryImageVersion(Arc::clone(azure))) as Arc<dyn Kind>];
        let inventory = server.inventory(make).await.unwrap();
        let newest: Vec<_> = inventory
            .of_class(Class::Image)
            .filter(|one| matches!(one.facts(), FactsRef::Image(image) if image.newest))
            .collect();
        assert_eq!(newest.len(), 1);
        assert!(newest[0].native_id().ends_with("/versions/1.10.0"));
        let FactsRef::Image(image) = newest[0].facts() else { panic!() };
        assert_eq!(image.size_gib, 30, "two replicas here and one there");
        assert!(inventory.find("/sharedgalleries/s-g/images/d").is_some());
        assert!(inventory.find(&format!("{}/images/d", GALLERY_ID.to_ascii_lowercase())).is_some());
    }

    #[test]
    fn a_gallery_is_shared_with_some_or_all() {
        let of = |text: &str| shares(&serde_json::from_str(text).unwrap());
        assert_eq!(of("{}"), [""; 0]);
        assert_eq!(of(r#"{"sharingProfile":{"permissions":"Community"}}"#), ["all"]);
        let groups =
            r#"{"sharingProfile":{"permissions":"Groups","groups":[{"type":"Subscriptions","ids":["a","b"]}]}}"#;
        assert_eq!(of(groups), ["a", "b"]);
    }
}
