//! Aliases of Lambda functions: each leads to a version, and may share out to a second.

use crate::{
    asks,
    auth::Aws,
    fault,
    kinds::lambda_function::{LIST, functions},
};
use async_trait::async_trait;
use aws_sdk_lambda::{Client, types::AliasConfiguration};
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.lambda-alias",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "Lambda alias",
    places: Places::Regions,
    reads: &[ALIASES, LIST],
    asks: &[],
    refers: &[(Relation::Aliased, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const ALIASES: &str = "lambda:ListAliases";

pub(super) struct LambdaAlias(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for LambdaAlias {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let lambda = self.0.lambda(site.scope());
        let functions = functions(&self.0, site, &lambda).await?;
        let names: Vec<&str> = functions.iter().filter_map(|function| function.function_name()).collect();
        let work: Vec<_> = names.iter().map(|name| aliases(site, &lambda, name)).collect();
        let found = asks::all(work).await?;
        for (name, aliases) in names.iter().zip(&found) {
            for alias in aliases {
                push(name, alias, out);
            }
        }
        Ok(())
    }
}

/// The aliases of a function; none when it is gone by now.
async fn aliases(site: &Site, lambda: &Client, function: &str) -> Result<Vec<AliasConfiguration>, CloudError> {
    let mut aliases = Vec::new();
    let mut pages = Pages::new(ALIASES);
    while let Some(token) = pages.next() {
        let page = fault::maybe(site, ALIASES, || {
            lambda.list_aliases().function_name(function).max_items(50).set_marker(token.clone()).send()
        })
        .await?;
        let Some(page) = page else { return Ok(Vec::new()) };
        aliases.extend(page.aliases().iter().cloned());
        pages.seen(page.next_marker())?;
    }
    Ok(aliases)
}

fn push(function: &str, alias: &AliasConfiguration, out: &mut Listing) {
    let targets = targets(function, alias);
    let name = alias.name().unwrap_or_default();
    out.push(Draft {
        uses: targets.iter().map(|target| (Relation::Aliased, target.as_str())).collect(),
        ..Draft::new(alias.alias_arn().unwrap_or(name), Referrer {})
    });
}

/// Every version an alias leads to, those with a small weight too.
fn targets(function: &str, alias: &AliasConfiguration) -> BTreeSet<String> {
    let weights = alias.routing_config().and_then(|routing| routing.additional_version_weights());
    let weighted = weights.into_iter().flat_map(|weights| weights.keys().map(String::as_str));
    alias.function_version().into_iter().chain(weighted).map(|version| format!("{function}:{version}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_lambda::types::AliasRoutingConfiguration;

    #[test]
    fn a_weighted_version_is_aliased_too() {
        let routing = AliasRoutingConfiguration::builder().additional_version_weights("2", 0.1).build();
        let alias = AliasConfiguration::builder().function_version("5").routing_config(routing).build();
        assert_eq!(targets("web", &alias).into_iter().collect::<Vec<_>>(), ["web:2", "web:5"]);
    }
}
