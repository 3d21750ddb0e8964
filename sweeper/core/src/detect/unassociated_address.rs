//! Reserved addresses that lead nowhere.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::FactsRef,
    inventory::Resource,
    model::{Class, Relation},
};

pub(super) static SPEC: Spec = Spec {
    id: "unassociated-address",
    title: "reserved address that leads nowhere",
    classes: &[Class::Address],
    relations: &[Relation::Holds],
    sources: &[],
    questions: &[],
    severity: Severity::Ticket,
    why_it_matters: "A public address that is reserved and leads nowhere is billed by the hour, and there are few \
        of them to be had.",
    when_it_is_wrong: "Releasing an address is one-way: a partner's firewall or a DNS record may still name it, and \
        nobody can get it back. Addresses kept for a planned cut-over or a disaster recovery site. Addresses of \
        the customer's own pool cost nothing (`own_pool` says so) and are clutter at most. Internal addresses cost \
        nothing and are never found.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Address(address) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if address.associated {
        return Ok(Verdict::CLEAN);
    }
    if address.internal {
        return Ok(Verdict::trap("internal address: costs nothing"));
    }
    if address.service_managed {
        return Ok(Verdict::trap("managed by a service"));
    }
    if !view.users(resource, Relation::Holds)?.is_empty() {
        return Ok(Verdict::trap("held by a gateway, interface or load balancer"));
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("associated", false, source.clone())
            .and("held", false, "inventory")
            .searched(view)
            .and("ip", view.inventory.text(address.ip), source.clone())
            .and("own_pool", address.own_pool, source),
    ))
}
