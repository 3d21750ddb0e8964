//! SSM parameters of data type `aws:ec2:image`: images that launches resolve by name.

use crate::{auth::Aws, fault};
use async_trait::async_trait;
use aws_sdk_ssm::{
    error::SdkError,
    types::{ParameterStringFilter, ParameterType},
};
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ssm-image-parameter",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "SSM image parameter",
    places: Places::Regions,
    reads: &[LIST, VALUES],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "ssm:DescribeParameters";
const VALUES: &str = "ssm:GetParameters";

/// What a parameter of this data type holds: an image id, never a secret. No other parameter is read.
const DATA_TYPE: &str = "aws:ec2:image";

pub(super) struct SsmImageParameter(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for SsmImageParameter {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ssm = self.0.ssm(site.scope());
        let mut names = Vec::new();
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                let filter =
                    ParameterStringFilter::builder().key("DataType").option("Equals").values(DATA_TYPE).build();
                let request = ssm.describe_parameters().max_results(50).set_next_token(token.clone());
                async move {
                    match filter {
                        Ok(filter) => request.parameter_filters(filter).send().await,
                        Err(error) => Err(SdkError::construction_failure(error)),
                    }
                }
            })
            .await?;
            for parameter in page.parameters() {
                // The filter is the service's; this check is ours, so that nothing else is ever read.
                let plain = parameter.r#type().is_some_and(|sort| *sort == ParameterType::String);
                if plain && parameter.data_type() == Some(DATA_TYPE) {
                    names.extend(parameter.name().map(ToOwned::to_owned));
                }
            }
            pages.seen(page.next_token())?;
        }
        for batch in names.chunks(10) {
            let answer =
                fault::call(site, VALUES, || ssm.get_parameters().set_names(Some(batch.to_vec())).send()).await?;
            for parameter in answer.parameters() {
                if parameter.data_type() != Some(DATA_TYPE) {
                    continue;
                }
                let uses = parameter.value().map(|image| (Relation::UsedByTemplate, image)).into_iter().collect();
                out.push(Draft { uses, ..Draft::new(parameter.name().unwrap_or_default(), Referrer {}) });
            }
        }
        Ok(())
    }
}
