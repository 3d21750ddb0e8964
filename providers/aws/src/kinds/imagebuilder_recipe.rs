//! Image Builder recipes: the image each build starts from.

use crate::{auth::Aws, fault};
use async_trait::async_trait;
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.imagebuilder-recipe",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "Image Builder recipe",
    places: Places::Regions,
    reads: &[LIST, RECIPE],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "imagebuilder:ListImageRecipes";
const RECIPE: &str = "imagebuilder:GetImageRecipe";

pub(super) struct ImagebuilderRecipe(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for ImagebuilderRecipe {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let builder = self.0.imagebuilder(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                builder.list_image_recipes().max_results(25).set_next_token(token.clone()).send()
            })
            .await?;
            for summary in page.image_recipe_summary_list() {
                let arn = summary.arn().unwrap_or_default();
                // The list names the parent, but not the snapshots of the recipe's own disks.
                let recipe =
                    fault::maybe(site, RECIPE, || builder.get_image_recipe().image_recipe_arn(arn).send()).await?;
                let Some(recipe) = recipe.as_ref().and_then(|answer| answer.image_recipe()) else { continue };
                let mut uses = Vec::new();
                uses.extend(recipe.parent_image().map(|image| (Relation::UsedByTemplate, image)));
                for device in recipe.block_device_mappings() {
                    let snapshot = device.ebs().and_then(|disk| disk.snapshot_id());
                    uses.extend(snapshot.map(|snapshot| (Relation::UsedByTemplate, snapshot)));
                }
                out.push(Draft { uses, ..Draft::new(arn, Referrer {}) });
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}
