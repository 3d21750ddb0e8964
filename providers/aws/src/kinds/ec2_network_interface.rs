//! Elastic network interfaces.

use crate::{
    acts::{self, EC2_TAG, EC2_UNTAG, post},
    auth::Aws,
    fault,
    kinds::{ec2_security_group::guards, ec2_tags},
    marks,
    pen::{self, send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceStatus};
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
    facts::Interface,
    inventory::{Draft, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-network-interface",
    cloud: CloudId::Aws,
    class: Class::Interface,
    title: "network interface",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    // An address with an interface carries the association itself. A group is on the interfaces that name it.
    refers: &[(Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[EC2_TAG, EC2_UNTAG, ACT_DELETE],
};

const ACT_DELETE: ActSpec = acts::delete(
    &[post(DELETE, "DeleteNetworkInterface")],
    Reversal::OneWay("the interface with its private addresses"),
);

const DELETE: &str = "ec2:DeleteNetworkInterface";
const LIST: &str = "ec2:DescribeNetworkInterfaces";

/// Interface types that a user makes; every other belongs to a service.
const USERS: &[&str] = &["interface", "efa", "efa-only"];

/// How services begin the descriptions of interfaces of type `interface` that they make.
/// Sources: the EC2 page on requester-managed interfaces, the Lambda, EFS and ELB user guides.
const SERVICES: &[&str] = &[
    "AWS Lambda VPC ENI",
    "Amazon EKS ",
    "DAX ",
    "EFS mount target for ",
    "ELB ",
    "ElastiCache ",
    "Interface for NAT Gateway ",
    "Network Interface for Transit Gateway Attachment ",
    "RDSNetworkInterface",
    "VPC Endpoint Interface ",
    "arn:aws:ecs:",
];

pub(super) struct Ec2NetworkInterface(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2NetworkInterface {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_network_interfaces()
                    .include_managed_resources(true)
                    .max_results(1000)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
            for interface in page.network_interfaces() {
                push(interface, out);
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    /// Interfaces are free; they are in the way of deleting what they belong to.
    fn price(&self, _resource: Resource<'_>, _prices: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(interface) = self.find(site, &target.native_id).await? {
            push(&interface, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = &pen.target().native_id;
        let own = [pen::arn(pen.target(), "ec2", &format!("network-interface/{id}"))];
        let writer = self.0.writer(&SPEC, pen, &own).await?;
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => acts::ec2_tag(&writer, pen).await,
            Deed::Delete => {
                let change = writer.ec2().delete_network_interface().network_interface_id(id).send();
                Ok(sent(&send(pen, DELETE, change).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

impl Ec2NetworkInterface {
    async fn find(&self, site: &Site, id: &str) -> Result<Option<NetworkInterface>, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let page = fault::maybe(site, LIST, || {
            ec2.describe_network_interfaces().include_managed_resources(true).network_interface_ids(id).send()
        })
        .await?;
        acts::found(LIST, page, |page| {
            page.network_interfaces().iter().find(|interface| interface.network_interface_id() == Some(id)).cloned()
        })
    }
}

fn push(interface: &NetworkInterface, out: &mut Listing) {
    let tags = ec2_tags(interface.tag_set());
    let managed_by = marks::manager(&tags, interface.operator());
    let facts = Interface {
        attached: attached(interface),
        state: out.sym(interface.status().map_or("", |status| status.as_str())),
        requester: out.sym(requester(interface)),
        machinery: machinery(interface),
        description: out.sym(interface.description().unwrap_or_default()),
    };
    let mut uses = marks::clusters(&tags);
    uses.extend(interface.groups().iter().filter_map(|group| group.group_id()).map(guards));
    out.push(Draft {
        name: marks::name(&tags),
        uses,
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        ..Draft::new(interface.network_interface_id().unwrap_or_default(), facts)
    });
}

/// Anything but plainly available counts as attached: attaching, associated, a state not known yet.
fn attached(interface: &NetworkInterface) -> bool {
    interface.attachment().is_some() || interface.status() != Some(&NetworkInterfaceStatus::Available)
}

fn managed(interface: &NetworkInterface) -> bool {
    interface.requester_managed() == Some(true)
        || interface.operator().is_some_and(|operator| operator.managed() == Some(true))
}

/// The service that made it. EC2 names a requester also where the user's own role made it: not one.
fn requester(interface: &NetworkInterface) -> &str {
    if managed(interface) { interface.requester_id().unwrap_or_default() } else { "" }
}

fn machinery(interface: &NetworkInterface) -> bool {
    let description = interface.description().unwrap_or_default();
    managed(interface)
        || interface.interface_type().is_some_and(|sort| !USERS.contains(&sort.as_str()))
        || SERVICES.iter().any(|prefix| description.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::NetworkInterfaceType;

    #[test]
    fn what_services_made_is_machinery() {
        let interface = || NetworkInterface::builder().interface_type(NetworkInterfaceType::Interface);
        assert!(!machinery(&interface().requester_id("AROAEXAMPLE:me").requester_managed(false).build()));
        assert_eq!(requester(&interface().requester_id("AROAEXAMPLE:me").build()), "");
        assert!(machinery(&interface().requester_managed(true).build()));
        assert!(machinery(&interface().description("ELB app/web/50dc6c495c0c9188").build()));
        assert!(machinery(&interface().interface_type(NetworkInterfaceType::from("something_new")).build()));
        assert!(!machinery(&interface().interface_type(NetworkInterfaceType::Efa).build()));
    }

    #[test]
    fn only_available_is_unattached() {
        let interface = |status| NetworkInterface::builder().status(status).build();
        assert!(!attached(&interface(NetworkInterfaceStatus::Available)));
        assert!(attached(&interface(NetworkInterfaceStatus::Attaching)));
        assert!(attached(&NetworkInterface::builder().build()));
    }
}
