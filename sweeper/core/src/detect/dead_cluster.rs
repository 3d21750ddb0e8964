//! What Kubernetes clusters that are gone left behind.

use super::{Detector, Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::{DiskState, FactsRef},
    intern::Sym,
    inventory::{Resource, ResourceIx, Search, Unseen},
    model::{Class, Reach, Relation},
};

pub(super) static SPEC: Spec = Spec {
    id: "dead-cluster",
    title: "remains of a Kubernetes cluster that is gone",
    classes: &[Class::Disk, Class::Address, Class::Interface, Class::LoadBalancer, Class::SecurityGroup],
    // A group is asked for the interfaces it is still on.
    relations: &[Relation::Guards],
    // The cluster itself, and machines with its mark: a cluster that is run by hand, or that sleeps.
    sources: &[Class::Cluster, Class::Vm],
    questions: &[],
    severity: Severity::Ticket,
    why_it_matters: "A Kubernetes cluster makes disks, addresses, load balancers and groups for what runs in it, and \
        deleting the cluster leaves them: whoever could have cleaned up was deleted with it. They carry the mark of \
        a cluster that exists nowhere, so nobody will ever come back for them.",
    when_it_is_wrong: "A cluster in an account that is not surveyed, whose controller makes load balancers here; one \
        that is taken down and made again under the same name, with claims that take up their disks again. Disks of \
        a cluster's claims may hold the only copy of its data. A cluster that is run by hand and has no machine at \
        the moment is only seen by a group or scale set with its mark.",
};

/// How the marks begin that clusters leave, in the words of the providers' `marks.rs`. A mark of anybody else comes
/// before these there, so a resource with one of these carries no other.
const MARKS: &[&str] = &["Kubernetes ", "EKS cluster", "AKS ", "GKE "];

/// The manager whose mark a resource carries, if that was a cluster and is certainly gone: no account that was seen has
/// it, and all of the resource's own account was seen, by nobody's leave to look away. Such a mark holds nothing of what
/// this detector finds. Others say nothing of clusters, so what they come to does not hang on whether clusters are seen.
pub(crate) fn gone_manager<'a>(detector: Option<&Detector>, resource: Resource<'a>) -> Option<&'a str> {
    let manager = resource.managed_by();
    if detector.is_none_or(|detector| detector.spec.id != SPEC.id)
        || !MARKS.iter().any(|mark| manager.starts_with(mark))
    {
        return None;
    }
    let inventory = resource.inventory();
    let nobody = |search: Result<Search, Unseen>| {
        search.is_ok_and(|search| search.users.is_empty() && search.sight.assuming.is_empty())
    };
    let somebody = |search: Result<Search, Unseen>| search.is_ok_and(|search| !search.users.is_empty());
    let of = Relation::OfCluster;
    let is_gone = |cluster: Sym| {
        nobody(inventory.exists(resource, Class::Cluster, cluster, Reach::Account, |_| true))
            && nobody(inventory.marked(resource, Class::Vm, of, cluster, Reach::Account))
            && !somebody(inventory.exists(resource, Class::Cluster, cluster, Reach::Org, |_| true))
            && !somebody(inventory.marked(resource, Class::Referrer, of, cluster, Reach::Account))
    };
    let mut clusters = resource.used().filter(|(relation, _)| *relation == of).map(|(_, cluster)| cluster).peekable();
    clusters.peek()?;
    clusters.all(is_gone).then_some(manager)
}

/// What still uses it, so that it is not this cluster's to lose.
fn in_use(resource: Resource<'_>) -> Option<&'static str> {
    match resource.facts() {
        FactsRef::Disk(disk) => match disk.state {
            DiskState::Available => (disk.attachments > 0).then_some("attachment in progress"),
            DiskState::Attached => Some("attached to a machine"),
            DiskState::Reserved => Some("reserved by a machine that is stopped"),
            DiskState::Other => Some("between two states"),
        },
        FactsRef::Address(address) if address.associated => Some("associated with something else"),
        FactsRef::Address(address) => address.service_managed.then_some("managed by a service"),
        FactsRef::Interface(interface) if interface.attached => Some("attached to something else"),
        FactsRef::Interface(interface) => {
            (interface.machinery || !interface.requester.is_none()).then_some("part of another resource's machinery")
        }
        FactsRef::SecurityGroup(group) if group.default => Some("comes with its network and cannot be deleted"),
        FactsRef::SecurityGroup(group) => {
            group.associations.is_some_and(|count| count > 0).then_some("still guards something")
        }
        _ => None,
    }
}

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let marks: Vec<Sym> =
        resource.used().filter(|(relation, _)| *relation == Relation::OfCluster).map(|(_, cluster)| cluster).collect();
    if marks.is_empty() {
        return Ok(Verdict::CLEAN);
    }
    if let Some(trap) = in_use(resource) {
        return Ok(Verdict::trap(trap));
    }
    // Somebody seen is certain whatever else could not be, so all marks are looked up before any is concluded.
    let mut clusters = Ok(());
    let mut machines = Ok(());
    for cluster in &marks {
        if view.known(resource, Class::Cluster, *cluster) {
            return Ok(Verdict::trap("its cluster exists"));
        }
        if view.known_to_groups(resource, Relation::OfCluster, *cluster) {
            return Ok(Verdict::trap("a group of machines carries the mark of the same cluster"));
        }
        clusters = clusters.and(view.exists(resource, Class::Cluster, *cluster, Reach::Account, |_| true).map(|_| ()));
        match view.marked(resource, Class::Vm, Relation::OfCluster, *cluster, Reach::Account) {
            Ok(true) => return Ok(Verdict::trap("a machine carries the mark of the same cluster")),
            Ok(false) => {}
            Err(unseen) => machines = machines.and(Err(unseen)),
        }
    }
    if let FactsRef::SecurityGroup(group) = resource.facts()
        && group.associations.is_none()
    {
        // Groups of one cluster name each other in their rules: only what is no group keeps one in use.
        let is_group = |user: &ResourceIx| view.inventory.at(*user).kind().class == Class::SecurityGroup;
        if view.users(resource, Relation::Guards).is_ok_and(|users| !users.iter().all(is_group)) {
            return Ok(Verdict::trap("still guards something"));
        }
        view.every_user(resource, Relation::Guards)?;
    }
    clusters.and(machines)?;
    let names: Vec<&str> = marks.iter().map(|cluster| view.inventory.text(*cluster)).collect();
    let source = view.source(resource);
    let finding = Finding::new("cluster", names.join(", "), source.clone())
        .and("cluster_exists", false, "inventory")
        .and("machines_of_cluster", 0, "inventory")
        .searched(view);
    let finding = match resource.facts() {
        FactsRef::Disk(disk) => finding
            .and("state", disk.state.name(), source.clone())
            .and("size_gib", disk.size_gib, source)
            .since(disk.last_attached, "last attached"),
        FactsRef::Address(address) => finding.and("ip", view.inventory.text(address.ip), source),
        FactsRef::Interface(interface) => {
            finding.and("description", view.inventory.text(interface.description), source)
        }
        FactsRef::LoadBalancer(balancer) => finding.and("state", view.inventory.text(balancer.state), source),
        _ => finding,
    };
    Ok(Verdict::Found(finding))
}
