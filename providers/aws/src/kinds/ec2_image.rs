//! AMIs.

use crate::{
    acts::{self, EC2_TAG, EC2_UNTAG, post},
    asks,
    auth::Aws,
    fault,
    kinds::ec2_tags,
    marks,
    pen::{self, send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{self, ImageAttributeName, LaunchPermission, PermissionGroup};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, DeedKind, Kept, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, Image, ImageState},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices, deleted},
    model::{Class, CloudId, Reach, Relation, Timestamp},
    money::Cost,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-image",
    cloud: CloudId::Aws,
    class: Class::Image,
    title: "AMI",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[ATTRIBUTE],
    refers: &[(Relation::UsedByImage, Reach::Region)],
    needs: &[],
    out_of_sight: &[(Relation::UsedByVm, "launches by people or tools that name the image directly")],
    advised: "",
    report_only: "",
    acts: &[EC2_TAG, EC2_UNTAG, ACT_DELETE, ACT_RESTORE],
};

const ACT_DELETE: ActSpec = ActSpec {
    takes: &[Class::Snapshot],
    ..acts::delete(
        &[
            post(DELETE, "DeregisterImage"),
            // Needed besides, by the same request: its snapshots go along, but for those of other images.
            post("ec2:DeleteSnapshot", "DeregisterImage"),
        ],
        Reversal::FromBin("it and its snapshots are restored from the Recycle Bin, where retention rules cover them"),
    )
};

const ACT_RESTORE: ActSpec = ActSpec {
    deed: DeedKind::Restore,
    writes: &[post(RESTORE, "RestoreImageFromRecycleBin")],
    reads: &[],
    reversal: Reversal::Undo("it is deregistered again"),
    keeps: &[],
    takes: &[],
};

const DELETE: &str = "ec2:DeregisterImage";
const RESTORE: &str = "ec2:RestoreImageFromRecycleBin";
const LIST: &str = "ec2:DescribeImages";
const ATTRIBUTE: &str = "ec2:DescribeImageAttribute";

pub(super) struct Ec2Image(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2Image {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let now = site.clock().wall();
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            // Disabled images hold their snapshots like any other, so they must be seen.
            let page = fault::call(site, LIST, || {
                ec2.describe_images()
                    .owners("self")
                    .include_disabled(true)
                    .include_deprecated(true)
                    .max_results(1000)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
            for image in page.images() {
                if image.owner_id() == Some(site.scope().account.as_str()) {
                    push(image, now, out);
                }
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let work = asks.iter().filter(|ask| attribute(ask.question).is_some());
        Ok(asks::alike(work.map(|ask| (*ask, self.attribute(site, inventory, *ask))).collect()).await)
    }

    /// What its snapshots cost at most: an image costs nothing of its own. Images kept in S3 have none, and
    /// what their files cost is not known here.
    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        let FactsRef::Image(image) = resource.facts() else { return Cost::unknown() };
        match prices.unit(CloudId::Aws, resource.region(), "ebs.snapshot.gb-month") {
            Some(gb) if image.size_gib > 0 => Cost::upper_bound(gb.times(i64::from(image.size_gib))),
            _ => Cost::unknown(),
        }
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(image) = self.find(site, &target.native_id).await? {
            push(&image, site.clock().wall(), out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = &pen.target().native_id;
        let own = pen::ownerless(pen.target(), &format!("image/{id}"));
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => {
                acts::ec2_tag(&self.0.writer(&SPEC, pen, &[own]).await?, pen).await
            }
            Deed::Delete => {
                let on = [own, pen::ownerless(pen.target(), "snapshot/*")];
                let ec2 = self.0.writer(&SPEC, pen, &on).await?.ec2();
                let change = ec2.deregister_image().image_id(id).delete_associated_snapshots(true).send();
                Ok(sent(&send(pen, DELETE, change).await?, ""))
            }
            Deed::Restore { .. } => {
                let ec2 = self.0.writer(&SPEC, pen, &[own]).await?.ec2();
                let change = ec2.restore_image_from_recycle_bin().image_id(id).send();
                Ok(sent(&send(pen, RESTORE, change).await?, id))
            }
            _ => Err(unknown(pen)),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, _: &Sent) -> Result<Progress, CloudError> {
        match permit.deed() {
            Deed::Delete => deleted(self, site, permit.target()).await,
            // What comes out of the bin is the same image.
            Deed::Restore { kept } => {
                let native_id = permit.target().native_id.clone();
                let there = self.find(site, &native_id).await?;
                Ok(there.map_or(Progress::Running, |_| {
                    Progress::Done(Some(Kept { kind: SPEC.id.to_owned(), native_id, ..kept.clone() }))
                }))
            }
            _ => Ok(Progress::Done(None)),
        }
    }
}

impl Ec2Image {
    async fn find(&self, site: &Site, id: &str) -> Result<Option<types::Image>, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let page = fault::maybe(site, LIST, || {
            ec2.describe_images().image_ids(id).include_disabled(true).include_deprecated(true).send()
        })
        .await?;
        let own = |image: &&types::Image| {
            image.image_id() == Some(id) && image.owner_id() == Some(site.scope().account.as_str())
        };
        acts::found(LIST, page, |page| page.images().iter().find(own).cloned())
    }

    async fn attribute(&self, site: &Site, inventory: &Inventory, ask: Ask) -> Result<Answer, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let id = inventory.at(ask.resource).native_id();
        let told = fault::call(site, ATTRIBUTE, || {
            ec2.describe_image_attribute().image_id(id).set_attribute(attribute(ask.question)).send()
        })
        .await?;
        match ask.question {
            Question::LastUsed => match told.last_launched_time().and_then(|time| time.value()) {
                None | Some("") => Ok(Answer::When(None)),
                Some(text) => match Timestamp::parse(text) {
                    Some(at) => Ok(Answer::When(Some(at))),
                    None => Err(CloudError::new(Fault::Malformed, ATTRIBUTE, "lastLaunchedTime is not a time")),
                },
            },
            _ => Ok(Answer::Shares(accounts(told.launch_permissions()))),
        }
    }
}

/// The attribute that answers a question.
fn attribute(question: Question) -> Option<ImageAttributeName> {
    match question {
        Question::Shares => Some(ImageAttributeName::LaunchPermission),
        Question::LastUsed => Some(ImageAttributeName::LastLaunchedTime),
        _ => None,
    }
}

/// Account ids, `all`, or the ARN of an organisation or organisational unit: as an account that nobody
/// surveys, it keeps absence from being concluded.
fn accounts(permissions: &[LaunchPermission]) -> Vec<String> {
    permissions
        .iter()
        .flat_map(|permission| {
            [
                permission.group().map(PermissionGroup::as_str),
                permission.user_id(),
                permission.organization_arn(),
                permission.organizational_unit_arn(),
            ]
        })
        .flatten()
        .map(str::to_owned)
        .collect()
}

fn push(image: &types::Image, now: Timestamp, out: &mut Listing) {
    let tags = ec2_tags(image.tags());
    let managed_by = marks::managed_by(&tags);
    let devices = || image.block_device_mappings().iter().filter_map(|device| device.ebs());
    let kept = || devices().filter(|device| device.snapshot_id().is_some_and(|id| !id.is_empty()));
    let facts = Image {
        state: match image.state() {
            Some(types::ImageState::Available) => ImageState::Available,
            Some(types::ImageState::Disabled) => ImageState::Disabled,
            _ => ImageState::Other,
        },
        size_gib: kept().filter_map(types::EbsBlockDevice::volume_size).map(i32::unsigned_abs).sum(),
        deprecated: image.deprecation_time().and_then(Timestamp::parse).is_some_and(|at| at <= now),
        // AWS has no families: names are looked up by templates and parameters, which are searched.
        newest: false,
        public: image.public() == Some(true),
    };
    let built = tags.iter().find(|(key, _)| *key == BUILT).map_or_else(Vec::new, |(_, arn)| builds(arn));
    out.push(Draft {
        also: built.iter().map(String::as_str).collect(),
        created: image.creation_date().and_then(Timestamp::parse),
        name: image.name().unwrap_or_default(),
        managed_by: &managed_by,
        protected: if undeletable(image) { "deregistration protection" } else { "" },
        tags: Tags::Read(tags),
        uses: kept().filter_map(|device| device.snapshot_id()).map(|id| (Relation::UsedByImage, id)).collect(),
        ..Draft::new(image.image_id().unwrap_or_default(), facts)
    });
}

/// The tag in which Image Builder writes the ARN of the build an image came from.
const BUILT: &str = "Ec2ImageBuilderArn";

/// The ways a recipe may name a build as its parent: the build itself (`…:image/base/1.2.3/4`), its version,
/// or the newest of a range of versions (`1.2.x`, `1.x.x`, `x.x.x`).
fn builds(arn: &str) -> Vec<String> {
    let Some((version, _)) = arn.rsplit_once('/') else { return Vec::new() };
    let Some((name, numbers)) = version.rsplit_once('/') else { return Vec::new() };
    let parts: Vec<&str> = numbers.split('.').collect();
    let [major, minor, _] = parts[..] else { return vec![arn.to_owned(), version.to_owned()] };
    vec![
        arn.to_owned(),
        version.to_owned(),
        format!("{name}/{major}.{minor}.x"),
        format!("{name}/{major}.x.x"),
        format!("{name}/x.x.x"),
    ]
}

/// `disabled`, `enabled-with-cooldown`, `enabled-without-cooldown`; during a cool-down it still holds, and
/// a word not known yet counts as protection.
fn undeletable(image: &types::Image) -> bool {
    image.deregistration_protection().is_some_and(|word| !word.is_empty() && word != "disabled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_launch_it_shares_it() {
        let permissions = [
            LaunchPermission::builder().user_id("222222222222").build(),
            LaunchPermission::builder().group(PermissionGroup::All).build(),
            LaunchPermission::builder().organization_arn("arn:aws:organizations::1:organization/o-1").build(),
        ];
        assert_eq!(accounts(&permissions), ["222222222222", "all", "arn:aws:organizations::1:organization/o-1"]);
    }

    #[test]
    fn a_recipe_may_name_the_build_by_any_of_its_versions() {
        assert_eq!(
            builds("arn:aws:imagebuilder:us-east-1:1:image/base/1.2.3/4"),
            [
                "arn:aws:imagebuilder:us-east-1:1:image/base/1.2.3/4",
                "arn:aws:imagebuilder:us-east-1:1:image/base/1.2.3",
                "arn:aws:imagebuilder:us-east-1:1:image/base/1.2.x",
                "arn:aws:imagebuilder:us-east-1:1:image/base/1.x.x",
                "arn:aws:imagebuilder:us-east-1:1:image/base/x.x.x",
            ]
        );
        assert!(builds("odd").is_empty());
    }

    #[test]
    fn unknown_protection_counts() {
        let image = |word: &str| types::Image::builder().deregistration_protection(word).build();
        assert!(!undeletable(&image("disabled")));
        assert!(!undeletable(&types::Image::builder().build()));
        assert!(undeletable(&image("enabled-with-cooldown")));
        assert!(undeletable(&image("something-new")));
    }
}
