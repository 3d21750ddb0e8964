//! Container apps and their jobs: listed for the images they run.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sort},
    graph, image_uri, locks, rights, shared,
};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::Site,
    facts::Referrer,
    inventory::Listing,
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation, Scope},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.container-app",
    cloud: CloudId::Azure,
    class: Class::Referrer,
    title: "container app or job",
    places: Places::Account,
    reads: &[LIST, JOBS, REVISIONS, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "listed for the images it runs",
    acts: &[],
};

const LIST: &str = "Microsoft.App/containerApps/read";
const JOBS: &str = "Microsoft.App/jobs/read";
const REVISIONS: &str = "Microsoft.App/containerApps/revisions/read";
const API: &str = "2024-03-01";

static APP: Sort =
    Sort { op: LIST, table: "resources", of: "Microsoft.App/containerApps", columns: "", filter: "", api: API };
static JOB: Sort = Sort { op: JOBS, table: "resources", of: "Microsoft.App/jobs", columns: "", filter: "", api: API };

/// Of an app, a job or a revision. Secrets and environments are no fields here, so nothing of them is ever kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Properties {
    template: Option<Template>,
    configuration: Option<Configuration>,
    /// Of a revision: whether it runs.
    active: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Template {
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    image: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Configuration {
    active_revisions_mode: Option<String>,
}

impl Properties {
    fn images(&self) -> impl Iterator<Item = String> {
        let containers = self.template.iter().flat_map(|of| of.containers.iter().chain(&of.init_containers).flatten());
        containers.filter_map(|container| image_uri::known(container.image.as_deref()?))
    }

    /// Whether older revisions may run beside the newest.
    fn runs_several(&self) -> bool {
        let mode = self.configuration.as_ref().and_then(|of| of.active_revisions_mode.as_deref());
        mode.is_some_and(|mode| !mode.eq_ignore_ascii_case("Single"))
    }
}

pub(super) struct ContainerApp(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for ContainerApp {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let apps = shared::of_subscription::<Properties>(&self.0, site, &APP, Some(&mut *out)).await?;
        let jobs = shared::of_subscription::<Properties>(&self.0, site, &JOB, Some(&mut *out)).await?;
        let around = self.0.around(site, LIST, out).await;
        if let Err(why) = rights::held(&self.0, site, JOBS).await {
            out.blind_in(Scope::GLOBAL, why);
        }
        let all: Vec<_> = apps.iter().chain(jobs.iter()).collect();
        let work: Vec<_> = all.iter().map(|app| images(&self.0, site, app)).collect();
        let mut results = stream::iter(work).buffered(shared::AT_ONCE);
        let mut at = all.iter();
        while let Some(images) = results.next().await {
            let Some(app) = at.next() else { break };
            let common = around.common(app);
            match images {
                Ok(images) => push(app, &common, &images, out),
                Err(error) if shared::stops(&error) => return Err(error),
                Err(error) => {
                    out.blind_in(&common.region, error.cause());
                    push(app, &common, &app.properties.images().collect(), out);
                }
            }
        }
        Ok(())
    }
}

/// The images of an app, those of its other active revisions included.
async fn images(azure: &Azure, site: &Site, app: &Entity<Properties>) -> Result<BTreeSet<String>, CloudError> {
    let mut images: BTreeSet<String> = app.properties.images().collect();
    if app.properties.runs_several() {
        let revisions: Result<Vec<Entity<Properties>>, _> =
            azure.list(site, REVISIONS, &format!("{}/revisions", app.id), API).await;
        match revisions {
            Ok(revisions) => {
                let running = revisions.iter().filter(|revision| revision.properties.active != Some(false));
                images.extend(running.flat_map(|revision| revision.properties.images()));
            }
            Err(error) if error.fault == Fault::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(images)
}

fn push(app: &Entity<Properties>, common: &Common, images: &BTreeSet<String>, out: &mut Listing) {
    let mut draft = common.draft(app, Referrer {});
    draft.uses = images.iter().map(|image| (Relation::Referenced, image.as_str())).collect();
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_names_its_images_and_how_many_revisions_run() {
        let of = |text: &str| serde_json::from_str::<Properties>(text).unwrap();
        let app =
            of(r#"{"configuration":{"activeRevisionsMode":"Single","secrets":[{"name":"s","value":"canary-4711"}]},
                "template":{"containers":[{"image":"shop.azurecr.io/web:1","env":[{"name":"P","value":"canary-4711"}]}],
                "initContainers":[{"image":"shop.azurecr.io/init:1"}]}}"#);
        assert_eq!(app.images().collect::<Vec<_>>(), ["shop.azurecr.io/web:1", "shop.azurecr.io/init:1"]);
        assert!(!app.runs_several());
        assert!(!format!("{app:?}").contains("canary"));
        assert!(of(r#"{"configuration":{"activeRevisionsMode":"Multiple"}}"#).runs_several());
        assert!(!of("{}").runs_several());
    }
}
