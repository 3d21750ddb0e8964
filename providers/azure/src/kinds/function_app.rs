//! Function apps. What a plan's machines cost is the plan's; on consumption an app that is not called costs nothing.

use crate::{
    arm::Azure,
    entity::{Common, Entity},
    graph, locks, rights, shared,
    usage::{self, Aggregation, Combine, Measure},
    web::{self, CONFIG, Properties, SIDECARS, SITES},
};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    facts::Function,
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.function-app",
    cloud: CloudId::Azure,
    class: Class::Function,
    title: "function app",
    places: Places::Account,
    reads: &[SITES, CONFIG, SIDECARS, rights::OP, locks::OP, graph::OP],
    asks: &[usage::OP],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

pub(super) struct FunctionApp(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for FunctionApp {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let sites = web::sites(&self.0, site, Some(out)).await?;
        let around = self.0.around(site, SITES, out).await;
        let apps: Vec<_> = sites.iter().filter(|app| web::is_function_app(app)).collect();
        let work: Vec<_> = apps.iter().map(|app| web::images(&self.0, site, app)).collect();
        let mut results = stream::iter(work).buffered(shared::AT_ONCE);
        let mut at = apps.iter();
        while let Some(images) = results.next().await {
            let Some(app) = at.next() else { break };
            let common = around.common(app);
            let images = match images {
                Ok(images) => images,
                Err(error) if shared::stops(&error) => return Err(error),
                // What it runs is not known, so of no image here can it be said that nothing runs it.
                Err(error) => {
                    out.blind_in(&common.region, error.cause());
                    BTreeSet::new()
                }
            };
            push(app, &common, &images, out);
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let sites = match web::sites(&self.0, site, None).await {
            Ok(sites) => sites,
            Err(error) => return Ok(asks.iter().map(|ask| (*ask, Answer::Unseen(error.cause()))).collect()),
        };
        let sites: BTreeMap<&str, &Entity<Properties>> = sites.iter().map(|app| (app.id.as_str(), app)).collect();
        let measure = |resource: Resource<'_>, question| measure(sites.get(resource.native_id()).copied()?, question);
        let mut answers = usage::answer(&self.0, site, inventory, asks, measure).await;
        let answered: BTreeSet<Ask> = answers.iter().map(|(ask, _)| *ask).collect();
        let left = asks.iter().filter(|ask| matches!(ask.question, Question::Usage { .. }) && !answered.contains(ask));
        answers.extend(left.map(|ask| (*ask, shared::unmeasured(ask.question))));
        Ok(answers)
    }

    /// The app itself costs nothing: its plan does, or its calls.
    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }
}

/// Executions a day; `None` where nothing counts them: `FunctionExecutionCount` is not published for Premium and
/// Dedicated plans on Linux ("Monitoring data reference for Azure Functions").
fn measure(app: &Entity<Properties>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::FunctionInvocations, .. } = question else { return None };
    let sku = app.properties.sku.as_deref().unwrap_or_default();
    let flex = sku.eq_ignore_ascii_case("FlexConsumption");
    let consumption = flex || sku.eq_ignore_ascii_case("Dynamic");
    (consumption || app.properties.reserved == Some(false)).then_some(Measure {
        namespace: "Microsoft.Web/sites",
        metrics: if flex {
            &["OnDemandFunctionExecutionCount", "AlwaysReadyFunctionExecutionCount"]
        } else {
            &["FunctionExecutionCount"]
        },
        aggregation: Aggregation::Total,
        combine: Combine::Sum,
        // Nothing runs, and nothing is published, on days without a call.
        sparse: true,
    })
}

fn push(app: &Entity<Properties>, common: &Common, images: &BTreeSet<String>, out: &mut Listing) {
    let facts = Function {
        runtime: out.sym(&web::runtime(app)),
        last_modified: web::instant(app.properties.last_modified_time_utc.as_deref()),
        code_bytes: None,
        edge: Some(false),
        kept_warm: Some(web::always_ready(app)),
        machinery: false,
    };
    let mut draft = common.draft(app, facts);
    draft.uses = images.iter().map(|image| (Relation::Referenced, image.as_str())).collect();
    out.push(draft);
}
