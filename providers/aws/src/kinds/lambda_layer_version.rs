//! Versions of Lambda layers.

use crate::{asks, auth::Aws, fault, kinds::lambda_function::instant};
use async_trait::async_trait;
use aws_sdk_lambda::{
    Client,
    types::{LayerVersionsListItem, LayersListItem},
};
use std::{cmp::Reverse, sync::Arc};
use sweeper_core::{
    calls::{Pages, Site},
    facts::{Artifact, Media},
    inventory::{Draft, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.lambda-layer-version",
    cloud: CloudId::Aws,
    class: Class::Artifact,
    title: "Lambda layer version",
    places: Places::Regions,
    reads: &[LIST, LAYERS],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[(Relation::Referenced, "templates, and functions of other accounts, that name a layer version")],
    advised: "",
    report_only: "",
    acts: &[],
};

const LAYERS: &str = "lambda:ListLayers";
const LIST: &str = "lambda:ListLayerVersions";

pub(super) struct LambdaLayerVersion(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for LambdaLayerVersion {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let lambda = self.0.lambda(site.scope());
        let mut layers = Vec::new();
        let mut pages = Pages::new(LAYERS);
        while let Some(token) = pages.next() {
            let page =
                fault::call(site, LAYERS, || lambda.list_layers().max_items(50).set_marker(token.clone()).send())
                    .await?;
            layers.extend(page.layers().iter().cloned());
            pages.seen(page.next_marker())?;
        }
        let work: Vec<_> = layers.iter().map(|layer| versions(site, &lambda, layer)).collect();
        let found = asks::all(work).await?;
        for (layer, versions) in layers.iter().zip(&found) {
            push(layer.layer_name().unwrap_or_default(), versions, out);
        }
        Ok(())
    }

    /// Layers cost nothing; they count against a quota.
    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }
}

/// The versions of a layer, the newest first.
async fn versions(
    site: &Site,
    lambda: &Client,
    layer: &LayersListItem,
) -> Result<Vec<LayerVersionsListItem>, CloudError> {
    let name = layer.layer_name().unwrap_or_default();
    let mut versions = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::maybe(site, LIST, || {
            lambda.list_layer_versions().layer_name(name).max_items(50).set_marker(token.clone()).send()
        })
        .await?;
        let Some(page) = page else { return Ok(Vec::new()) };
        versions.extend(page.layer_versions().iter().cloned());
        pages.seen(page.next_marker())?;
    }
    versions.sort_by_key(|version| Reverse(version.version()));
    Ok(versions)
}

fn push(layer: &str, versions: &[LayerVersionsListItem], out: &mut Listing) {
    let container = out.sym(layer);
    for (rank, version) in (1..).zip(versions) {
        let pushed = instant(version.created_date());
        let facts = Artifact {
            tagged: true,
            // The listing does not say.
            size_bytes: None,
            pushed,
            last_pulled: None,
            pull_recorded: false,
            media: Media::Other,
            container,
            rank,
            package: true,
            users_listed: true,
        };
        out.push(Draft {
            name: &format!("{layer}:{}", version.version()),
            created: pushed,
            // Layers carry no tags.
            tags: Tags::Read(Vec::new()),
            ..Draft::new(version.layer_version_arn().unwrap_or_default(), facts)
        });
    }
}
