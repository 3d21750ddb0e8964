//! Load balancers of both APIs: application, network and gateway ones by ARN, classic ones by name.

use crate::{
    acts::{self, post},
    asks,
    auth::Aws,
    fault,
    kinds::{at, ec2_security_group::guards, elb_target_group, hourly},
    marks,
    pen::{self, send, sent, unknown},
    usage::{self, Combine, Measure},
};
use async_trait::async_trait;
use aws_sdk_elasticloadbalancing::types::LoadBalancerDescription;
use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, LoadBalancer as Balancer, TargetTypeEnum};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
    facts::{FactsRef, LbKind, LoadBalancer},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::Cost,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.elb-load-balancer",
    cloud: CloudId::Aws,
    class: Class::LoadBalancer,
    title: "load balancer",
    places: Places::Regions,
    reads: &[LIST, TAGS],
    asks: &[usage::OP, LISTENERS, RULES, elb_target_group::LIST],
    refers: &[(Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[ELB_TAG, ELB_UNTAG, ACT_DELETE],
};

const SET: &str = "elasticloadbalancing:AddTags";
const CLEAR: &str = "elasticloadbalancing:RemoveTags";
const DELETE: &str = "elasticloadbalancing:DeleteLoadBalancer";

pub(super) const ELB_TAG: ActSpec = acts::tag(&[post(SET, "AddTags")]);
pub(super) const ELB_UNTAG: ActSpec = acts::untag(&[post(CLEAR, "RemoveTags")]);

const ACT_DELETE: ActSpec = acts::delete(
    &[post(DELETE, "DeleteLoadBalancer")],
    Reversal::OneWay("the load balancer with its listeners and rules: a new one has another name for callers"),
);

// Both APIs go by the same permissions.
const LIST: &str = "elasticloadbalancing:DescribeLoadBalancers";
pub(super) const TAGS: &str = "elasticloadbalancing:DescribeTags";
const LISTENERS: &str = "elasticloadbalancing:DescribeListeners";
const RULES: &str = "elasticloadbalancing:DescribeRules";

/// The most both APIs give a page.
const PAGE: i32 = 400;

/// The most resources `DescribeTags` of both APIs takes.
const TAGGED: usize = 20;

pub(super) struct ElbLoadBalancer(pub(super) Arc<Aws>);

/// The tags of one resource; `None` when it is no longer there.
type Told = Option<Vec<(String, String)>>;

/// Tags by ARN or name.
pub(super) struct Tagged(BTreeMap<String, Told>);

impl Tagged {
    /// The tags to list a resource with: none when it vanished since, unread when the answer left it out.
    pub(super) fn of(&self, id: &str) -> Option<Tags<'_>> {
        match self.0.get(id) {
            Some(Some(tags)) => {
                Some(Tags::Read(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()))
            }
            Some(None) => None,
            None => Some(Tags::Unread),
        }
    }
}

/// The manager that tags tell of; none when they were not read.
pub(super) fn manager(tags: &Tags<'_>) -> String {
    match tags {
        Tags::Read(tags) => marks::managed_by(tags),
        Tags::Unread => String::new(),
    }
}

/// The clusters that own it, by tags that were read, and the groups it is behind.
fn related<'a>(tags: &Tags<'a>, groups: &'a [String]) -> Vec<(Relation, &'a str)> {
    let mut uses = match tags {
        Tags::Read(tags) => marks::clusters(tags),
        Tags::Unread => Vec::new(),
    };
    uses.extend(groups.iter().map(|group| guards(group)));
    uses
}

#[async_trait]
impl Kind for ElbLoadBalancer {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let elb = self.0.elbv2(site.scope());
        let mut balancers: Vec<Balancer> = Vec::new();
        let mut pages = Pages::new(LIST);
        while let Some(marker) = pages.next() {
            let page = fault::call(site, LIST, || {
                elb.describe_load_balancers().page_size(PAGE).set_marker(marker.clone()).send()
            })
            .await?;
            balancers.extend_from_slice(page.load_balancers());
            pages.seen(page.next_marker())?;
        }
        self.push(site, &balancers, out).await?;
        self.classic(site, out).await
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let work = asks.iter().filter(|ask| matches!(ask.question, Question::AnswersItself));
        let mut answers =
            asks::alike(work.map(|ask| (*ask, self.answers_itself(site, inventory, *ask))).collect()).await;
        answers.extend(usage::answer(&self.0, site, inventory, asks, measure).await);
        Ok(answers)
    }

    /// The hours of a month. What it carries is billed on top, and an idle one carries nothing.
    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        let FactsRef::LoadBalancer(balancer) = resource.facts() else { return Cost::unknown() };
        let key = match balancer.kind {
            LbKind::Application => "alb.hour",
            LbKind::Network => "nlb.hour",
            LbKind::Gateway => "gwlb.hour",
            LbKind::Classic => "clb.hour",
            LbKind::Other => return Cost::unknown(),
        };
        hourly(prices, resource.region(), key)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let id = target.native_id.as_str();
        if is_arn(id) {
            let elb = self.0.elbv2(site.scope());
            let page = fault::maybe(site, LIST, || elb.describe_load_balancers().load_balancer_arns(id).send()).await?;
            let own = |balancer: &&Balancer| balancer.load_balancer_arn() == Some(id);
            return match acts::found(LIST, page, |page| page.load_balancers().iter().find(own).cloned())? {
                Some(balancer) => self.push(site, &[balancer], out).await,
                None => Ok(()),
            };
        }
        let elb = self.0.elb(site.scope());
        let page = fault::maybe(site, LIST, || elb.describe_load_balancers().load_balancer_names(id).send()).await?;
        let own = |balancer: &&LoadBalancerDescription| balancer.load_balancer_name() == Some(id);
        match acts::found(LIST, page, |page| page.load_balancer_descriptions().iter().find(own).cloned())? {
            Some(balancer) => self.push_classic(site, &[balancer], out).await,
            None => Ok(()),
        }
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = &pen.target().native_id;
        let deed = pen.permit().deed();
        if is_arn(id) {
            let elb = self.0.writer(&SPEC, pen, std::slice::from_ref(id)).await?.elbv2();
            return match deed {
                Deed::Tag { .. } | Deed::Untag { .. } => tag(&elb, pen).await,
                Deed::Delete => {
                    Ok(sent(&send(pen, DELETE, elb.delete_load_balancer().load_balancer_arn(id).send()).await?, ""))
                }
                _ => Err(unknown(pen)),
            };
        }
        // The name of a classic one can be given again, and its deletion succeeds whether it is there or not.
        acts::same(self, pen).await?;
        let own = pen::arn(pen.target(), "elasticloadbalancing", &format!("loadbalancer/{id}"));
        let elb = self.0.writer(&SPEC, pen, &[own]).await?.elb();
        match deed {
            Deed::Tag { key, value } => {
                let tag = aws_sdk_elasticloadbalancing::types::Tag::builder().key(key).value(value).build();
                let tag = tag.map_err(|error| CloudError::new(Fault::Refused, SET, error.to_string()))?;
                Ok(sent(&send(pen, SET, elb.add_tags().load_balancer_names(id).tags(tag).send()).await?, ""))
            }
            Deed::Untag { key } => {
                let key = aws_sdk_elasticloadbalancing::types::TagKeyOnly::builder().key(key).build();
                Ok(sent(&send(pen, CLEAR, elb.remove_tags().load_balancer_names(id).tags(key).send()).await?, ""))
            }
            Deed::Delete => {
                Ok(sent(&send(pen, DELETE, elb.delete_load_balancer().load_balancer_name(id).send()).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

impl ElbLoadBalancer {
    /// Pushes load balancers with their tags.
    async fn push(&self, site: &Site, balancers: &[Balancer], out: &mut Listing) -> Result<(), CloudError> {
        let arns = balancers.iter().filter_map(Balancer::load_balancer_arn).map(str::to_owned).collect();
        let tagged = tags(&self.0, site, arns).await?;
        for balancer in balancers {
            if let Some(tags) = tagged.of(balancer.load_balancer_arn().unwrap_or_default()) {
                push(balancer, tags, out);
            }
        }
        Ok(())
    }

    /// The same of classic ones.
    async fn push_classic(
        &self,
        site: &Site,
        balancers: &[LoadBalancerDescription],
        out: &mut Listing,
    ) -> Result<(), CloudError> {
        let elb = self.0.elb(site.scope());
        let names = balancers.iter().filter_map(|balancer| balancer.load_balancer_name()).map(str::to_owned).collect();
        let tagged = batched(names, |names| {
            let elb = elb.clone();
            async move {
                let page = fault::maybe(site, TAGS, || {
                    elb.describe_tags().set_load_balancer_names(Some(names.clone())).send()
                })
                .await?;
                Ok(page.map(|page| {
                    let described = page.tag_descriptions().iter();
                    let pairs = described.map(|one| {
                        let tags: Vec<_> = one.tags().iter().map(|tag| pair(Some(tag.key()), tag.value())).collect();
                        (one.load_balancer_name().unwrap_or_default().to_owned(), Some(tags))
                    });
                    pairs.collect()
                }))
            }
        })
        .await?;
        for balancer in balancers {
            if let Some(tags) = tagged.of(balancer.load_balancer_name().unwrap_or_default()) {
                push_classic(balancer, tags, out);
            }
        }
        Ok(())
    }

    async fn classic(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let elb = self.0.elb(site.scope());
        let mut balancers: Vec<LoadBalancerDescription> = Vec::new();
        let mut pages = Pages::new(LIST);
        while let Some(marker) = pages.next() {
            let page = fault::call(site, LIST, || {
                elb.describe_load_balancers().page_size(PAGE).set_marker(marker.clone()).send()
            })
            .await?;
            balancers.extend_from_slice(page.load_balancer_descriptions());
            pages.seen(page.next_marker())?;
        }
        self.push_classic(site, &balancers, out).await
    }

    /// Whether a listener or rule does anything but pass requests on to machines.
    async fn answers_itself(&self, site: &Site, inventory: &Inventory, ask: Ask) -> Result<Answer, CloudError> {
        let balancer = inventory.at(ask.resource);
        let arn = balancer.native_id();
        let FactsRef::LoadBalancer(facts) = balancer.facts() else { return Ok(Answer::Truth(false)) };
        if facts.kind == LbKind::Classic {
            // It knows only how to pass on.
            return Ok(Answer::Truth(false));
        }
        let elb = self.0.elbv2(site.scope());
        let mut listeners = Vec::new();
        let mut pages = Pages::new(LISTENERS);
        while let Some(marker) = pages.next() {
            let page = fault::call(site, LISTENERS, || {
                elb.describe_listeners().load_balancer_arn(arn).page_size(PAGE).set_marker(marker.clone()).send()
            })
            .await?;
            for listener in page.listeners() {
                if !listener.default_actions().iter().all(is_plain) {
                    return Ok(Answer::Truth(true));
                }
                listeners.extend(listener.listener_arn().map(str::to_owned));
            }
            pages.seen(page.next_marker())?;
        }
        // Only application load balancers have rules beyond the default.
        if facts.kind == LbKind::Application {
            for listener in &listeners {
                let mut pages = Pages::new(RULES);
                while let Some(marker) = pages.next() {
                    let page = fault::call(site, RULES, || {
                        elb.describe_rules().listener_arn(listener).page_size(PAGE).set_marker(marker.clone()).send()
                    })
                    .await?;
                    if !page.rules().iter().flat_map(aws_sdk_elasticloadbalancingv2::types::Rule::actions).all(is_plain)
                    {
                        return Ok(Answer::Truth(true));
                    }
                    pages.seen(page.next_marker())?;
                }
            }
        }
        let mut pages = Pages::new(elb_target_group::LIST);
        while let Some(marker) = pages.next() {
            let page = fault::call(site, elb_target_group::LIST, || {
                elb.describe_target_groups().load_balancer_arn(arn).page_size(PAGE).set_marker(marker.clone()).send()
            })
            .await?;
            if page.target_groups().iter().any(|group| is_no_machine(group.target_type())) {
                return Ok(Answer::Truth(true));
            }
            pages.seen(page.next_marker())?;
        }
        Ok(Answer::Truth(false))
    }
}

/// Whether a native id is the ARN of one of the newer load balancers; classic ones go by their names.
fn is_arn(native: &str) -> bool {
    native.starts_with("arn:")
}

/// Sets or takes away a tag of a load balancer or target group by ARN.
pub(super) async fn tag(elb: &aws_sdk_elasticloadbalancingv2::Client, pen: &Pen<'_>) -> Result<Sent, CloudError> {
    let arn = &pen.target().native_id;
    match pen.permit().deed() {
        Deed::Tag { key, value } => {
            let tag = aws_sdk_elasticloadbalancingv2::types::Tag::builder().key(key).value(value).build();
            Ok(sent(&send(pen, SET, elb.add_tags().resource_arns(arn).tags(tag).send()).await?, ""))
        }
        Deed::Untag { key } => {
            Ok(sent(&send(pen, CLEAR, elb.remove_tags().resource_arns(arn).tag_keys(key).send()).await?, ""))
        }
        _ => Err(unknown(pen)),
    }
}

/// Forwards, and nothing else; an action not known yet counts as an answer.
fn is_plain(action: &Action) -> bool {
    action.r#type() == Some(&ActionTypeEnum::Forward)
}

/// Functions and other load balancers answer without any machine registered.
fn is_no_machine(sort: Option<&TargetTypeEnum>) -> bool {
    matches!(sort, Some(TargetTypeEnum::Lambda | TargetTypeEnum::Alb))
}

fn pair(key: Option<&str>, value: Option<&str>) -> (String, String) {
    (key.unwrap_or_default().to_owned(), value.unwrap_or_default().to_owned())
}

/// The tags of load balancers or target groups by ARN.
pub(super) async fn tags(aws: &Aws, site: &Site, arns: Vec<String>) -> Result<Tagged, CloudError> {
    let elb = aws.elbv2(site.scope());
    batched(arns, |arns| {
        let elb = elb.clone();
        async move {
            let page =
                fault::maybe(site, TAGS, || elb.describe_tags().set_resource_arns(Some(arns.clone())).send()).await?;
            Ok(page.map(|page| {
                let described = page.tag_descriptions().iter();
                let pairs = described.map(|one| {
                    let tags: Vec<_> = one.tags().iter().map(|tag| pair(tag.key(), tag.value())).collect();
                    (one.resource_arn().unwrap_or_default().to_owned(), Some(tags))
                });
                pairs.collect()
            }))
        }
    })
    .await
}

/// Asks for the tags of all, a batch a call. One that vanished since it was listed fails its whole batch, so
/// those of that batch are asked one by one.
async fn batched<Read, Reply>(ids: Vec<String>, read: Read) -> Result<Tagged, CloudError>
where
    Read: Fn(Vec<String>) -> Reply,
    Reply: Future<Output = Result<Option<BTreeMap<String, Told>>, CloudError>> + Send,
{
    let batches: Vec<Vec<String>> = ids.chunks(TAGGED).map(<[String]>::to_vec).collect();
    let read_all = batches.iter().map(|batch| read(batch.clone())).collect();
    let mut all = BTreeMap::new();
    let mut alone: Vec<String> = Vec::new();
    for (batch, tags) in batches.into_iter().zip(asks::all(read_all).await?) {
        match tags {
            Some(tags) => all.extend(tags),
            None => alone.extend(batch),
        }
    }
    let read_alone = alone.iter().map(|id| read(vec![id.clone()])).collect();
    for (id, tags) in alone.iter().zip(asks::all(read_alone).await?) {
        all.extend(tags.unwrap_or_else(|| BTreeMap::from([(id.clone(), None)])));
    }
    Ok(Tagged(all))
}

fn measure(resource: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::LbRequests, .. } = question else { return None };
    let FactsRef::LoadBalancer(balancer) = resource.facts() else { return None };
    let native = resource.native_id();
    // Application and classic ones publish no point where there is no request; flows are always published.
    let (namespace, metric, dimension, value, sparse) = match balancer.kind {
        LbKind::Application => ("AWS/ApplicationELB", "RequestCount", "LoadBalancer", dimension(native)?, true),
        LbKind::Network => ("AWS/NetworkELB", "NewFlowCount", "LoadBalancer", dimension(native)?, false),
        LbKind::Gateway => ("AWS/GatewayELB", "NewFlowCount", "LoadBalancer", dimension(native)?, false),
        LbKind::Classic => ("AWS/ELB", "RequestCount", "LoadBalancerName", native, true),
        LbKind::Other => return None,
    };
    Some(Measure {
        series: vec![(namespace, metric, vec![(dimension, value.to_owned())], "Sum")],
        combine: Combine::Sum,
        sparse,
    })
}

/// `app/web/50dc6c495c0c9188` of an ARN: what metrics call a load balancer.
fn dimension(arn: &str) -> Option<&str> {
    arn.split_once(":loadbalancer/").map(|(_, name)| name)
}

fn push(balancer: &Balancer, tags: Tags<'_>, out: &mut Listing) {
    let managed_by = manager(&tags);
    let kind = match balancer.r#type().map(aws_sdk_elasticloadbalancingv2::types::LoadBalancerTypeEnum::as_str) {
        Some("application") => LbKind::Application,
        Some("network") => LbKind::Network,
        Some("gateway") => LbKind::Gateway,
        _ => LbKind::Other,
    };
    let state = balancer.state().and_then(|state| state.code()).map_or("", |code| code.as_str());
    let facts = LoadBalancer { kind, state: out.sym(state), own_targets: None };
    out.push(Draft {
        created: at(balancer.created_time()),
        name: balancer.load_balancer_name().unwrap_or_default(),
        managed_by: &managed_by,
        uses: related(&tags, balancer.security_groups()),
        tags,
        ..Draft::new(balancer.load_balancer_arn().unwrap_or_default(), facts)
    });
}

fn push_classic(balancer: &LoadBalancerDescription, tags: Tags<'_>, out: &mut Listing) {
    let managed_by = manager(&tags);
    let name = balancer.load_balancer_name().unwrap_or_default();
    let created = at(balancer.created_time());
    // A name can be used again; with its time of creation it is one balancer.
    let uid = created.map_or_else(String::new, |at| format!("{name}@{at}"));
    let facts = LoadBalancer {
        kind: LbKind::Classic,
        // The API tells none: what is listed is active.
        state: out.sym("active"),
        own_targets: Some(balancer.instances().len() as u32),
    };
    out.push(Draft {
        uid: &uid,
        name,
        created,
        managed_by: &managed_by,
        uses: related(&tags, balancer.security_groups()),
        tags,
        ..Draft::new(name, facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_call_it_by_the_end_of_its_arn() {
        let arn = "arn:aws:elasticloadbalancing:us-east-1:111111111111:loadbalancer/app/web/50dc6c495c0c9188";
        assert_eq!(dimension(arn), Some("app/web/50dc6c495c0c9188"));
        assert_eq!(dimension("web"), None);
    }

    #[test]
    fn anything_but_a_forward_to_machines_is_an_answer() {
        let action = |sort| Action::builder().r#type(sort).build();
        assert!(is_plain(&action(ActionTypeEnum::Forward)));
        for sort in [ActionTypeEnum::Redirect, ActionTypeEnum::FixedResponse, ActionTypeEnum::from("something-new")] {
            assert!(!is_plain(&action(sort)));
        }
        assert!(is_no_machine(Some(&TargetTypeEnum::Lambda)) && is_no_machine(Some(&TargetTypeEnum::Alb)));
        assert!(!is_no_machine(Some(&TargetTypeEnum::Ip)) && !is_no_machine(None));
    }

    #[test]
    fn a_vanished_balancer_is_left_out_and_one_without_an_answer_is_not() {
        let gone = "gone".to_owned();
        let read = async |ids: Vec<String>| {
            // As the services do: one unknown name fails the whole batch.
            if ids.contains(&gone) {
                return Ok(None);
            }
            let told = ids.into_iter().filter(|id| id != "odd");
            Ok(Some(told.map(|id| (id, Some(vec![("env".to_owned(), "dev".to_owned())]))).collect()))
        };
        let ids = ["web", "gone", "odd"].map(str::to_owned).to_vec();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tagged = runtime.block_on(batched(ids, |ids| Box::pin(read(ids)))).unwrap();
        assert!(matches!(tagged.of("web"), Some(Tags::Read(tags)) if tags == [("env", "dev")]));
        assert!(tagged.of("gone").is_none());
        assert!(matches!(tagged.of("odd"), Some(Tags::Unread)));
    }
}
