//! Virtual machines.

use crate::{
    advice, aggregated,
    auth::Gcp,
    compute::{self, Sort},
    kinds::{at, compute_address, compute_disk, uid},
    marks, operations, paths, usage,
    usage::{Combine, Daily, Line, Measure},
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::{Instance, instance::Status, scheduling::ProvisioningModel};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    deed::{ActSpec, Deed, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{FactsRef, Vm, VmState},
    intern::Sym,
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation, Timestamp},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-instance",
    cloud: CloudId::Gcp,
    class: Class::Vm,
    title: "virtual machine",
    places: Places::Account,
    reads: &[LIST],
    asks: &[usage::OP, ADVICE.op],
    refers: &[(Relation::UsedByVm, Reach::Account), (Relation::OfCluster, Reach::Account)],
    needs: &[],
    out_of_sight: &[(Relation::UsedByVm, "starts by people or tools that name the image directly")],
    advised: "Recommender",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "compute.instances.list";
const GET: &str = "compute.instances.get";
const DELETE: &str = "compute.instances.delete";
const STOP: &str = "compute.instances.stop";
const START: &str = "compute.instances.start";
const SET_LABELS: &str = "compute.instances.setLabels";
const SORT: Sort = Sort { collection: "instances", get: GET };
const LABELS: &[Write] = &[Write {
    permission: SET_LABELS,
    method: "POST",
    action: "/compute/v1/projects/{}/zones/{}/instances/{}/setLabels",
}];
const WATCHED: &[&str] = &[GET, operations::ZONE];

const ACTS: &[ActSpec] = &[
    compute::tagging(LABELS, WATCHED),
    compute::untagging(LABELS, WATCHED),
    ActSpec {
        deed: DeedKind::Stop,
        writes: &[Write {
            permission: STOP,
            method: "POST",
            action: "/compute/v1/projects/{}/zones/{}/instances/{}/stop",
        }],
        reads: WATCHED,
        reversal: Reversal::Undo("the machine is started; an address that was not reserved is another one then"),
        keeps: &[],
        takes: &[],
    },
    ActSpec {
        deed: DeedKind::Start,
        writes: &[Write {
            permission: START,
            method: "POST",
            action: "/compute/v1/projects/{}/zones/{}/instances/{}/start",
        }],
        reads: WATCHED,
        reversal: Reversal::Undo("the machine is stopped"),
        keeps: &[],
        takes: &[],
    },
    ActSpec {
        deed: DeedKind::Delete,
        writes: &[Write {
            permission: DELETE,
            method: "DELETE",
            action: "/compute/v1/projects/{}/zones/{}/instances/{}",
        }],
        reads: WATCHED,
        reversal: Reversal::OneWay("the machine, and the disks that were attached to be deleted with it"),
        keeps: &[],
        takes: &[Class::Disk],
    },
];
const ADVICE: advice::Recommender = advice::Recommender {
    id: "google.compute.instance.IdleResourceRecommender",
    op: "recommender.computeInstanceIdleResourceRecommendations.list",
};

/// Sources: "Google Cloud metrics", `compute.googleapis.com/instance`.
static CPU: [Line; 1] = [Line {
    metric: "compute.googleapis.com/instance/cpu/utilization",
    resource: "gce_instance",
    by: BY,
    daily: Daily::Max,
    // A fraction there, percent here.
    scale: 100,
    only: "",
}];
static NETWORK: [Line; 2] = [
    Line {
        metric: "compute.googleapis.com/instance/network/received_bytes_count",
        resource: "gce_instance",
        by: BY,
        daily: Daily::Sum,
        scale: 1,
        only: "",
    },
    Line {
        metric: "compute.googleapis.com/instance/network/sent_bytes_count",
        resource: "gce_instance",
        by: BY,
        daily: Daily::Sum,
        scale: 1,
        only: "",
    },
];
const BY: &[&str] = &["resource.label.instance_id"];

pub(super) struct ComputeInstance(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeInstance {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let instances = self.0.instances(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            instances
                .aggregated_list()
                .set_project(project)
                .set_max_results(aggregated::PAGE)
                .set_or_clear_page_token(token)
                .send()
        };
        let blind = aggregated::each(site, LIST, ask, |instance: Instance| push(project, &instance, out)).await?;
        blind.tell(out);
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let mut answers = usage::answer(&self.0, site, inventory, asks, measure).await;
        let advised = advice::answer(&self.0, site, inventory, asks, ADVICE, |vm| {
            (vm.region().to_owned(), format!("zones/{}/instances/{}", vm.region(), vm.native_id()))
        });
        answers.extend(advised.await);
        Ok(answers)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(found) = SORT.find::<Instance>(&self.0, site, target).await? {
            push(&target.account, &found, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => SORT.label(&self.0, pen, SET_LABELS).await,
            Deed::Delete => SORT.delete(&self.0, pen, DELETE).await,
            Deed::Stop => self.switch(pen, STOP, "stop", &["RUNNING"], &["TERMINATED", "STOPPED"]).await,
            Deed::Start => self.switch(pen, START, "start", &["TERMINATED", "STOPPED"], &["RUNNING"]).await,
            _ => Err(CloudError::new(Fault::Refused, GET, "this kind does not know how")),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        SORT.progress(&self.0, site, permit, sent).await
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }
}

impl ComputeInstance {
    /// Stops or starts a machine that is in one of the states `from`; one that is in `to` is left as it is. What a
    /// local SSD holds would be lost: Compute Engine refuses to stop such a machine without being told to.
    async fn switch(
        &self,
        pen: &Pen<'_>,
        op: &'static str,
        verb: &str,
        from: &[&str],
        to: &[&str],
    ) -> Result<Sent, CloudError> {
        let found = SORT.there(&self.0, pen).await?;
        match found["status"].as_str().unwrap_or_default() {
            status if to.contains(&status) => Ok(Sent::default()),
            status if from.contains(&status) => SORT.post(&self.0, pen, op, verb, None).await,
            status => Err(CloudError::new(Fault::Refused, op, format!("the machine is {status}"))),
        }
    }
}

fn measure(resource: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric, .. } = question else { return None };
    let (lines, combine): (&'static [Line], _) = match metric {
        Metric::VmCpuMax => (&CPU, Combine::Max),
        Metric::VmNetwork => (&NETWORK, Combine::Sum),
        _ => return None,
    };
    Some(Measure { lines, key: vec![resource.uid().to_owned()], combine, sparse: false })
}

/// What a stopped machine goes on costing: its disks and reserved addresses. A running one's price stands nowhere.
fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    let FactsRef::Vm(vm) = resource.facts() else { return Cost::unknown() };
    if vm.state != VmState::Stopped {
        return Cost::unknown();
    }
    let mut month = Amount::ZERO;
    for (relation, used) in resource.uses() {
        let cost = match relation {
            Relation::UsedByVm if used.contains("/disks/") => {
                named(resource, Class::Disk, used).map(|disk| compute_disk::month(disk, prices))
            }
            Relation::Holds => match named(resource, Class::Address, used) {
                Some(address) => Some(compute_address::month(address, prices)),
                // An ephemeral address is given back when its machine stops.
                None => continue,
            },
            _ => continue,
        };
        match cost.and_then(|cost| cost.amount) {
            Some(amount) => month += amount,
            None => return Cost::unknown(),
        }
    }
    Cost::list(month)
}

fn named<'a>(near: Resource<'a>, class: Class, name: &str) -> Option<Resource<'a>> {
    let inventory = near.inventory();
    let found = inventory.exists(near, class, inventory.find(name)?, Reach::Account, |_| true).ok()?;
    found.users.first().map(|ix| inventory.at(*ix))
}

fn push(project: &str, instance: &Instance, out: &mut Listing) {
    let path = instance.self_link.as_deref().map(paths::path).unwrap_or_default();
    let zone = instance.zone.as_deref().map_or_else(|| paths::place(path), paths::last);
    let uid = uid(instance.id);
    let state = match &instance.status {
        Some(Status::Running) => VmState::Running,
        Some(Status::Terminated | Status::Stopped | Status::Suspended) => VmState::Stopped,
        _ => VmState::Other,
    };
    let scheduling = instance.scheduling.as_ref();
    let spot = scheduling.is_some_and(|scheduling| {
        scheduling.preemptible == Some(true) || scheduling.provisioning_model == Some(ProvisioningModel::Spot)
    });
    let facts = Vm {
        state,
        vm_type: out.sym(instance.machine_type.as_deref().map_or("", paths::last)),
        // A machine does not say what its boot disk was made from; the disk does.
        image: Sym::NONE,
        in_state_since: since(instance, state),
        spot,
        // A machine that is stopped or suspended costs no compute in Google Cloud, in whatever state it says it is.
        still_billed: false,
    };
    // Of all metadata only who created it: the rest holds start scripts and secrets.
    let created_by = instance
        .metadata
        .iter()
        .flat_map(|metadata| &metadata.items)
        .find(|item| item.key.as_deref() == Some("created-by"))
        .and_then(|item| item.value.as_deref());
    let managed_by = marks::first([marks::managed_by(&instance.labels), marks::group(created_by)]);
    let cluster = marks::cluster(project, &instance.labels);
    let mut uses: Vec<(Relation, &str)> = vec![(Relation::OfCluster, &cluster)];
    uses.extend(
        instance.disks.iter().filter_map(|disk| Some((Relation::UsedByVm, paths::path(disk.source.as_deref()?)))),
    );
    let accesses =
        instance.network_interfaces.iter().flat_map(|nic| nic.access_configs.iter().chain(&nic.ipv_6_access_configs));
    uses.extend(accesses.flat_map(|access| {
        [access.nat_ip.as_deref(), access.external_ipv_6.as_deref()]
            .into_iter()
            .flatten()
            .map(|ip| (Relation::Holds, ip))
    }));
    uses.extend(instance.source_machine_image.as_deref().map(|image| (Relation::UsedByVm, paths::path(image))));
    out.push(Draft {
        uid: &uid,
        region: Some(zone),
        created: at(instance.creation_timestamp.as_deref()),
        tags: Tags::Read(marks::tags(&instance.labels)),
        managed_by: &managed_by,
        protected: if instance.deletion_protection == Some(true) { "deletion protection" } else { "" },
        uses,
        also: vec![path],
        ..Draft::new(instance.name.as_deref().unwrap_or_default(), facts)
    });
}

/// Since when it is in its state, as far as the machine tells.
fn since(instance: &Instance, state: VmState) -> Option<Timestamp> {
    match state {
        VmState::Running => at(instance.last_start_timestamp.as_deref()),
        VmState::Stopped if instance.status == Some(Status::Suspended) => {
            at(instance.last_suspended_timestamp.as_deref())
        }
        VmState::Stopped => at(instance.last_stop_timestamp.as_deref()),
        _ => None,
    }
}
