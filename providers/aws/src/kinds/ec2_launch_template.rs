//! Launch templates, all versions: each may be launched again.

use crate::{
    asks,
    auth::Aws,
    fault,
    kinds::{at, ec2_security_group::guards, ec2_tags},
    marks,
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{LaunchTemplate, LaunchTemplateVersion};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-launch-template",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "launch template",
    places: Places::Regions,
    reads: &[LIST, VERSIONS],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Region), (Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "listed only because it may use images, snapshots and security groups",
    acts: &[],
};

const LIST: &str = "ec2:DescribeLaunchTemplates";
const VERSIONS: &str = "ec2:DescribeLaunchTemplateVersions";

/// The most both operations give a page (EC2 API reference).
const PAGE: i32 = 200;

pub(super) struct Ec2LaunchTemplate(pub(super) Arc<Aws>);

/// What is kept of a template's versions. User data never gets here.
#[derive(Default)]
struct Versions {
    name: String,
    seen: BTreeSet<i64>,
    uses: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Versions {
    fn take(&mut self, version: &LaunchTemplateVersion) {
        version.launch_template_name().unwrap_or_default().clone_into(&mut self.name);
        self.seen.extend(version.version_number());
        self.uses.extend(uses(version).map(str::to_owned));
        self.groups.extend(groups(version).map(str::to_owned));
    }

    /// Whether every version there ever was has been seen.
    fn whole(&self, latest: i64) -> bool {
        (1..=latest).all(|number| self.seen.contains(&number))
    }
}

/// Image ids (or `resolve:ssm:` names) and snapshot ids.
fn uses(version: &LaunchTemplateVersion) -> impl Iterator<Item = &str> {
    version.launch_template_data().into_iter().flat_map(|data| {
        let snapshots = data.block_device_mappings().iter().filter_map(|device| device.ebs()?.snapshot_id());
        data.image_id().into_iter().chain(snapshots)
    })
}

/// Security groups by id, or by name in the default network.
fn groups(version: &LaunchTemplateVersion) -> impl Iterator<Item = &str> {
    version
        .launch_template_data()
        .into_iter()
        .flat_map(|data| {
            let interfaces = data
                .network_interfaces()
                .iter()
                .flat_map(aws_sdk_ec2::types::LaunchTemplateInstanceNetworkInterfaceSpecification::groups);
            data.security_group_ids().iter().chain(data.security_groups()).chain(interfaces)
        })
        .map(String::as_str)
}

#[async_trait]
impl Kind for Ec2LaunchTemplate {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut templates: Vec<LaunchTemplate> = Vec::new();
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_launch_templates()
                    .include_managed_resources(true)
                    .max_results(PAGE)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
            templates.extend_from_slice(page.launch_templates());
            pages.seen(page.next_token())?;
        }
        // The account's latest and default versions in one listing: it also shows templates that the first
        // does not, and is all there is to read of those with no version between.
        let mut versions: BTreeMap<String, Versions> = BTreeMap::new();
        self.versions(site, None, &mut versions).await?;
        let between: Vec<&str> = templates
            .iter()
            .filter(|template| {
                let known = template.launch_template_id().and_then(|id| versions.get(id));
                !known.is_some_and(|known| known.whole(template.latest_version_number().unwrap_or(i64::MAX)))
            })
            .filter_map(LaunchTemplate::launch_template_id)
            .collect();
        let work: Vec<_> = between
            .into_iter()
            .map(|id| async move {
                let mut versions = BTreeMap::new();
                self.versions(site, Some(id), &mut versions).await?;
                Ok(versions)
            })
            .collect();
        for (id, more) in asks::all(work).await?.into_iter().flatten() {
            let known = versions.entry(id).or_default();
            known.uses.extend(more.uses);
            known.groups.extend(more.groups);
        }
        for template in &templates {
            push(template, versions.remove(template.launch_template_id().unwrap_or_default()), out);
        }
        for (id, versions) in versions {
            out.push(Draft { name: &versions.name, uses: related(&versions), ..Draft::new(&id, Referrer {}) });
        }
        Ok(())
    }
}

impl Ec2LaunchTemplate {
    /// All versions of a template, or the latest and default of every one. A template that vanished since
    /// it was listed has none.
    async fn versions(
        &self,
        site: &Site,
        template: Option<&str>,
        into: &mut BTreeMap<String, Versions>,
    ) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let which = template.is_none().then(|| vec!["$Latest".to_owned(), "$Default".to_owned()]);
        let mut pages = Pages::new(VERSIONS);
        while let Some(token) = pages.next() {
            let page = fault::maybe(site, VERSIONS, || {
                ec2.describe_launch_template_versions()
                    .include_managed_resources(true)
                    .set_launch_template_id(template.map(str::to_owned))
                    .set_versions(which.clone())
                    .max_results(PAGE)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
            let Some(page) = page else { return Ok(()) };
            for version in page.launch_template_versions() {
                if let Some(id) = version.launch_template_id() {
                    into.entry(id.to_owned()).or_default().take(version);
                }
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}

fn related(versions: &Versions) -> Vec<(Relation, &str)> {
    let uses = versions.uses.iter().map(|used| (Relation::UsedByTemplate, used.as_str()));
    uses.chain(versions.groups.iter().map(|group| guards(group))).collect()
}

fn push(template: &LaunchTemplate, versions: Option<Versions>, out: &mut Listing) {
    let tags = ec2_tags(template.tags());
    let managed_by = marks::manager(&tags, template.operator());
    out.push(Draft {
        created: at(template.create_time()),
        name: template.launch_template_name().unwrap_or_default(),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        uses: versions.as_ref().map(related).unwrap_or_default(),
        ..Draft::new(template.launch_template_id().unwrap_or_default(), Referrer {})
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{
        LaunchTemplateBlockDeviceMapping, LaunchTemplateEbsBlockDevice, ResponseLaunchTemplateData,
    };

    fn version(number: i64, image: &str, snapshot: &str) -> LaunchTemplateVersion {
        let device = LaunchTemplateEbsBlockDevice::builder().snapshot_id(snapshot).build();
        let data = ResponseLaunchTemplateData::builder()
            .image_id(image)
            .user_data("c2VjcmV0")
            .security_group_ids("sg-1")
            .block_device_mappings(LaunchTemplateBlockDeviceMapping::builder().ebs(device).build())
            .build();
        LaunchTemplateVersion::builder().version_number(number).launch_template_data(data).build()
    }

    #[test]
    fn every_version_counts() {
        let mut versions = Versions::default();
        versions.take(&version(1, "ami-1", "snap-1"));
        versions.take(&version(3, "resolve:ssm:/golden", "snap-1"));
        let used: Vec<&str> = related(&versions).into_iter().map(|(_, used)| used).collect();
        assert_eq!(used, ["ami-1", "resolve:ssm:/golden", "snap-1", "sg-1"]);
        assert!(versions.whole(1));
        assert!(!versions.whole(3), "version 2 may name another image");
        assert!(!versions.whole(i64::MAX), "a template that does not tell its latest version");
    }
}
