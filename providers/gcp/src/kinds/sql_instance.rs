//! Cloud SQL instances: primaries, and their replicas.

use crate::{
    advice::{self, Recommender},
    auth::Gcp,
    fault, marks, operations,
    rest::{Request, Service, segment},
    usage::{self, Combine, Daily, Line, Measure},
};
use async_trait::async_trait;
use google_cloud_sql_v1::model::{DatabaseInstance, Settings, SqlAvailabilityType, SqlBackendType, SqlInstanceType};
use serde_json::{Value, json};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{Database, DatabaseState, FactsRef},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Scope, Timestamp},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.sql-instance",
    cloud: CloudId::Gcp,
    class: Class::Database,
    title: "Cloud SQL instance",
    places: Places::Account,
    reads: &[LIST],
    asks: &[usage::OP, IDLE.op],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "Recommender",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "cloudsql.instances.list";
/// Operations are read with it as well.
const GET: &str = "cloudsql.instances.get";
const UPDATE: &str = "cloudsql.instances.update";
const SWITCH: &[Write] = &[Write { permission: UPDATE, method: "PATCH", action: "/v1/projects/{}/instances/{}" }];

/// An instance is not deleted: its backups go with it.
const ACTS: &[ActSpec] = &[
    ActSpec {
        deed: DeedKind::Stop,
        writes: SWITCH,
        reads: &[GET],
        reversal: Reversal::Undo("the instance is switched on"),
        keeps: &[],
        takes: &[],
    },
    ActSpec {
        deed: DeedKind::Start,
        writes: SWITCH,
        reads: &[GET],
        reversal: Reversal::Undo("the instance is switched off"),
        keeps: &[],
        takes: &[],
    },
];

const IDLE: Recommender = Recommender {
    id: "google.cloudsql.instance.IdleRecommender",
    op: "recommender.cloudsqlIdleInstanceRecommendations.list",
};

pub(super) struct SqlInstance(pub(super) Arc<Gcp>);

/// What an instance is doing. One that is switched off is "runnable" all the same: its policy says that it is off
/// (Cloud SQL Admin API, `settings.activationPolicy`).
fn state(instance: &DatabaseInstance) -> DatabaseState {
    let ours = matches!(instance.backend_type, SqlBackendType::SecondGen | SqlBackendType::Unspecified)
        && !matches!(instance.instance_type, SqlInstanceType::OnPremisesInstance | SqlInstanceType::GreenInstance);
    let policy = instance.settings.as_ref().and_then(|settings| settings.activation_policy.name());
    match (instance.state.name(), policy) {
        _ if !ours => DatabaseState::Other,
        (Some("RUNNABLE" | "ONLINE_MAINTENANCE"), Some("NEVER")) | (Some("STOPPED"), _) => DatabaseState::Stopped,
        (Some("RUNNABLE" | "ONLINE_MAINTENANCE"), Some("ALWAYS" | "ON_DEMAND")) => DatabaseState::Available,
        _ => DatabaseState::Other,
    }
}

/// Replicas, pools of them, and what names the instance that it copies.
fn is_replica(instance: &DatabaseInstance) -> bool {
    matches!(instance.instance_type, SqlInstanceType::ReadReplicaInstance | SqlInstanceType::ReadPoolInstance)
        || !instance.master_instance_name.is_empty()
}

fn push(project: &str, instance: &DatabaseInstance, out: &mut Listing) {
    let none = Settings::new();
    let settings = instance.settings.as_ref().unwrap_or(&none);
    let labels = marks::tags(&settings.user_labels);
    let managed_by = marks::managed_by(&settings.user_labels);
    let path = format!("projects/{project}/instances/{}", instance.name);
    let size = settings.data_disk_size_gb.and_then(|gib| u32::try_from(gib).ok());
    let facts = Database {
        state: state(instance),
        engine: out.sym(instance.database_version.name().unwrap_or_default()),
        db_class: out.sym(&settings.tier),
        storage_gib: size.unwrap_or(0),
        multi_az: settings.availability_type == SqlAvailabilityType::Regional,
        replica: is_replica(instance),
        is_cluster: false,
        cluster: out.sym(""),
        storage_type: out.sym(settings.data_disk_type.name().unwrap_or_default()),
    };
    let protected = settings.deletion_protection_enabled == Some(true);
    out.push(Draft {
        region: (!instance.region.is_empty()).then_some(&instance.region),
        created: super::instant(instance.create_time.as_ref()),
        managed_by: &managed_by,
        protected: if protected { "deletion protection" } else { "" },
        // Settings hold the labels; without settings none were told.
        tags: if instance.settings.is_some() { Tags::Read(labels) } else { Tags::Unread },
        also: vec![&path],
        ..Draft::new(&instance.name, facts)
    });
}

/// Connections of MySQL and SQL Server.
static CONNECTIONS: &[Line] = &[Line {
    metric: "cloudsql.googleapis.com/database/network/connections",
    resource: "cloudsql_database",
    by: &["resource.label.database_id"],
    daily: Daily::Max,
    ..Line::PLAIN
}];

/// Connections of PostgreSQL, a database. The service itself is always connected to its own.
static BACKENDS: &[Line] = &[Line {
    metric: "cloudsql.googleapis.com/database/postgresql/num_backends",
    resource: "cloudsql_database",
    by: &["resource.label.database_id"],
    daily: Daily::Max,
    only: "metric.labels.database != \"cloudsqladmin\"",
    ..Line::PLAIN
}];

#[async_trait]
impl Kind for SqlInstance {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let client = self.0.sql_instances(LIST).await?;
        let project = &site.scope().account;
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                client
                    .list()
                    .set_project(project)
                    .set_max_results(500_u32)
                    .set_page_token(token.clone().unwrap_or_default())
                    .send()
            })
            .await?;
            for warning in &page.warnings {
                let place = if warning.region.is_empty() { Scope::GLOBAL } else { &warning.region };
                out.blind_in(place, format!("{} {LIST}", Fault::Unreachable.word()));
            }
            for instance in &page.items {
                push(project, instance, out);
            }
            pages.seen(Some(&page.next_page_token))?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let mut answers = usage::answer(&self.0, site, inventory, asks, measure).await;
        answers.extend(
            advice::answer(&self.0, site, inventory, asks, IDLE, |instance| {
                (instance.region().to_owned(), format!("instances/{}", instance.native_id()))
            })
            .await,
        );
        Ok(answers)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(instance) = self.find::<DatabaseInstance>(site, target).await? {
            push(&target.account, &instance, out);
        }
        Ok(())
    }

    /// Switches it off or on, if nobody changed its settings meanwhile.
    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let wanted = wanted(pen.permit().deed())?;
        let found = self.there(pen.site(), pen.target()).await?;
        let settings = &found["settings"];
        if settings["activationPolicy"] == wanted {
            return Ok(Sent::default());
        }
        let version = settings["settingsVersion"].as_str();
        let version = version.ok_or_else(|| CloudError::new(Fault::Malformed, GET, "no version of its settings"))?;
        let body = json!({ "settings": { "settingsVersion": version, "activationPolicy": wanted } });
        let answer = self.0.change(pen, UPDATE, Request::patch(Service::Sql, path(pen.target()), body)).await?;
        Ok(operations::sent(&answer))
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        if let Some(progress) = operations::sql(&self.0, site, GET, sent).await? {
            return Ok(progress);
        }
        let found = self.there(site, permit.target()).await?;
        let is = found["settings"]["activationPolicy"] == wanted(permit.deed())?;
        Ok(if is { Progress::Done(None) } else { Progress::Running })
    }
}

impl SqlInstance {
    async fn find<T: serde::de::DeserializeOwned + Send>(
        &self,
        site: &Site,
        target: &Target,
    ) -> Result<Option<T>, CloudError> {
        self.0.find(site, GET, Request::get(Service::Sql, path(target))).await
    }

    /// The very instance that was planned for. It has no number of its own: it is known by when it was made.
    async fn there(&self, site: &Site, target: &Target) -> Result<Value, CloudError> {
        let found: Option<Value> = self.find(site, target).await?;
        let found = found.ok_or_else(|| CloudError::new(Fault::NotFound, GET, "it is gone"))?;
        if target.created.is_none() || found["createTime"].as_str().and_then(Timestamp::parse) != target.created {
            return Err(CloudError::new(Fault::Refused, GET, "another has its name"));
        }
        Ok(found)
    }
}

fn path(target: &Target) -> String {
    format!("/v1/projects/{}/instances/{}", segment(&target.account), segment(&target.native_id))
}

/// The activation policy that a deed wants.
fn wanted(deed: &Deed) -> Result<&'static str, CloudError> {
    match deed {
        Deed::Stop => Ok("NEVER"),
        Deed::Start => Ok("ALWAYS"),
        _ => Err(CloudError::new(Fault::Refused, UPDATE, "this kind does not know how")),
    }
}

fn measure(instance: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::DbConnectionsMax, .. } = question else { return None };
    let FactsRef::Database(database) = instance.facts() else { return None };
    let postgres = instance.inventory().text(database.engine).starts_with("POSTGRES");
    let key = vec![format!("{}:{}", instance.account(), instance.native_id())];
    let lines = if postgres { BACKENDS } else { CONNECTIONS };
    Some(Measure { lines, key, combine: Combine::Max, sparse: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn instance(more: Value) -> DatabaseInstance {
        let mut all = json!({ "name": "db", "state": "RUNNABLE", "settings": { "activationPolicy": "ALWAYS" } });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn what_an_instance_is_doing() {
        let of = |more| state(&instance(more));
        assert_eq!(of(json!({})), DatabaseState::Available);
        assert_eq!(of(json!({ "settings": { "activationPolicy": "NEVER" } })), DatabaseState::Stopped);
        assert_eq!(of(json!({ "state": "STOPPED" })), DatabaseState::Stopped);
        // What does not say whether it is on is neither.
        assert_eq!(of(json!({ "settings": {} })), DatabaseState::Other);
        for state in ["SUSPENDED", "PENDING_DELETE", "MAINTENANCE", "FAILED", "TELEPORTING"] {
            assert_eq!(of(json!({ "state": state })), DatabaseState::Other, "{state}");
        }
        assert_eq!(of(json!({ "instanceType": "ON_PREMISES_INSTANCE" })), DatabaseState::Other);
        assert_eq!(of(json!({ "backendType": "EXTERNAL" })), DatabaseState::Other);
    }

    #[test]
    fn a_replica_names_its_source() {
        assert!(!is_replica(&instance(json!({}))));
        assert!(is_replica(&instance(json!({ "masterInstanceName": "p:main" }))));
        assert!(is_replica(&instance(json!({ "instanceType": "READ_REPLICA_INSTANCE" }))));
        assert!(is_replica(&instance(json!({ "instanceType": "READ_POOL_INSTANCE" }))));
    }
}
