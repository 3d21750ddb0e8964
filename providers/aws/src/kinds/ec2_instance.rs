//! EC2 instances.

use crate::{
    acts::{self, EC2_TAG, EC2_UNTAG, post},
    auth::Aws,
    fault,
    kinds::{at, ec2_address, ec2_tags, ec2_volume},
    marks,
    pen::{self, send, sent, unknown},
    usage::{self, Combine, Measure},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{Instance, InstanceLifecycleType, InstanceStateName};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, Vm, VmState},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices, deleted},
    model::{Class, CloudId, Reach, Relation, Timestamp},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-instance",
    cloud: CloudId::Aws,
    class: Class::Vm,
    title: "EC2 instance",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[usage::OP],
    // Images, volumes, interfaces and addresses of an instance are of its own region.
    refers: &[(Relation::UsedByVm, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[EC2_TAG, EC2_UNTAG, ACT_STOP, ACT_START, ACT_DELETE],
};

const ACT_STOP: ActSpec = ActSpec {
    deed: DeedKind::Stop,
    writes: &[post(STOP, "StopInstances")],
    reads: &[],
    reversal: Reversal::Undo("it is started again; a public address that was lent to it is another one then"),
    keeps: &[],
    takes: &[],
};

const ACT_START: ActSpec = ActSpec {
    deed: DeedKind::Start,
    writes: &[post(START, "StartInstances")],
    reads: &[],
    reversal: Reversal::Undo("it is stopped again"),
    keeps: &[],
    takes: &[],
};

const ACT_DELETE: ActSpec = ActSpec {
    takes: &[Class::Disk, Class::Interface],
    ..acts::delete(
        &[post(DELETE, "TerminateInstances")],
        Reversal::OneWay("the machine, and the volumes and interfaces that were attached to go with it"),
    )
};

const STOP: &str = "ec2:StopInstances";
const START: &str = "ec2:StartInstances";
const DELETE: &str = "ec2:TerminateInstances";
const LIST: &str = "ec2:DescribeInstances";

pub(super) struct Ec2Instance(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2Instance {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_instances()
                    .include_managed_resources(true)
                    .max_results(1000)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
            for instance in page.reservations().iter().flat_map(aws_sdk_ec2::types::Reservation::instances) {
                push(instance, out);
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }
    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(instance) = self.find(site, &target.native_id).await? {
            push(&instance, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = &pen.target().native_id;
        let own = [pen::arn(pen.target(), "ec2", &format!("instance/{id}"))];
        let writer = self.0.writer(&SPEC, pen, &own).await?;
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => acts::ec2_tag(&writer, pen).await,
            // Never forced, and never against its protection: the machine shuts down as it would by itself.
            Deed::Stop => Ok(sent(&send(pen, STOP, writer.ec2().stop_instances().instance_ids(id).send()).await?, "")),
            Deed::Start => {
                Ok(sent(&send(pen, START, writer.ec2().start_instances().instance_ids(id).send()).await?, ""))
            }
            Deed::Delete => {
                Ok(sent(&send(pen, DELETE, writer.ec2().terminate_instances().instance_ids(id).send()).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, _: &Sent) -> Result<Progress, CloudError> {
        let wanted = match permit.deed() {
            Deed::Delete => return deleted(self, site, permit.target()).await,
            Deed::Stop => InstanceStateName::Stopped,
            Deed::Start => InstanceStateName::Running,
            _ => return Ok(Progress::Done(None)),
        };
        let instance = self.find(site, &permit.target().native_id).await?;
        Ok(match instance.as_ref().and_then(|instance| instance.state()?.name()) {
            Some(state) if *state == wanted => Progress::Done(None),
            None | Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown) => {
                Progress::Failed("the machine is gone".to_owned())
            }
            Some(_) => Progress::Running,
        })
    }
}

impl Ec2Instance {
    async fn find(&self, site: &Site, id: &str) -> Result<Option<Instance>, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let page = fault::maybe(site, LIST, || {
            ec2.describe_instances().include_managed_resources(true).instance_ids(id).send()
        })
        .await?;
        let own = |page: &aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput| {
            let mut instances = page.reservations().iter().flat_map(aws_sdk_ec2::types::Reservation::instances);
            instances.find(|instance| instance.instance_id() == Some(id)).cloned()
        };
        acts::found(LIST, page, own)
    }
}

/// A stopped instance costs what its volumes and addresses cost. For a running one no sourced price is at hand.
fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    let FactsRef::Vm(vm) = resource.facts() else { return Cost::unknown() };
    if vm.state != VmState::Stopped {
        return Cost::unknown();
    }
    let mut month = Amount::ZERO;
    for (_, used) in resource.uses().filter(|(relation, _)| *relation == Relation::UsedByVm) {
        let cost = if used.starts_with("vol-") {
            named(resource, used).map(|volume| ec2_volume::month(volume, prices))
        } else if is_address(used) {
            ec2_address::by_ip(resource, used).map(|address| ec2_address::month(address, prices))
        } else {
            continue;
        };
        match cost.and_then(|cost| cost.amount) {
            Some(amount) => month += amount,
            None => return Cost::unknown(),
        }
    }
    Cost::list(month)
}

/// A volume by its id, if it was listed.
fn named<'a>(near: Resource<'a>, id: &str) -> Option<Resource<'a>> {
    let inventory = near.inventory();
    let found = inventory.exists(near, Class::Disk, inventory.find(id)?, Reach::Region, |_| true).ok()?;
    found.users.first().map(|ix| inventory.at(*ix))
}

/// Whether what an instance uses is a public address rather than an id with a prefix.
fn is_address(used: &str) -> bool {
    used.parse::<std::net::Ipv4Addr>().is_ok()
}

fn measure(resource: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric, .. } = question else { return None };
    let series = |name, stat| ("AWS/EC2", name, vec![("InstanceId", resource.native_id().to_owned())], stat);
    match metric {
        Metric::VmCpuMax => {
            Some(Measure { series: vec![series("CPUUtilization", "Maximum")], combine: Combine::Max, sparse: false })
        }
        Metric::VmNetwork => Some(Measure {
            series: vec![series("NetworkIn", "Sum"), series("NetworkOut", "Sum")],
            combine: Combine::Sum,
            sparse: false,
        }),
        _ => None,
    }
}

fn push(instance: &Instance, out: &mut Listing) {
    let state = match instance.state().and_then(|state| state.name()) {
        // Kept in the listing for an hour after its end; it uses nothing any more.
        Some(InstanceStateName::Terminated) => return,
        Some(InstanceStateName::Running) => VmState::Running,
        Some(InstanceStateName::Stopped) => VmState::Stopped,
        _ => VmState::Other,
    };
    let tags = ec2_tags(instance.tags());
    let managed_by = marks::manager(&tags, instance.operator());
    let facts = Vm {
        state,
        vm_type: out.sym(instance.instance_type().map_or("", |vm_type| vm_type.as_str())),
        image: out.sym(instance.image_id().unwrap_or_default()),
        // Only what the cloud says of its last transition; a machine that was never stopped has no such record.
        in_state_since: instance.state_transition_reason().and_then(transition),
        spot: instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot),
        still_billed: false,
    };
    let mut uses = uses(instance);
    uses.extend(marks::clusters(&tags));
    out.push(Draft {
        created: created(instance),
        name: marks::name(&tags),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        uses,
        ..Draft::new(instance.instance_id().unwrap_or_default(), facts)
    });
}

/// The image, the volumes, the interfaces, and the addresses that stay with it when it stops.
fn uses(instance: &Instance) -> Vec<(Relation, &str)> {
    let volumes = instance.block_device_mappings().iter().filter_map(|device| device.ebs()?.volume_id());
    let interfaces = instance.network_interfaces();
    let addresses = interfaces.iter().filter_map(|interface| {
        let association = interface.association()?;
        // `amazon` owns the address that a start lends and a stop takes back.
        if association.ip_owner_id() == Some("amazon") { None } else { association.public_ip() }
    });
    instance
        .image_id()
        .into_iter()
        .chain(volumes)
        .chain(interfaces.iter().filter_map(|interface| interface.network_interface_id()))
        .chain(addresses)
        .map(|id| (Relation::UsedByVm, id))
        .collect()
}

/// `LaunchTime` moves with every start; the primary interface is attached once, when the instance is made.
fn created(instance: &Instance) -> Option<Timestamp> {
    let primary = instance
        .network_interfaces()
        .iter()
        .filter_map(|interface| interface.attachment())
        .filter(|attachment| attachment.device_index() == Some(0))
        .filter_map(|attachment| at(attachment.attach_time()));
    at(instance.launch_time()).into_iter().chain(primary).min()
}

/// The time in `User initiated (2026-10-01 10:00:00 GMT)`; there is none for some transitions.
fn transition(reason: &str) -> Option<Timestamp> {
    let (_, rest) = reason.rsplit_once('(')?;
    let (day, time) = rest.strip_suffix(" GMT)")?.split_once(' ')?;
    Timestamp::parse(&format!("{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{
        InstanceNetworkInterface, InstanceNetworkInterfaceAssociation, InstanceNetworkInterfaceAttachment,
    };

    #[test]
    fn the_reason_of_a_stop_holds_its_time() {
        let at = Timestamp::parse("2026-10-01T10:00:00Z");
        assert!(at.is_some());
        assert_eq!(transition("User initiated (2026-10-01 10:00:00 GMT)"), at);
        assert_eq!(
            transition("Server.ScheduledStop: Stopped due to scheduled retirement (2026-10-01 10:00:00 GMT)"),
            at
        );
        for reason in ["", "User initiated", "User initiated (2026-13-01 10:00:00 GMT)", "(", "( GMT)"] {
            assert_eq!(transition(reason), None, "{reason}");
        }
    }

    #[test]
    fn only_own_addresses_stay_and_the_primary_interface_tells_the_age() {
        let interface = |owner: &str, ip: &str, attached: i64| {
            InstanceNetworkInterface::builder()
                .network_interface_id("eni-1")
                .association(InstanceNetworkInterfaceAssociation::builder().ip_owner_id(owner).public_ip(ip).build())
                .attachment(
                    InstanceNetworkInterfaceAttachment::builder()
                        .device_index(0)
                        .attach_time(aws_smithy_types::DateTime::from_secs(attached))
                        .build(),
                )
                .build()
        };
        let instance = Instance::builder()
            .image_id("ami-1")
            .launch_time(aws_smithy_types::DateTime::from_secs(100))
            .network_interfaces(interface("amazon", "203.0.113.1", 50))
            .network_interfaces(interface("111111111111", "203.0.113.2", 60))
            .build();
        let used: Vec<&str> = uses(&instance).into_iter().map(|(_, id)| id).collect();
        assert_eq!(used, ["ami-1", "eni-1", "eni-1", "203.0.113.2"]);
        assert_eq!(created(&instance), Some(Timestamp(50)));
        assert!(is_address("203.0.113.2") && !is_address("ami-1"));
    }

    #[test]
    fn a_stopped_instance_costs_its_volumes_and_addresses() {
        use crate::kinds::tests::Book;
        use sweeper_core::{
            facts::{Address, Disk, DiskState},
            intern::Sym,
            inventory::InventoryBuilder,
            model::Scope,
        };
        let scope = Scope::new(CloudId::Aws, "111111111111", "us-east-1");
        let vm = |state| Vm {
            state,
            vm_type: Sym::NONE,
            image: Sym::NONE,
            in_state_since: None,
            spot: false,
            still_billed: false,
        };
        let priced = |state, with_volume: bool| {
            let mut builder = InventoryBuilder::new(&[&SPEC, &ec2_volume::SPEC, &ec2_address::SPEC]);
            let mut volumes = builder.listing(&ec2_volume::SPEC, &scope);
            let disk = Disk {
                state: DiskState::Attached,
                size_gib: 100,
                tier: volumes.sym("gp3"),
                iops: Some(3000),
                throughput: Some(125),
                source_snapshot: Sym::NONE,
                attachments: 1,
                last_attached: None,
            };
            if with_volume {
                volumes.push(Draft::new("vol-1", disk));
            }
            builder.complete(volumes, 1);
            let mut addresses = builder.listing(&ec2_address::SPEC, &scope);
            let ip = addresses.sym("203.0.113.2");
            let address = Address { associated: true, ip, service_managed: false, own_pool: false, internal: false };
            addresses.push(Draft::new("eipalloc-1", address));
            builder.complete(addresses, 1);
            let mut instances = builder.listing(&SPEC, &scope);
            let uses = ["ami-1", "vol-1", "eni-1", "203.0.113.2"].map(|id| (Relation::UsedByVm, id)).to_vec();
            instances.push(Draft { uses, ..Draft::new("i-1", vm(state)) });
            builder.complete(instances, 1);
            let inventory = builder.build();
            let instance = inventory.of_class(Class::Vm).next().unwrap();
            month(instance, &Book(&[("ebs.gp3.gb-month", "0.08"), ("ipv4.hour", "0.005")]))
        };
        // 100 GB at 0.08, and 730 hours at 0.005.
        assert_eq!(priced(VmState::Stopped, true), Cost::list(Amount::parse("11.65").unwrap()));
        assert_eq!(priced(VmState::Stopped, false), Cost::unknown(), "what was not seen has no price");
        assert_eq!(priced(VmState::Running, true), Cost::unknown());
    }
}
