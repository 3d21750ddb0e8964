//! Elastic IP addresses.

use crate::{
    acts::{self, EC2_TAG, EC2_UNTAG, post},
    auth::Aws,
    fault,
    kinds::{ec2_tags, hourly},
    marks,
    pen::{self, send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_ec2::types;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
    facts::{Address, FactsRef},
    inventory::{Draft, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-address",
    cloud: CloudId::Aws,
    class: Class::Address,
    title: "Elastic IP address",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[EC2_TAG, EC2_UNTAG, ACT_DELETE],
};

const ACT_DELETE: ActSpec =
    acts::delete(&[post(DELETE, "ReleaseAddress")], Reversal::OneWay("the address: AWS lends it to somebody else"));

const DELETE: &str = "ec2:ReleaseAddress";
const LIST: &str = "ec2:DescribeAddresses";

/// The pool of addresses that Amazon owns; any other is the customer's.
const AMAZON: &str = "amazon";

pub(super) struct Ec2Address(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2Address {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        // One answer holds all: the operation has no pages.
        let all = fault::call(site, LIST, || ec2.describe_addresses().send()).await?;
        for address in all.addresses() {
            push(address, out);
        }
        Ok(())
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(address) = self.find(site, &target.native_id).await? {
            push(&address, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = &pen.target().native_id;
        let own = [pen::arn(pen.target(), "ec2", &format!("elastic-ip/{id}"))];
        let writer = self.0.writer(&SPEC, pen, &own).await?;
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => acts::ec2_tag(&writer, pen).await,
            Deed::Delete => {
                let change = writer.ec2().release_address().allocation_id(id).send();
                Ok(sent(&send(pen, DELETE, change).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

impl Ec2Address {
    async fn find(&self, site: &Site, id: &str) -> Result<Option<types::Address>, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let page = fault::maybe(site, LIST, || ec2.describe_addresses().allocation_ids(id).send()).await?;
        acts::found(LIST, page, |page| {
            page.addresses().iter().find(|address| address.allocation_id() == Some(id)).cloned()
        })
    }
}

/// The list price of a month, whether in use or not. Also what a stopped machine's addresses go on costing.
pub(super) fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    match resource.facts() {
        FactsRef::Address(address) if address.own_pool => Cost::list(Amount::ZERO),
        FactsRef::Address(_) => hourly(prices, resource.region(), "ipv4.hour"),
        _ => Cost::unknown(),
    }
}

/// The address of the same account and region with this public IP, if it was listed.
pub(super) fn by_ip<'a>(near: Resource<'a>, ip: &str) -> Option<Resource<'a>> {
    let inventory = near.inventory();
    let ip = inventory.find(ip)?;
    inventory.of_class(Class::Address).find(|there| {
        there.scope() == near.scope() && matches!(there.facts(), FactsRef::Address(address) if address.ip == ip)
    })
}

fn push(address: &types::Address, out: &mut Listing) {
    let tags = ec2_tags(address.tags());
    let managed_by = marks::managed_by(&tags);
    let ip = address.public_ip().unwrap_or_default();
    let facts = Address {
        associated: associated(address),
        ip: out.sym(ip),
        service_managed: address.service_managed().is_some(),
        own_pool: own_pool(address),
        internal: false,
    };
    // EC2-Classic addresses have no allocation and were released by their IP.
    let native = address.allocation_id().unwrap_or(ip);
    out.push(Draft {
        name: marks::name(&tags),
        uses: marks::clusters(&tags),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        also: if native == ip { Vec::new() } else { vec![ip] },
        ..Draft::new(native, facts)
    });
}

fn associated(address: &types::Address) -> bool {
    [address.association_id(), address.instance_id(), address.network_interface_id()]
        .into_iter()
        .flatten()
        .any(|id| !id.is_empty())
}

/// Brought by the customer, to AWS or to an Outpost: not billed.
fn own_pool(address: &types::Address) -> bool {
    address.public_ipv4_pool().is_some_and(|pool| !pool.is_empty() && pool != AMAZON)
        || address.customer_owned_ip().is_some_and(|ip| !ip.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn associations_and_pools() {
        let address = types::Address::builder().public_ip("203.0.113.1").public_ipv4_pool(AMAZON);
        assert!(!associated(&address.clone().instance_id("").build()), "EC2 leaves empty strings behind");
        assert!(associated(&address.clone().instance_id("i-1").build()));
        assert!(associated(&address.clone().network_interface_id("eni-1").build()));
        assert!(!own_pool(&address.clone().build()));
        assert!(own_pool(&address.public_ipv4_pool("ipv4pool-ec2-1").build()));
    }
}
