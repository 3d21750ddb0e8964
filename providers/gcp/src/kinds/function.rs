//! Cloud Functions of both generations. Environments are never kept.
//!
//! A function of the second generation runs as a Cloud Run service, which is listed too and is not judged.

use crate::{
    asks,
    auth::Gcp,
    fault,
    kinds::run_service,
    marks,
    newer::{KnownBy, Sort},
    paths,
    rest::Service,
    usage::{self, Combine, Daily, Line, Measure},
};
use async_trait::async_trait;
use google_cloud_functions_v2::model::{self, Environment};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    deed::{ActSpec, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::Function as Facts,
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::Cost,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.function",
    cloud: CloudId::Gcp,
    class: Class::Function,
    title: "Cloud Function",
    places: Places::Account,
    reads: &[LIST],
    asks: &[usage::OP],
    // The service that it runs as.
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "cloudfunctions.functions.list";
const GET: &str = "cloudfunctions.functions.get";
const DELETE: &str = "cloudfunctions.functions.delete";
const SORT: Sort = Sort {
    service: Service::Functions,
    version: "v2",
    get: GET,
    watch: "cloudfunctions.operations.get",
    known_by: KnownBy::Time("createTime"),
};

const ACTS: &[ActSpec] = &[ActSpec {
    deed: DeedKind::Delete,
    writes: &[Write { permission: DELETE, method: "DELETE", action: "/v2/projects/{}/locations/{}/functions/{}" }],
    reads: &[GET, "cloudfunctions.operations.get"],
    reversal: Reversal::OneWay(
        "the function and what it runs as; its source stays in its bucket as long as that keeps it",
    ),
    keeps: &[],
    takes: &[],
}];

/// Executions a day of functions of the first generation, by whatever they were started.
static EXECUTIONS: &[Line] = &[Line {
    metric: "cloudfunctions.googleapis.com/function/execution_count",
    resource: "cloud_function",
    by: &["resource.label.function_name", "resource.label.region"],
    daily: Daily::Sum,
    ..Line::PLAIN
}];

pub(super) struct Function(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for Function {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let client = self.0.functions(LIST).await?;
        let parent = format!("projects/{}/locations/-", site.scope().account);
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                client
                    .list_functions()
                    .set_parent(&parent)
                    .set_page_size(1000)
                    .set_page_token(token.clone().unwrap_or_default())
                    .send()
            })
            .await?;
            for place in &page.unreachable {
                out.blind_in(paths::last(place), format!("{} {LIST}", Fault::Unreachable.word()));
            }
            for function in &page.functions {
                push(function, out);
            }
            pages.seen(Some(&page.next_page_token))?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let mut answers = usage::answer(&self.0, site, inventory, asks, measure).await;
        // Asked only where the listing does not tell it; there is nobody else who would.
        let warm =
            asks::of(asks, |question| matches!(question, Question::Usage { metric: Metric::FunctionProvisioned, .. }));
        answers.extend(warm.into_iter().map(|ask| (ask, Answer::Unseen("not told: kept_warm".to_owned()))));
        Ok(answers)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let path = SORT.path(target, "functions");
        if let Some(found) = SORT.find::<model::Function>(&self.0, site, &path).await? {
            push(&found, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        SORT.delete(&self.0, pen, DELETE, SORT.path(pen.target(), "functions")).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        SORT.progress(&self.0, site, permit, sent, &SORT.path(permit.target(), "functions")).await
    }

    fn price(&self, function: Resource<'_>, _: &dyn Prices) -> Cost {
        run_service::price(function)
    }
}

/// Calls: of the first generation its executions, of the second the requests to its service.
fn measure(function: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::FunctionInvocations, .. } = question else { return None };
    let service = function.uses().map(|(_, used)| used).find(|used| used.contains("/services/"));
    if let Some(service) = service {
        return run_service::requests(paths::last(service), paths::place(service), question);
    }
    let key = vec![function.native_id().to_owned(), function.region().to_owned()];
    Some(Measure { lines: EXECUTIONS, key, combine: Combine::Sum, sparse: true })
}

/// The service that a function of the second generation runs as; empty for the first. One that does not say has the
/// function's own name.
fn service(function: &model::Function) -> String {
    let said = function.service_config.as_ref().map_or("", |config| config.service.as_str());
    match function.environment {
        Environment::Gen1 => String::new(),
        _ if !said.is_empty() => paths::path(said).to_owned(),
        Environment::Gen2 => function.name.replace("/functions/", "/services/").replace('_', "-"),
        _ => String::new(),
    }
}

fn push(function: &model::Function, out: &mut Listing) {
    let service = service(function);
    let runtime = function.build_config.as_ref().map_or("", |config| config.runtime.as_str());
    let least = function.service_config.as_ref().map(|config| config.min_instance_count);
    let facts = Facts {
        runtime: out.sym(runtime),
        last_modified: super::instant(function.update_time.as_ref()),
        code_bytes: None,
        edge: Some(false),
        kept_warm: least.and_then(|least| u32::try_from(least).ok()),
        machinery: false,
    };
    out.push(Draft {
        region: Some(paths::place(&function.name)),
        created: super::instant(function.create_time.as_ref()),
        managed_by: &marks::managed_by(&function.labels),
        tags: Tags::Read(marks::tags(&function.labels)),
        uses: vec![(Relation::Referenced, &service)],
        also: vec![&function.name],
        ..Draft::new(paths::last(&function.name), facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(more: Value) -> String {
        let mut all = json!({ "name": "projects/p/locations/us-central1/functions/send_mail" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        service(&serde_json::from_value(all).unwrap())
    }

    #[test]
    fn the_second_generation_runs_as_a_service() {
        let path = "projects/p/locations/us-central1/services/mail";
        assert_eq!(of(json!({ "environment": "GEN_2", "serviceConfig": { "service": path } })), path);
        let guessed = "projects/p/locations/us-central1/services/send-mail";
        assert_eq!(of(json!({ "environment": "GEN_2" })), guessed);
        assert_eq!(of(json!({ "environment": "GEN_1", "serviceConfig": {} })), "");
        assert_eq!(of(json!({})), "");
        assert_eq!(of(json!({ "environment": "GEN_3", "serviceConfig": { "service": path } })), path);
    }
}
