//! App Service plans: the machines that web apps and function apps run on, billed whether or not any does.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Sort},
    graph, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    deed::{Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, Plan},
    inventory::{Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.app-service-plan",
    cloud: CloudId::Azure,
    class: Class::Plan,
    title: "App Service plan",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Web/serverfarms/{}"),
        acts::tagging!(untag "Microsoft.Web/serverfarms/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Web/serverfarms/{}",
            "Microsoft.Web/serverfarms/delete",
            &[],
            Reversal::FromCopy("made again of its definition, as empty as it was"),
            &[Keep::Definition]
        ),
        acts::act!(
            Restore,
            "PUT" "Microsoft.Web/serverfarms/{}",
            "Microsoft.Web/serverfarms/write",
            &[],
            Reversal::Again("deleted again"),
            &[]
        ),
    ],
};

const LIST: &str = "Microsoft.Web/serverfarms/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Web/serverfarms",
    columns: "sku, kind",
    filter: "",
    api: "2023-12-01",
};

/// Tiers without machines of their own: shared with others, or billed by what runs. Source: the SKUs of App
/// Service plans in the Microsoft.Web REST API.
const FREE_TIERS: [&str; 4] = ["free", "shared", "dynamic", "flexconsumption"];
/// The same by the SKU's name, for answers without a tier.
const FREE_NAMES: [&str; 5] = ["f1", "d1", "y1", "fc1", "free"];

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    /// Apps in it, with their slots.
    number_of_sites: Option<u32>,
    number_of_workers: Option<u32>,
}

/// Plans have no immutable id that their list tells.
static ACT: Act<Properties> = Act { sort: &SORT, query: "", uid: |_| "" };

pub(super) struct AppServicePlan(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for AppServicePlan {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        ACT.observe(&self.0, site, target, out, push).await
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        ACT.act(&self.0, pen).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        ACT.progress(&self.0, site, permit, sent).await
    }

    /// A plan that is shared or billed by use costs nothing by itself.
    fn price(&self, plan: Resource<'_>, _: &dyn Prices) -> Cost {
        match plan.facts() {
            FactsRef::Plan(plan) if plan.free => Cost::list(Amount::ZERO),
            _ => Cost::unknown(),
        }
    }
}

pub(super) fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let sku = entity.sku.clone().unwrap_or_default();
    let (name, tier) = (sku.name.unwrap_or_default(), sku.tier.unwrap_or_default());
    let capacity = sku.capacity.and_then(|capacity| u32::try_from(capacity).ok());
    let is = |free: &[&str], word: &str| free.iter().any(|free| free.eq_ignore_ascii_case(word));
    let facts = Plan {
        tier: out.sym(if name.is_empty() { &tier } else { &name }),
        holds: entity.properties.number_of_sites,
        capacity: capacity.or(entity.properties.number_of_workers).unwrap_or(0),
        free: is(&FREE_TIERS, &tier) || is(&FREE_NAMES, &name),
    };
    out.push(common.draft(entity, facts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::rows;

    fn facts(sku: &str, properties: &str) -> Plan {
        let row = format!(r#"{{"id":"/p","name":"p","location":"East US","sku":{sku},"properties":{properties}}}"#);
        let inventory = rows(&SPEC, &row, push);
        let FactsRef::Plan(plan) = inventory.resources().next().unwrap().facts() else { panic!() };
        plan.clone()
    }

    #[test]
    fn what_it_holds_is_told_or_not_known() {
        assert_eq!(
            facts(r#"{"name":"P1v3","tier":"PremiumV3","capacity":3}"#, r#"{"numberOfSites":0}"#).holds,
            Some(0)
        );
        assert_eq!(facts(r#"{"name":"P1v3","tier":"PremiumV3","capacity":3}"#, r#"{"numberOfSites":2}"#).capacity, 3);
        assert_eq!(facts("null", "{}").holds, None);
    }

    #[test]
    fn some_tiers_cost_nothing_by_themselves() {
        for free in ["Free", "Shared", "Dynamic", "FlexConsumption"] {
            assert!(facts(&format!(r#"{{"tier":"{free}"}}"#), "{}").free, "{free}");
        }
        assert!(facts(r#"{"name":"Y1"}"#, "{}").free);
        // An environment of one's own, elastic premium and the workflows of logic apps run on machines of the plan.
        for billed in ["Basic", "Standard", "PremiumV3", "IsolatedV2", "ElasticPremium", "WorkflowStandard"] {
            assert!(!facts(&format!(r#"{{"tier":"{billed}"}}"#), "{}").free, "{billed}");
        }
    }
}
