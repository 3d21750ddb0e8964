//! Cloud Run jobs. Environments are never kept.

use crate::{
    auth::Gcp,
    fault,
    kinds::run_service::{WATCH, images},
    marks,
    newer::{KnownBy, Sort},
    paths,
    places::{self, REGIONS},
    rest::Service,
    usage::{self, Combine, Daily, Line, Measure},
};
use async_trait::async_trait;
use google_cloud_run_v2::{client::Jobs, model};
use std::{collections::HashMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    deed::{ActSpec, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::Function,
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation, Timestamp},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.run-job",
    cloud: CloudId::Gcp,
    class: Class::Function,
    title: "Cloud Run job",
    places: Places::Account,
    reads: &[LIST, REGIONS],
    asks: &[usage::OP],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "run.jobs.list";
const GET: &str = "run.jobs.get";
const DELETE: &str = "run.jobs.delete";
const SORT: Sort = Sort { service: Service::Run, version: "v2", get: GET, watch: WATCH, known_by: KnownBy::Uid };

const ACTS: &[ActSpec] = &[ActSpec {
    deed: DeedKind::Delete,
    writes: &[Write { permission: DELETE, method: "DELETE", action: "/v2/projects/{}/locations/{}/jobs/{}" }],
    reads: &[GET, WATCH],
    reversal: Reversal::OneWay("the job, its settings and the record of its executions"),
    keeps: &[],
    takes: &[],
}];

/// Executions that came to their end, well or not, a day.
static EXECUTIONS: &[Line] = &[Line {
    metric: "run.googleapis.com/job/completed_execution_count",
    resource: "cloud_run_job",
    by: &["resource.label.job_name", "resource.label.location"],
    daily: Daily::Sum,
    ..Line::PLAIN
}];

pub(super) struct RunJob(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for RunJob {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let client = &self.0.run_jobs(LIST).await?;
        let regions = places::regions(&self.0, site).await?;
        let found = places::each(&regions, |region| async move { in_region(site, client, &region).await }).await?;
        found.blind(out);
        for job in &found.all {
            push(job, out);
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let path = SORT.path(target, "jobs");
        if let Some(found) = SORT.find::<model::Job>(&self.0, site, &path).await? {
            push(&lean(&found), out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        SORT.delete(&self.0, pen, DELETE, SORT.path(pen.target(), "jobs")).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        SORT.progress(&self.0, site, permit, sent, &SORT.path(permit.target(), "jobs")).await
    }

    /// Without executions nothing is billed.
    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }
}

fn measure(job: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::FunctionInvocations, .. } = question else { return None };
    let key = vec![job.native_id().to_owned(), job.region().to_owned()];
    Some(Measure { lines: EXECUTIONS, key, combine: Combine::Sum, sparse: true })
}

/// What matters of a job.
#[derive(Clone, Debug)]
struct Job {
    /// `projects/p/locations/l/jobs/j`.
    path: String,
    uid: String,
    created: Option<Timestamp>,
    /// When it was changed, or an execution of it began.
    touched: Option<Timestamp>,
    labels: HashMap<String, String>,
    images: Vec<String>,
}

async fn in_region(site: &Site, client: &Jobs, region: &str) -> Result<Vec<Job>, CloudError> {
    let parent = format!("projects/{}/locations/{region}", site.scope().account);
    let mut found = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::call(site, LIST, || {
            client
                .list_jobs()
                .set_parent(&parent)
                .set_page_size(100)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await?;
        pages.seen(Some(&page.next_page_token))?;
        found.extend(page.jobs.iter().map(lean));
    }
    Ok(found)
}

/// What is kept of a job: nothing of its environment.
fn lean(job: &model::Job) -> Job {
    let template = job.template.as_ref().and_then(|template| template.template.as_ref());
    // One that runs for days is not completed in any of them.
    let began = job.latest_created_execution.as_ref().and_then(|execution| execution.create_time.as_ref());
    Job {
        path: job.name.clone(),
        uid: job.uid.clone(),
        created: super::instant(job.create_time.as_ref()),
        touched: super::instant(job.update_time.as_ref()).max(super::instant(began)),
        labels: job.labels.clone(),
        images: template.map(|template| images(&template.containers)).unwrap_or_default(),
    }
}

fn push(job: &Job, out: &mut Listing) {
    let facts = Function {
        runtime: out.sym("container"),
        last_modified: job.touched,
        code_bytes: None,
        edge: Some(false),
        kept_warm: Some(0),
        machinery: false,
    };
    out.push(Draft {
        uid: &job.uid,
        region: Some(paths::place(&job.path)),
        created: job.created,
        managed_by: &marks::managed_by(&job.labels),
        tags: Tags::Read(marks::tags(&job.labels)),
        uses: job.images.iter().map(|image| (Relation::Referenced, image.as_str())).collect(),
        also: vec![&job.path],
        ..Draft::new(paths::last(&job.path), facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_environment_is_kept() {
        let secret = serde_json::json!({ "name": "projects/p/locations/l/jobs/j", "updateTime": "2026-01-01T00:00:00Z",
            "latestCreatedExecution": { "name": "j-abc", "createTime": "2026-02-01T00:00:00Z" },
            "template": { "template": { "containers": [
            { "image": "gcr.io/p/web@sha256:ab", "env": [{ "name": "PASSWORD", "value": "canary-4711" }] }] } } });
        let kept = lean(&serde_json::from_value(secret).unwrap());
        assert_eq!(kept.images, ["p/web@sha256:ab"]);
        assert_eq!(kept.touched, Timestamp::parse("2026-02-01T00:00:00Z"));
        assert!(!format!("{kept:?}").contains("canary"));
    }
}
