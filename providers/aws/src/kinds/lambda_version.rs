//! Published versions of Lambda functions; `$LATEST` is the function itself.

use crate::{
    acts, asks,
    auth::Aws,
    kinds::lambda_function::{
        self, DELETE, DELETES, Edge, FUNCTION, LIST, POLICY, TAGS, VERSIONS, functions, images, instant, number,
        tags_of, uses, version_edge, versions,
    },
    pen::{send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_lambda::{Client, types::FunctionConfiguration};
use futures_util::stream::{self, StreamExt as _};
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::Site,
    deed::{Deed, Pen, Reversal, Sent, Target},
    facts::FunctionVersion,
    inventory::{Draft, Inventory, Listing, Resource},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.lambda-version",
    cloud: CloudId::Aws,
    class: Class::FunctionVersion,
    title: "Lambda function version",
    places: Places::Regions,
    reads: &[VERSIONS, LIST, FUNCTION, POLICY],
    asks: &[TAGS],
    // Layer versions, which are regional, and container images.
    refers: &[(Relation::Referenced, Reach::Account), (Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[(Relation::Aliased, "CloudFront, API Gateway, policies and people that name a function version")],
    advised: "",
    report_only: "",
    acts: &[acts::delete(DELETES, Reversal::OneWay("the code of this version, whose number is never given again"))],
};

pub(super) struct LambdaVersion(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for LambdaVersion {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let lambda = self.0.lambda(site.scope());
        let functions = functions(&self.0, site, &lambda).await?;
        let work: Vec<_> = functions
            .iter()
            .map(|function| published(Some(&self.0), site, &lambda, function.function_name().unwrap_or_default()))
            .collect();
        let mut results = stream::iter(work).buffered(asks::AT_ONCE);
        while let Some(versions) = results.next().await {
            push(&versions?, out);
        }
        Ok(())
    }

    /// A version has no tags of its own: whose it is and whether it is protected is said by its function.
    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let lambda = self.0.lambda(site.scope());
        let mut functions: BTreeMap<&str, Vec<Ask>> = BTreeMap::new();
        for ask in asks::of(asks, |question| question == Question::Tags) {
            functions.entry(function_arn(inventory.at(ask.resource).uid())).or_default().push(ask);
        }
        let work = functions.iter().map(|(function, asks)| (asks[0], tags_of(site, &lambda, function))).collect();
        let tags: BTreeMap<Ask, Answer> = asks::alike(work).await.into_iter().collect();
        let dealt = functions.values().flat_map(|asks| asks.iter().map(|ask| (*ask, asks[0])));
        Ok(dealt.filter_map(|(ask, asked)| Some((ask, tags.get(&asked)?.clone()))).collect())
    }

    /// Code that is not run costs nothing; it counts against a quota.
    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let lambda = self.0.lambda(site.scope());
        let Some((function, number)) = parts(&target.native_id) else {
            return Err(CloudError::new(Fault::Malformed, FUNCTION, "no version number"));
        };
        if let Some(config) = lambda_function::find(site, &lambda, function, Some(&number.to_string())).await? {
            let version = more(None, site, &lambda, config, number).await?;
            push(&[version], out);
        }
        Ok(())
    }

    /// The service itself refuses a version that an alias names.
    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        if *pen.permit().deed() != Deed::Delete {
            return Err(unknown(pen));
        }
        let target = pen.target();
        // Without a number the whole function would go.
        let Some((function, number)) = parts(&target.native_id) else {
            return Err(CloudError::new(Fault::Refused, DELETE, "no version number"));
        };
        acts::same(self, pen).await?;
        let lambda = self.0.writer(&SPEC, pen, std::slice::from_ref(&target.uid)).await?.lambda();
        let change = lambda.delete_function().function_name(function).qualifier(number.to_string()).send();
        Ok(sent(&send(pen, DELETE, change).await?, ""))
    }
}

/// The ARN of the function of a version's ARN.
fn function_arn(version: &str) -> &str {
    version.rsplit_once(':').map_or(version, |(function, _)| function)
}

struct Version {
    config: FunctionConfiguration,
    number: u64,
    edge: Edge,
    images: Vec<String>,
}

/// The published versions of a function, the newest first.
async fn published(
    memory: Option<&Aws>,
    site: &Site,
    lambda: &Client,
    function: &str,
) -> Result<Vec<Version>, CloudError> {
    let mut published = Vec::new();
    for config in versions(memory, site, lambda, function).await?.iter() {
        let Some(number) = number(config) else { continue };
        published.push(more(memory, site, lambda, config.clone(), number).await?);
    }
    published.sort_by_key(|version| Reverse(version.number));
    Ok(published)
}

async fn more(
    memory: Option<&Aws>,
    site: &Site,
    lambda: &Client,
    config: FunctionConfiguration,
    number: u64,
) -> Result<Version, CloudError> {
    let edge = version_edge(memory, site, lambda, &config).await?;
    let images = images(site, lambda, &config).await?;
    Ok(Version { config, number, edge, images })
}

/// The function and the number of a version's native id.
fn parts(native: &str) -> Option<(&str, u64)> {
    let (function, number) = native.rsplit_once(':')?;
    Some((function, number.parse().ok()?))
}

fn push(versions: &[Version], out: &mut Listing) {
    for (rank, version) in (1..).zip(versions) {
        let config = &version.config;
        let function = config.function_name().unwrap_or_default();
        // The configuration of a published version never changes again.
        let published = instant(config.last_modified());
        let facts = FunctionVersion {
            function: out.sym(function),
            version: version.number,
            last_modified: published,
            code_bytes: u64::try_from(config.code_size()).ok(),
            rank,
            edge: version.edge.fact(out),
        };
        out.push(Draft {
            uid: config.function_arn().unwrap_or_default(),
            created: published,
            uses: uses(config, &version.images),
            ..Draft::new(&format!("{function}:{}", version.number), facts)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_a_version() {
        assert_eq!(parts("web:3"), Some(("web", 3)));
        for none in ["web", "web:", "web:$LATEST", "web:live"] {
            assert_eq!(parts(none), None, "{none}");
        }
    }
}
