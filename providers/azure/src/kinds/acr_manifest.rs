//! Images of container registries, by their manifests. The registry keeps no last pull of an image.

use super::acr_registry::{self, registries};
use crate::{
    acr::{self, Manifest, PULL, Registry},
    acts,
    arm::Azure,
    entity::{Common, Entity, at},
    fault, graph, locks, rights, shared,
};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::Value;
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::Site,
    deed::{ActSpec, Deed, DeedKind, Kept, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{Artifact, FactsRef, Media},
    inventory::{Draft, Inventory, Listing, Resource},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, DAY, Relation},
    money::{Amount, Cost},
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.acr-manifest",
    cloud: CloudId::Azure,
    class: Class::Artifact,
    title: "container registry image",
    places: Places::Account,
    reads: &[PULL, acr_registry::LIST, rights::OP, locks::OP, graph::OP],
    asks: &[PULL],
    refers: &[],
    needs: &[],
    out_of_sight: &[
        (Relation::Referenced, "machines that pull an image by digest"),
        (Relation::Referenced, "apps of other subscriptions that may pull from the registry"),
    ],
    advised: "",
    report_only: "",
    acts: &[
        ActSpec {
            deed: DeedKind::Copy,
            writes: &[],
            reads: &[],
            reversal: Reversal::Again("a definition that is kept costs nothing"),
            keeps: &[Keep::Definition],
            takes: &[],
        },
        ActSpec {
            deed: DeedKind::Delete,
            writes: &[Write { permission: acr::DELETE, method: "DELETE", action: "/v2/{}/manifests/{}" }],
            reads: &[acr::DELETED],
            reversal: Reversal::FromBin(
                "taken out of the registry's bin, under one of its tags or a new one, where soft delete is on; elsewhere not at all",
            ),
            // A record of its tags. The image does not come back of that.
            keeps: &[Keep::Definition],
            takes: &[],
        },
        ActSpec {
            deed: DeedKind::Restore,
            writes: &[Write { permission: acr::RESTORE, method: "POST", action: "/acr/v1/_deleted/{}/_manifests/{}" }],
            reads: &[acr::DELETED],
            reversal: Reversal::Again("the image is deleted again"),
            keeps: &[],
            takes: &[],
        },
    ],
};

/// Indexes, by the media type of their manifest.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
/// Images, by the media type of their manifest.
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
/// Container images, by the media type of their configuration; others are charts, signatures, SBOMs.
const CONTAINERS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Bytes of the GB that storage is billed by.
const GB: i128 = 1 << 30;

pub(super) struct AcrManifest(pub(super) Arc<Azure>);

/// What a registry's repositories hold, and why some of them could not be listed.
type Contents = (Vec<(String, Vec<Manifest>)>, Option<CloudError>);

#[async_trait]
impl Kind for AcrManifest {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let registries = registries(&self.0, site, Some(&mut *out)).await?;
        let around = self.0.around(site, acr_registry::LIST, out).await;
        for registry in registries.iter() {
            let common = around.common(registry);
            let Some(host) = registry.properties.login_server.as_deref().filter(|host| !host.is_empty()) else {
                // A registry that is being made has no name yet, and nothing in it.
                continue;
            };
            let host = host.to_ascii_lowercase();
            let (repositories, failed) = match contents(&self.0, site, &host).await {
                Ok(contents) => contents,
                Err(error) => (Vec::new(), Some(error)),
            };
            for (repository, manifests) in &repositories {
                push(registry, &common, &format!("{host}/{repository}"), manifests, out);
            }
            match failed {
                None => {}
                Some(error) if stops(&error) => return Err(error),
                Some(error) => out.blind_in(&common.region, error.cause()),
            }
        }
        Ok(())
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let image = Image::of(target)?;
        let registry = of_account(&self.0, site, image.host).await?;
        let entered = Registry::enter(&self.0, site, image.host).await?;
        if let Some(manifest) = entered.attributes(image.repository, image.digest).await? {
            let around = self.0.around_now(site).await;
            let name = format!("{}/{}", image.host, image.repository);
            push(&registry, &around.common(&registry), &name, &[manifest], out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let image = Image::of(pen.target())?;
        of_account(&self.0, pen.site(), image.host).await?;
        let registry = Registry::enter(&self.0, pen.site(), image.host).await?;
        match pen.permit().deed() {
            Deed::Copy { keep: Keep::Definition, .. } => Ok(Sent::default()),
            Deed::Delete => delete(&registry, pen, &image).await,
            Deed::Restore { kept } => {
                let reply = registry.restore(pen, image.repository, image.digest, &tag(pen.target(), kept)).await?;
                Ok(Sent { handle: String::new(), ..acts::sent(&reply) })
            }
            _ => Err(acts::unknown(pen)),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, _: &Sent) -> Result<Progress, CloudError> {
        let target = permit.target();
        let image = Image::of(target)?;
        let arm = of_account(&self.0, site, image.host).await?;
        let registry = Registry::enter(&self.0, site, image.host).await?;
        let now = registry.attributes(image.repository, image.digest).await?;
        Ok(match (permit.deed(), now) {
            (Deed::Copy { .. }, Some(manifest)) => {
                let tags: Vec<&str> = manifest.tags.iter().flatten().map(String::as_str).collect();
                let mut recipe = BTreeMap::from([("digest".to_owned(), manifest.digest.clone())]);
                if !tags.is_empty() {
                    recipe.insert(TAGS.to_owned(), tags.join(","));
                }
                recipe.extend(manifest.media_type.map(|media| ("media".to_owned(), media)));
                Progress::Done(Some(Kept { kind: SPEC.id.to_owned(), native_id: String::new(), until: None, recipe }))
            }
            (Deed::Copy { .. }, None) => Progress::Failed("it is not there any more".to_owned()),
            (Deed::Delete, None) => Progress::Done(binned(&self.0, site, &registry, &arm, permit, &image).await?),
            (Deed::Restore { .. }, Some(_)) => Progress::Done(Some(Kept {
                kind: SPEC.id.to_owned(),
                native_id: target.native_id.clone(),
                until: None,
                recipe: BTreeMap::new(),
            })),
            _ => Progress::Running,
        })
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let mut answers = Vec::new();
        let mut manifests: BTreeMap<&str, BTreeMap<&str, Vec<(&str, Ask)>>> = BTreeMap::new();
        let mut shares: Vec<(Ask, &str)> = Vec::new();
        for ask in asks {
            let Some((host, repository, digest)) = parts(inventory.at(ask.resource).native_id()) else { continue };
            match ask.question {
                Question::Manifest => {
                    manifests.entry(host).or_default().entry(repository).or_default().push((digest, *ask));
                }
                Question::Shares => shares.push((*ask, host)),
                _ => {}
            }
        }
        if !shares.is_empty() {
            let registries = registries(&self.0, site, None).await;
            answers.extend(shares.into_iter().map(|(ask, host)| (ask, shared_with(&registries, host))));
        }
        for (host, repositories) in manifests {
            match Registry::enter(&self.0, site, host).await {
                Ok(registry) => {
                    for (repository, asks) in repositories {
                        answers.extend(read(&registry, repository, asks).await);
                    }
                }
                Err(error) => {
                    let all = repositories.into_values().flatten();
                    answers.extend(all.map(|(_, ask)| (ask, Answer::Unseen(error.cause()))));
                }
            }
        }
        Ok(answers)
    }

    /// An upper bound: images of a repository share layers, which are stored once, and some storage comes with the
    /// registry.
    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        let FactsRef::Artifact(artifact) = resource.facts() else { return Cost::unknown() };
        if artifact.media == Media::Index {
            return Cost::list(Amount::ZERO);
        }
        match (artifact.size_bytes, prices.unit(CloudId::Azure, resource.region(), "acr.gb-month")) {
            (Some(bytes), Some(gb)) => Cost::upper_bound(gb.scaled(i128::from(bytes), GB)),
            _ => Cost::unknown(),
        }
    }
}

/// Whether an error ends the run's reading rather than one registry's.
fn stops(error: &CloudError) -> bool {
    shared::stops(error)
}

/// Everything in a registry.
async fn contents(azure: &Azure, site: &Site, host: &str) -> Result<Contents, CloudError> {
    let registry = Registry::enter(azure, site, host).await?;
    let names = registry.repositories().await?;
    let mut contents = Vec::with_capacity(names.len());
    let mut failed = None;
    let work: Vec<_> = names.iter().map(|name| registry.manifests(name)).collect();
    let mut results = stream::iter(work).buffered(shared::AT_ONCE);
    let mut at = names.iter();
    while let Some(manifests) = results.next().await {
        let Some(name) = at.next() else { break };
        match manifests {
            Ok(manifests) => contents.push((name.clone(), manifests)),
            // A repository is listed whole or not at all; the others are.
            Err(error) if failed.is_none() || stops(&error) => failed = Some(error),
            Err(_) => {}
        }
    }
    Ok((contents, failed))
}

/// The part of a recipe that the tags are in.
const TAGS: &str = "tags";

/// An image as a permit names it.
struct Image<'a> {
    host: &'a str,
    repository: &'a str,
    digest: &'a str,
}

impl<'a> Image<'a> {
    fn of(target: &'a Target) -> Result<Self, CloudError> {
        let parts = parts(&target.native_id).filter(|(.., digest)| digest.starts_with("sha256:"));
        let (host, repository, digest) =
            parts.ok_or_else(|| CloudError::new(Fault::Refused, PULL, "it names no image by its digest"))?;
        Ok(Self { host, repository, digest })
    }
}

/// The registry with a login server, as Resource Manager tells it now: one of the site's own subscription.
async fn of_account(azure: &Azure, site: &Site, host: &str) -> Result<Entity<acr_registry::Properties>, CloudError> {
    let all = registries(azure, site, None).await?;
    let is = |one: &&Entity<acr_registry::Properties>| {
        one.properties.login_server.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(host))
    };
    let missing = || CloudError::new(Fault::Refused, acr_registry::LIST, "the registry is none of this subscription");
    let id = &all.iter().find(is).ok_or_else(missing)?.id;
    let now = acts::by_id(azure, site, &acr_registry::SORT, id, "").await?;
    now.filter(|now| is(&now)).ok_or_else(missing)
}

/// Deletes an image that no index of its repository has as a part, and that nothing refers to: a registry deletes what
/// refers to an image along with it, and lets a part of an index go without a word.
async fn delete(registry: &Registry<'_>, pen: &Pen<'_>, image: &Image<'_>) -> Result<Sent, CloudError> {
    let refused = |why: String| CloudError::new(Fault::Refused, acr::DELETE, why);
    let Some(manifest) = registry.attributes(image.repository, image.digest).await? else {
        return Ok(Sent::default());
    };
    let lock = protected(&manifest);
    if !lock.is_empty() {
        return Err(refused(lock.to_owned()));
    }
    let siblings = registry.manifests(image.repository).await?;
    let indexes = siblings.iter().filter(|one| media(one) == Media::Index && one.digest != image.digest);
    let token = registry.repository(image.repository).await?;
    for index in indexes {
        let reply = match registry.manifest(&token, image.repository, &index.digest).await {
            Err(error) if fault::is_gone(&error) => continue,
            reply => reply?,
        };
        match self::manifest(&reply.body) {
            Some(Answer::Manifest { children, .. }) if children.iter().any(|child| child == image.digest) => {
                return Err(refused(format!("it is a part of the index {}", index.digest)));
            }
            Some(_) => {}
            None => return Err(CloudError::new(Fault::Malformed, PULL, "an index that cannot be read")),
        }
    }
    if let Some(referrer) = registry.referrers(image.repository, image.digest).await?.first() {
        return Err(refused(format!("{referrer} refers to it, and would be deleted with it")));
    }
    match registry.delete(pen, image.repository, image.digest).await {
        Err(error) if fault::is_gone(&error) => Ok(Sent::default()),
        // There is no operation to watch: it is gone when it is not there.
        reply => reply.map(|reply| Sent { handle: String::new(), ..acts::sent(&reply) }),
    }
}

/// What lies in the registry's bin, if it has one and the image is in it.
async fn binned(
    azure: &Azure,
    site: &Site,
    registry: &Registry<'_>,
    arm: &Entity<acr_registry::Properties>,
    permit: &Permit,
    image: &Image<'_>,
) -> Result<Option<Kept>, CloudError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Told {
        policies: Option<Policies>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Policies {
        soft_delete_policy: Option<SoftDelete>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct SoftDelete {
        status: Option<String>,
        retention_days: Option<i64>,
    }
    // Only preview versions of the API tell it.
    static PREVIEW: crate::entity::Sort = crate::entity::Sort {
        op: acr_registry::LIST,
        table: "",
        of: "Microsoft.ContainerRegistry/registries",
        columns: "",
        filter: "",
        api: "2023-11-01-preview",
    };
    let told: Option<Entity<Told>> = acts::by_id(azure, site, &PREVIEW, &arm.id, "").await?;
    let policy = told.and_then(|told| told.properties.policies?.soft_delete_policy).unwrap_or_default();
    if !policy.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("enabled")) {
        return Ok(None);
    }
    let bin = match registry.deleted(image.repository).await {
        Ok(bin) => bin,
        // Whoever may not look into the bin does not know what is in it: nothing is promised.
        Err(error) if matches!(error.fault, Fault::Denied | Fault::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(found) = bin.iter().find(|one| one.digest == image.digest) else { return Ok(None) };
    let until = at(found.deleted_at.as_deref()).zip(policy.retention_days).map(|(at, days)| at.plus(days * DAY));
    let recipe = permit.kept().map(|kept| kept.recipe.clone()).unwrap_or_default();
    Ok(Some(Kept { kind: String::new(), native_id: String::new(), until, recipe }))
}

/// The tag under which an image comes back: its first, or one that says where it came from.
fn tag(target: &Target, kept: &Kept) -> String {
    let noted = kept.recipe.get(TAGS).and_then(|tags| tags.split(',').next());
    let named = parts(&target.native_id)
        .and_then(|(host, repository, _)| target.name.strip_prefix(&format!("{host}/{repository}:")));
    let known = noted.or(named).filter(|tag| !tag.is_empty());
    known.map_or_else(
        || {
            let digest = target.native_id.rsplit(':').next().unwrap_or_default();
            format!("sweeper-restored-{}", digest.chars().take(12).collect::<String>())
        },
        str::to_owned,
    )
}

/// Host, repository and digest of `shop.azurecr.io/team/web@sha256:…`.
fn parts(native: &str) -> Option<(&str, &str, &str)> {
    let (name, digest) = native.rsplit_once('@')?;
    let (host, repository) = name.split_once('/')?;
    Some((host, repository, digest))
}

/// Who may pull without being asked who they are. Identities that were given a role are out of sight.
fn shared_with(registries: &Result<Arc<Vec<Entity<acr_registry::Properties>>>, CloudError>, host: &str) -> Answer {
    let registries = match registries {
        Ok(registries) => registries,
        Err(error) => return Answer::Unseen(error.cause()),
    };
    let known = registries
        .iter()
        .find(|registry| registry.properties.login_server.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(host)));
    match known {
        Some(registry) if registry.properties.anonymous_pull_enabled == Some(true) => {
            Answer::Shares(vec!["all".to_owned()])
        }
        Some(_) => Answer::Shares(Vec::new()),
        None => Answer::Unseen(CloudError::new(Fault::NotFound, acr_registry::LIST, "").cause()),
    }
}

/// What manifests of one repository list and are attached to.
async fn read(registry: &Registry<'_>, repository: &str, asks: Vec<(&str, Ask)>) -> Vec<(Ask, Answer)> {
    let token = match registry.repository(repository).await {
        Ok(token) => token,
        Err(error) => return asks.into_iter().map(|(_, ask)| (ask, Answer::Unseen(error.cause()))).collect(),
    };
    let token = &token;
    let work = asks.into_iter().map(|(digest, ask)| {
        let answer = async move {
            let reply = registry.manifest(token, repository, digest).await?;
            manifest(&reply.body).ok_or_else(|| CloudError::new(Fault::Malformed, PULL, "no manifest"))
        };
        (ask, answer)
    });
    shared::each(work.collect()).await
}

/// Reads a manifest. Only digests are kept.
fn manifest(body: &[u8]) -> Option<Answer> {
    let manifest: Value = serde_json::from_slice(body).ok()?;
    let named = |value: &Value| value.get("digest").and_then(Value::as_str).map(str::to_owned);
    let children = match manifest.get("manifests") {
        None => Vec::new(),
        Some(children) => children.as_array()?.iter().map(named).collect::<Option<_>>()?,
    };
    manifest.get("schemaVersion")?;
    Some(Answer::Manifest { children, subject: manifest.get("subject").and_then(named) })
}

/// The time an image was pushed, or a tag of it moved.
fn pushed(manifest: &Manifest) -> Option<sweeper_core::model::Timestamp> {
    at(manifest.last_update_time.as_deref()).max(at(manifest.created_time.as_deref()))
}

/// The place of each manifest by its push, the newest first, from 1.
fn ranks(manifests: &[Manifest]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..manifests.len()).collect();
    order.sort_by_key(|at| (Reverse(pushed(&manifests[*at])), *at));
    let mut ranks = vec![0; manifests.len()];
    for (rank, at) in (1..).zip(order) {
        ranks[at] = rank;
    }
    ranks
}

fn media(manifest: &Manifest) -> Media {
    let sort = manifest.media_type.as_deref().unwrap_or_default();
    let config = manifest.config_media_type.as_deref().filter(|config| !config.is_empty());
    if INDEXES.contains(&sort) {
        Media::Index
    } else if IMAGES.contains(&sort) && config.is_none_or(|config| CONTAINERS.contains(&config)) {
        Media::Image
    } else {
        Media::Other
    }
}

/// What keeps a manifest from being deleted; empty for nothing. What is not told to be open is locked.
fn protected(manifest: &Manifest) -> &'static str {
    match &manifest.changeable_attributes {
        Some(attributes) if attributes.delete_enabled == Some(false) => "locked against deletion",
        Some(attributes) if attributes.write_enabled == Some(false) => "locked against changes",
        Some(attributes) if attributes.delete_enabled == Some(true) => "",
        _ => "lock not told",
    }
}

fn push(
    registry: &Entity<acr_registry::Properties>,
    common: &Common,
    repository: &str,
    manifests: &[Manifest],
    out: &mut Listing,
) {
    let container = out.sym(repository);
    for (manifest, rank) in manifests.iter().zip(ranks(manifests)) {
        let tags = manifest.tags.iter().flatten();
        let also: Vec<String> = tags.map(|tag| format!("{repository}:{tag}")).collect();
        let media = media(manifest);
        let facts = Artifact {
            tagged: !also.is_empty(),
            // An index stores no layers.
            size_bytes: manifest.image_size.filter(|_| media != Media::Index),
            pushed: pushed(manifest),
            last_pulled: None,
            pull_recorded: false,
            media,
            container,
            rank,
            package: false,
            users_listed: true,
        };
        // Images have no tags of their own: an owner is named at the registry. Its locks are not theirs.
        let of_registry = common.draft(registry, facts);
        out.push(Draft {
            native_id: &format!("{repository}@{}", manifest.digest),
            name: also.first().map_or("", String::as_str),
            created: at(manifest.created_time.as_deref()),
            protected: protected(manifest),
            also: also.iter().map(String::as_str).collect(),
            ..of_registry
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::{entity, listed};
    use crate::testing::{Asked, Canned, SUB, Server, lists};
    use sweeper_core::{inventory::Status, model::Scope};

    fn manifests(text: &str) -> Vec<Manifest> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_manifest_is_known_by_digest_and_tags() {
        let registry = entity(
            r#"{"id":"/r","location":"East US","tags":{"owner":"a"},"properties":{"loginServer":"shop.azurecr.io"}}"#,
        );
        let listed_manifests = manifests(
            r#"[{"digest":"sha256:a","imageSize":5001,"createdTime":"2026-02-28T18:36:40.5864993Z",
                 "lastUpdateTime":"2026-02-28T18:36:40.5864993Z","architecture":"arm","os":"linux",
                 "mediaType":"application/vnd.docker.distribution.manifest.v2+json","tags":["1","latest"],
                 "changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}},
                {"digest":"sha256:b","imageSize":9,"createdTime":"2026-03-01T00:00:00Z",
                 "mediaType":"application/vnd.oci.image.index.v1+json",
                 "changeableAttributes":{"deleteEnabled":false,"writeEnabled":true}}]"#,
        );
        let inventory = listed(&SPEC, &registry, |registry, common, out| {
            push(registry, common, "shop.azurecr.io/web", &listed_manifests, out);
        });
        let all: Vec<_> = inventory.resources().collect();
        let told: Vec<_> = all.iter().map(|one| (one.native_id(), one.region(), one.protected())).collect();
        assert_eq!(
            told,
            [
                ("shop.azurecr.io/web@sha256:a", "eastus", ""),
                ("shop.azurecr.io/web@sha256:b", "eastus", "locked against deletion")
            ]
        );
        assert!(inventory.find("shop.azurecr.io/web:latest").is_some());
        let facts: Vec<_> = all
            .iter()
            .map(|one| match one.facts() {
                FactsRef::Artifact(facts) => (facts.tagged, facts.media, facts.rank, facts.size_bytes),
                _ => panic!(),
            })
            .collect();
        assert_eq!(facts, [(true, Media::Image, 2, Some(5001)), (false, Media::Index, 1, None)]);
    }

    #[test]
    fn what_is_not_told_to_be_open_is_locked() {
        let of = |text: &str| protected(&manifests(&format!(r#"[{{"digest":"d"{text}}}]"#))[0]);
        assert_eq!(of(""), "lock not told");
        assert_eq!(
            of(r#","changeableAttributes":{"deleteEnabled":true,"writeEnabled":false}"#),
            "locked against changes"
        );
        assert_eq!(of(r#","changeableAttributes":{"deleteEnabled":true}"#), "");
    }

    #[test]
    fn a_manifest_names_children_and_subject() {
        let index = br#"{"schemaVersion":2,"manifests":[{"digest":"sha256:a"}],"subject":{"digest":"sha256:c"}}"#;
        let expected = Answer::Manifest { children: vec!["sha256:a".to_owned()], subject: Some("sha256:c".to_owned()) };
        assert_eq!(manifest(index), Some(expected));
        let image = br#"{"schemaVersion":2,"layers":[]}"#;
        assert_eq!(manifest(image), Some(Answer::Manifest { children: Vec::new(), subject: None }));
        for no in [
            &b"<html>"[..],
            b"{}",
            b"[]",
            br#"{"schemaVersion":2,"manifests":[{}]}"#,
            br#"{"schemaVersion":2,"manifests":1}"#,
        ] {
            assert_eq!(manifest(no), None, "{}", String::from_utf8_lossy(no));
        }
    }

    #[test]
    fn ids_come_apart() {
        assert_eq!(parts("a.io/team/web@sha256:x"), Some(("a.io", "team/web", "sha256:x")));
        assert_eq!(parts("nothing"), None);
    }

    /// A registry whose manifests come in two pages, one that lets nobody in, and one with a repository that fails.
    fn registries(asked: &Asked) -> Canned {
        let ok = |body: &str| (200, String::new(), body.to_owned());
        let path = asked.path.split('?').next().unwrap_or_default();
        let host = asked.headers.get("host").map_or("", String::as_str);
        match (host, path) {
            ("closed.azurecr.io", "/oauth2/exchange") => {
                (401, String::new(), r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#.to_owned())
            }
            (_, "/oauth2/exchange") => ok(r#"{"refresh_token":"refresh"}"#),
            (_, "/oauth2/token") => ok(r#"{"access_token":"access"}"#),
            ("shop.azurecr.io", "/acr/v1/_catalog") => ok(r#"{"repositories":["team/web"]}"#),
            ("shop.azurecr.io", "/acr/v1/team/web/_manifests") if asked.path.contains("last=") => {
                ok(r#"{"manifests":[{"digest":"sha256:b"}]}"#)
            }
            ("shop.azurecr.io", "/acr/v1/team/web/_manifests") => (
                200,
                "Link: </acr/v1/team%2Fweb/_manifests?last=sha256%3Aa&n=1&orderby=>; rel=\"next\"\r\n".to_owned(),
                r#"{"manifests":[{"digest":"sha256:a"}]}"#.to_owned(),
            ),
            ("shop.azurecr.io", "/acr/v1/team%2Fweb/_manifests") => ok(r#"{"manifests":[{"digest":"sha256:b"}]}"#),
            ("half.azurecr.io", "/acr/v1/_catalog") => ok(r#"{"repositories":["good","bad"]}"#),
            ("half.azurecr.io", "/acr/v1/good/_manifests") => ok(r#"{"manifests":[{"digest":"sha256:c"}]}"#),
            ("half.azurecr.io", "/acr/v1/bad/_manifests") => {
                (403, String::new(), r#"{"errors":[{"code":"DENIED"}]}"#.to_owned())
            }
            _ => lists(&[(
                "Microsoft.ContainerRegistry/registries",
                r#"{"id":"/r/shop","location":"westeurope","properties":{"loginServer":"shop.azurecr.io"}},
                   {"id":"/r/closed","location":"northeurope","properties":{"loginServer":"closed.azurecr.io"}},
                   {"id":"/r/half","location":"eastus","properties":{"loginServer":"half.azurecr.io"}},
                   {"id":"/r/evil","location":"uksouth","properties":{"loginServer":"evil.example"}}"#,
            )])(asked),
        }
    }

    #[tokio::test]
    async fn each_registry_is_entered_alone_and_blind_alone() {
        let server = Server::start(registries).await;
        let inventory = server.inventory(|azure| vec![Arc::new(AcrManifest(Arc::clone(azure)))]).await.unwrap();
        let mut ids: Vec<_> = inventory.resources().map(Resource::native_id).collect();
        ids.sort_unstable();
        let expected =
            ["half.azurecr.io/good@sha256:c", "shop.azurecr.io/team/web@sha256:a", "shop.azurecr.io/team/web@sha256:b"];
        assert_eq!(ids, expected);
        let blind = |region: &str| {
            let scope = Scope::new(CloudId::Azure, SUB, region);
            matches!(inventory.covered(SPEC.id, &scope).map(|covered| &covered.status), Some(Status::Blind { .. }))
        };
        assert_eq!(["westeurope", "northeurope", "eastus", "uksouth"].map(blind), [false, true, true, true]);
        for asked in server.asked() {
            let host = asked.headers.get("host").map_or("", String::as_str);
            assert!(host.ends_with(".azurecr.io") || host == "management.azure.com", "{host}");
            let bearer = asked.headers.get("authorization").map_or("", String::as_str);
            if host.ends_with(".azurecr.io") {
                assert!(bearer.is_empty() || bearer == "Bearer access", "{bearer}");
            }
        }
    }
}
