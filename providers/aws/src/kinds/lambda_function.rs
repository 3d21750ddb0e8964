//! Lambda functions. Environments are never kept: only whether there is one.

use crate::{
    acts::{self, post},
    asks,
    auth::Aws,
    fault, image_uri,
    kinds::ec2_security_group::guards,
    pen::{send, sent, unknown},
    policy,
    usage::{self, Combine, Measure},
};
use async_trait::async_trait;
use aws_sdk_lambda::{
    Client,
    types::{Architecture, FunctionConfiguration, PackageType, VpcConfigResponse},
};
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question, Usage},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target, Write},
    facts::Function,
    inventory::{Draft, Inventory, Listing, Resource},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation, Timestamp},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.lambda-function",
    cloud: CloudId::Aws,
    class: Class::Function,
    title: "Lambda function",
    places: Places::Regions,
    reads: &[LIST, FUNCTION, VERSIONS, POLICY],
    asks: &[usage::OP, TAGS, PROVISIONED],
    // Layer versions, which are regional, and container images.
    refers: &[(Relation::Referenced, Reach::Account), (Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[acts::tag(&[post(SET, "TagResource")]), acts::untag(CLEARS), ACT_DELETE],
};

const SET: &str = "lambda:TagResource";
const CLEAR: &str = "lambda:UntagResource";
const CLEARS: &[Write] = &[Write { permission: CLEAR, method: "DELETE", action: "UntagResource" }];
pub(super) const DELETE: &str = "lambda:DeleteFunction";
pub(super) const DELETES: &[Write] = &[Write { permission: DELETE, method: "DELETE", action: "DeleteFunction" }];

const ACT_DELETE: ActSpec = acts::delete(
    DELETES,
    Reversal::OneWay("the function with its versions and aliases: its code and configuration are deployed again"),
);

pub(super) const LIST: &str = "lambda:ListFunctions";
pub(super) const FUNCTION: &str = "lambda:GetFunction";
pub(super) const VERSIONS: &str = "lambda:ListVersionsByFunction";
pub(super) const POLICY: &str = "lambda:GetPolicy";
pub(super) const TAGS: &str = "lambda:ListTags";
const PROVISIONED: &str = "lambda:ListProvisionedConcurrencyConfigs";

/// The version that is still changed.
pub(super) const LATEST: &str = "$LATEST";
/// The only region in which functions for the edge are made (CloudFront developer guide, "Restrictions on
/// Lambda@Edge").
const EDGE_HOME: &str = "us-east-1";
/// What the policy of a version at the edge lets in: `lambda:EnableReplication*` adds it (CloudFront
/// developer guide, "Set up IAM permissions and roles for Lambda@Edge").
const REPLICATOR: &str = "replicator.lambda.amazonaws.com";
/// So many versions of a function are looked at for the edge; of one with more it stays unknown.
const EDGE_VERSIONS: usize = 20;

pub(super) struct LambdaFunction(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for LambdaFunction {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let lambda = self.0.lambda(site.scope());
        let functions = functions(&self.0, site, &lambda).await?;
        let work: Vec<_> = functions.iter().map(|function| more(Some(&self.0), site, &lambda, function)).collect();
        let more = asks::all(work).await?;
        for (function, more) in functions.iter().zip(&more) {
            push(function, more, out);
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let lambda = self.0.lambda(site.scope());
        let tags = asks::of(asks, |question| question == Question::Tags);
        let provisioned =
            asks::of(asks, |question| matches!(question, Question::Usage { metric: Metric::FunctionProvisioned, .. }));
        let mut answers = asks::alike(
            tags.into_iter().map(|ask| (ask, tags_of(site, &lambda, inventory.at(ask.resource).uid()))).collect(),
        )
        .await;
        let name = |ask: Ask| inventory.at(ask.resource).native_id();
        answers.extend(
            asks::alike(
                provisioned.into_iter().map(|ask| (ask, warm(site, &lambda, name(ask), ask.question))).collect(),
            )
            .await,
        );
        answers.extend(usage::answer(&self.0, site, inventory, asks, measure).await);
        Ok(answers)
    }

    /// Without calls a function costs nothing. Capacity kept warm does, and is told as evidence.
    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let lambda = self.0.lambda(site.scope());
        if let Some(function) = find(site, &lambda, &target.native_id, None).await? {
            let more = more(None, site, &lambda, &function).await?;
            push(&function, &more, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let (name, arn) = (&pen.target().native_id, &pen.target().uid);
        match pen.permit().deed() {
            Deed::Tag { key, value } => {
                let lambda = self.0.writer(&SPEC, pen, std::slice::from_ref(arn)).await?.lambda();
                Ok(sent(&send(pen, SET, lambda.tag_resource().resource(arn).tags(key, value).send()).await?, ""))
            }
            Deed::Untag { key } => {
                let lambda = self.0.writer(&SPEC, pen, std::slice::from_ref(arn)).await?.lambda();
                Ok(sent(&send(pen, CLEAR, lambda.untag_resource().resource(arn).tag_keys(key).send()).await?, ""))
            }
            Deed::Delete => {
                acts::same(self, pen).await?;
                let lambda = self.0.writer(&SPEC, pen, std::slice::from_ref(arn)).await?.lambda();
                Ok(sent(&send(pen, DELETE, lambda.delete_function().function_name(name).send()).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

fn measure(function: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::FunctionInvocations, .. } = question else { return None };
    let dimensions = vec![("FunctionName", function.native_id().to_owned())];
    Some(Measure {
        series: vec![("AWS/Lambda", "Invocations", dimensions, "Sum")],
        combine: Combine::Sum,
        sparse: true,
    })
}

/// Every function of a scope, as `$LATEST`, listed once for all kinds.
pub(super) async fn functions(
    aws: &Aws,
    site: &Site,
    lambda: &Client,
) -> Result<Arc<Vec<FunctionConfiguration>>, CloudError> {
    aws.once(site, LIST, Box::pin(listed(site, lambda))).await
}

async fn listed(site: &Site, lambda: &Client) -> Result<Vec<FunctionConfiguration>, CloudError> {
    let mut functions = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page =
            fault::call(site, LIST, || lambda.list_functions().max_items(50).set_marker(token.clone()).send()).await?;
        functions.extend(page.functions().iter().cloned().map(without_environment));
        pages.seen(page.next_marker())?;
    }
    Ok(functions)
}

/// A function, or one of its versions.
pub(super) async fn find(
    site: &Site,
    lambda: &Client,
    function: &str,
    qualifier: Option<&str>,
) -> Result<Option<FunctionConfiguration>, CloudError> {
    let answer = fault::maybe(site, FUNCTION, || {
        lambda.get_function().function_name(function).set_qualifier(qualifier.map(str::to_owned)).send()
    })
    .await?;
    let own = |config: &&FunctionConfiguration| {
        config.function_name() == Some(function) && config.version() == Some(qualifier.unwrap_or(LATEST))
    };
    acts::found(FUNCTION, answer, |answer| answer.configuration().filter(own).cloned().map(without_environment))
}

/// Every version of a function, `$LATEST` included, listed once for all kinds where they remember; none when the
/// function is gone by now.
pub(super) async fn versions(
    memory: Option<&Aws>,
    site: &Site,
    lambda: &Client,
    function: &str,
) -> Result<Arc<Vec<FunctionConfiguration>>, CloudError> {
    let list = listed_versions(site, lambda, function);
    match memory {
        Some(aws) => aws.once(site, format!("{VERSIONS} {function}"), Box::pin(list)).await,
        None => list.await.map(Arc::new),
    }
}

async fn listed_versions(
    site: &Site,
    lambda: &Client,
    function: &str,
) -> Result<Vec<FunctionConfiguration>, CloudError> {
    let mut versions = Vec::new();
    let mut pages = Pages::new(VERSIONS);
    while let Some(token) = pages.next() {
        let page = fault::maybe(site, VERSIONS, || {
            lambda.list_versions_by_function().function_name(function).max_items(50).set_marker(token.clone()).send()
        })
        .await?;
        let Some(page) = page else { return Ok(Vec::new()) };
        versions.extend(page.versions().iter().cloned().map(without_environment));
        pages.seen(page.next_marker())?;
    }
    Ok(versions)
}

/// Keeps that there is an environment, and nothing of what is in it.
fn without_environment(mut function: FunctionConfiguration) -> FunctionConfiguration {
    if let Some(environment) = &mut function.environment {
        let any = environment.error.is_some() || environment.variables().is_some_and(|variables| !variables.is_empty());
        environment.variables = None;
        environment.error = None;
        if !any {
            function.environment = None;
        }
    }
    function
}

/// The number of a published version.
pub(super) fn number(version: &FunctionConfiguration) -> Option<u64> {
    version.version().and_then(|version| version.parse().ok())
}

/// The instant of `2026-11-20T13:00:00.000+0000`, as Lambda writes it.
pub(super) fn instant(text: Option<&str>) -> Option<Timestamp> {
    let text = text?;
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{}Z", text.strip_suffix("+0000")?)))
}

/// What it takes more calls to know of a function.
struct More {
    images: Vec<String>,
    edge: Edge,
}

/// Whether something runs at the edge, or why that is not known.
pub(super) enum Edge {
    Yes,
    No,
    /// There is too much to look through.
    Unknown,
    Hidden(String),
}

impl Edge {
    /// As a fact of the listing, which is told what was hidden from it.
    pub(super) fn fact(&self, out: &mut Listing) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::Unknown => None,
            Self::Hidden(cause) => {
                out.hides(cause);
                None
            }
        }
    }
}

async fn more(
    memory: Option<&Aws>,
    site: &Site,
    lambda: &Client,
    function: &FunctionConfiguration,
) -> Result<More, CloudError> {
    let images = images(site, lambda, function).await?;
    Ok(More { images, edge: edge(memory, site, lambda, function).await? })
}

/// The names of the container image of a function or version, if it is made of one.
pub(super) async fn images(
    site: &Site,
    lambda: &Client,
    function: &FunctionConfiguration,
) -> Result<Vec<String>, CloudError> {
    if function.package_type() != Some(&PackageType::Image) {
        return Ok(Vec::new());
    }
    let name = function.function_name().unwrap_or_default();
    let qualifier = function.version().filter(|version| *version != LATEST);
    let answer = fault::maybe(site, FUNCTION, || {
        lambda.get_function().function_name(name).set_qualifier(qualifier.map(str::to_owned)).send()
    })
    .await?;
    let Some(code) = answer.as_ref().and_then(|answer| answer.code()) else { return Ok(Vec::new()) };
    let uris = code.image_uri().into_iter().chain(code.resolved_image_uri());
    Ok(uris.flat_map(image_uri::names).collect())
}

/// Whether a function runs at the edge. Only functions of one region can, only by a published version, and
/// only by one whose policy lets the replicator in.
async fn edge(
    memory: Option<&Aws>,
    site: &Site,
    lambda: &Client,
    function: &FunctionConfiguration,
) -> Result<Edge, CloudError> {
    if is_replica(function) {
        return Ok(Edge::Yes);
    }
    if site.scope().region != EDGE_HOME {
        return Ok(Edge::No);
    }
    let all = versions(memory, site, lambda, function.function_name().unwrap_or_default()).await?;
    let mut versions: Vec<&FunctionConfiguration> =
        all.iter().filter(|version| number(version).is_some() && fit_for_edge(version)).collect();
    versions.sort_by_key(|version| Reverse(number(version)));
    for version in versions.iter().take(EDGE_VERSIONS) {
        match version_edge(memory, site, lambda, version).await? {
            Edge::No => {}
            known_or_not => return Ok(known_or_not),
        }
    }
    Ok(if versions.len() <= EDGE_VERSIONS { Edge::No } else { Edge::Unknown })
}

/// Whether a published version runs at the edge.
pub(super) async fn version_edge(
    memory: Option<&Aws>,
    site: &Site,
    lambda: &Client,
    version: &FunctionConfiguration,
) -> Result<Edge, CloudError> {
    if is_replica(version) {
        return Ok(Edge::Yes);
    }
    if site.scope().region != EDGE_HOME || !fit_for_edge(version) {
        return Ok(Edge::No);
    }
    let function = version.function_name().unwrap_or_default();
    let qualifier = version.version().unwrap_or_default();
    let replicated = async {
        let answer =
            fault::maybe(site, POLICY, || lambda.get_policy().function_name(function).qualifier(qualifier).send())
                .await?;
        let Some(answer) = answer else { return Ok(false) };
        policy::allows_service(answer.policy().unwrap_or_default(), REPLICATOR)
            .ok_or_else(|| CloudError::new(Fault::Malformed, POLICY, "the policy is not JSON"))
    };
    let replicated = match memory {
        Some(aws) => {
            aws.once(site, format!("{POLICY} {function}:{qualifier}"), Box::pin(replicated)).await.map(|told| *told)
        }
        None => replicated.await,
    };
    match replicated {
        Ok(replicated) => Ok(if replicated { Edge::Yes } else { Edge::No }),
        Err(error) if matches!(error.fault, Fault::Denied | Fault::Malformed) => Ok(Edge::Hidden(error.cause())),
        Err(error) => Err(error),
    }
}

fn is_replica(function: &FunctionConfiguration) -> bool {
    function.master_arn().is_some() || function.function_name().is_some_and(|name| name.starts_with("us-east-1."))
}

/// Whether a version could run at the edge at all (CloudFront developer guide, "Restrictions on
/// Lambda@Edge"). The configuration of a published version never changes, so "no" is for ever.
fn fit_for_edge(version: &FunctionConfiguration) -> bool {
    let runtime = version.runtime().map_or("", |runtime| runtime.as_str());
    let in_vpc = version.vpc_config().and_then(|vpc| vpc.vpc_id()).is_some_and(|vpc| !vpc.is_empty());
    version.package_type() != Some(&PackageType::Image)
        && (runtime.starts_with("nodejs") || runtime.starts_with("python"))
        && version.environment().is_none()
        && version.layers().is_empty()
        && !version.architectures().contains(&Architecture::Arm64)
        && !in_vpc
}

fn push(function: &FunctionConfiguration, more: &More, out: &mut Listing) {
    let facts = Function {
        runtime: out.sym(function.runtime().map_or("", |runtime| runtime.as_str())),
        last_modified: instant(function.last_modified()),
        code_bytes: u64::try_from(function.code_size()).ok(),
        edge: more.edge.fact(out),
        kept_warm: None,
        machinery: false,
    };
    out.push(Draft {
        uid: function.function_arn().unwrap_or_default(),
        uses: uses(function, &more.images),
        ..Draft::new(function.function_name().unwrap_or_default(), facts)
    });
}

/// What a function or version is made of.
pub(super) fn uses<'a>(function: &'a FunctionConfiguration, images: &'a [String]) -> Vec<(Relation, &'a str)> {
    let layers = function.layers().iter().filter_map(|layer| layer.arn());
    // Its interfaces are taken away while nobody calls it, and come back with the next call.
    let groups = function.vpc_config().map(VpcConfigResponse::security_group_ids).unwrap_or_default();
    layers
        .chain(images.iter().map(String::as_str))
        .map(|used| (Relation::Referenced, used))
        .chain(groups.iter().map(|group| guards(group)))
        .collect()
}

pub(super) async fn tags_of(site: &Site, lambda: &Client, arn: &str) -> Result<Answer, CloudError> {
    let answer = fault::call(site, TAGS, || lambda.list_tags().resource(arn).send()).await?;
    let tags: BTreeMap<String, String> = answer.tags.unwrap_or_default().into_iter().collect();
    Ok(Answer::Tags(tags.into_iter().collect()))
}

/// The capacity kept warm now, over all aliases and versions. It is not measured by day: without any,
/// nothing is covered.
async fn warm(site: &Site, lambda: &Client, function: &str, question: Question) -> Result<Answer, CloudError> {
    let mut allocated = 0_u32;
    let mut pages = Pages::new(PROVISIONED);
    while let Some(token) = pages.next() {
        let page = fault::call(site, PROVISIONED, || {
            lambda
                .list_provisioned_concurrency_configs()
                .function_name(function)
                .max_items(50)
                .set_marker(token.clone())
                .send()
        })
        .await?;
        for config in page.provisioned_concurrency_configs() {
            let requested = config.requested_provisioned_concurrent_executions().unwrap_or(0);
            allocated = allocated.saturating_add(requested.unsigned_abs());
        }
        pages.seen(page.next_marker())?;
    }
    let days = if let Question::Usage { days, .. } = question { days } else { 0 };
    let kept = f64::from(allocated);
    let covered = if allocated > 0 { days } else { 0 };
    Ok(Answer::Usage(Usage { max: kept, sum: kept, covered, days, last_above_zero: None }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_lambda::types::{EnvironmentResponse, Layer, Runtime};

    fn version() -> aws_sdk_lambda::types::builders::FunctionConfigurationBuilder {
        FunctionConfiguration::builder().function_name("web").version("3").runtime(Runtime::Nodejs20x)
    }

    #[test]
    fn instants_are_read_as_lambda_writes_them() {
        assert_eq!(instant(Some("2026-11-20T13:00:00.000+0000")), Timestamp::parse("2026-11-20T13:00:00Z"));
        assert_eq!(instant(Some("2026-11-20T13:00:00Z")), Timestamp::parse("2026-11-20T13:00:00Z"));
        assert_eq!(instant(Some("yesterday")), None);
        assert_eq!(instant(None), None);
    }

    #[test]
    fn nothing_of_an_environment_is_kept() {
        let environment = EnvironmentResponse::builder().variables("PASSWORD", "canary-4711").build();
        let kept = without_environment(version().environment(environment).build());
        assert!(kept.environment().is_some());
        assert!(!format!("{kept:?}").contains("canary"));
        let none = without_environment(version().environment(EnvironmentResponse::builder().build()).build());
        assert!(none.environment().is_none());
    }

    #[test]
    fn the_edge_takes_only_simple_versions() {
        assert!(fit_for_edge(&version().build()));
        assert!(fit_for_edge(&version().vpc_config(VpcConfigResponse::builder().vpc_id("").build()).build()));
        for unfit in [
            version().runtime(Runtime::Java21),
            version().runtime(Runtime::from("rust2027")),
            version().package_type(PackageType::Image),
            version().environment(EnvironmentResponse::builder().build()),
            version().layers(Layer::builder().arn("arn").build()),
            version().architectures(Architecture::Arm64),
            version().vpc_config(VpcConfigResponse::builder().vpc_id("vpc-1").build()),
        ] {
            assert!(!fit_for_edge(&unfit.build()));
        }
        assert!(is_replica(&version().master_arn("arn:aws:lambda:us-east-1:1:function:web:3").build()));
    }

    #[test]
    fn a_function_uses_its_layers_and_its_image() {
        let function = version().layers(Layer::builder().arn("arn:layer:1").build()).build();
        let images = ["web:1".to_owned()];
        assert_eq!(uses(&function, &images), [(Relation::Referenced, "arn:layer:1"), (Relation::Referenced, "web:1")]);
    }
}
