//! Event sources of Lambda functions: a queue or stream may call a version by its number.

use crate::{auth::Aws, fault, kinds::at};
use async_trait::async_trait;
use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.lambda-event-source",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "Lambda event source",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[(Relation::Aliased, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "lambda:ListEventSourceMappings";

pub(super) struct LambdaEventSource(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for LambdaEventSource {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let lambda = self.0.lambda(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                lambda.list_event_source_mappings().max_items(100).set_marker(token.clone()).send()
            })
            .await?;
            for mapping in page.event_source_mappings() {
                push(mapping, out);
            }
            pages.seen(page.next_marker())?;
        }
        Ok(())
    }
}

fn push(mapping: &EventSourceMappingConfiguration, out: &mut Listing) {
    let target = mapping.function_arn().and_then(qualified);
    out.push(Draft {
        created: at(mapping.last_modified()),
        uses: target.iter().map(|target| (Relation::Aliased, target.as_str())).collect(),
        ..Draft::new(mapping.uuid().unwrap_or_default(), Referrer {})
    });
}

/// `function:qualifier` of an ARN that has a qualifier (a version or an alias).
fn qualified(arn: &str) -> Option<String> {
    let mut parts = arn.split(':').skip(6);
    let function = parts.next()?;
    parts.next().map(|qualifier| format!("{function}:{qualifier}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_qualifier_names_a_version() {
        let arn = "arn:aws:lambda:us-east-1:111111111111:function:web";
        assert_eq!(qualified(&format!("{arn}:7")).as_deref(), Some("web:7"));
        assert_eq!(qualified(arn), None);
        assert_eq!(qualified(""), None);
    }
}
