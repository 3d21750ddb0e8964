//! Log buckets of Cloud Logging. Each project has two that come with it; more are made by hand.

use crate::{auth::Gcp, fault, paths};
use async_trait::async_trait;
use google_cloud_logging_v2::model::{self, LifecycleState};
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::LogGroup,
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.log-bucket",
    cloud: CloudId::Gcp,
    class: Class::LogGroup,
    title: "log bucket",
    places: Places::Account,
    reads: &[LIST],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a log bucket contains other things",
    acts: &[],
};

const LIST: &str = "logging.buckets.list";

/// Buckets that every project has and nobody can delete; the retention of the first cannot even be changed
/// ("Route log entries", Cloud Logging).
const OWN: [&str; 2] = ["_Required", "_Default"];
/// Days where a bucket says none ("Route log entries", Cloud Logging).
const DEFAULT_DAYS: u32 = 30;

pub(super) struct LogBucket(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for LogBucket {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let client = self.0.logging(LIST).await?;
        let parent = format!("projects/{}/locations/-", site.scope().account);
        let mut any = false;
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                client
                    .list_buckets()
                    .set_parent(&parent)
                    .set_page_size(500)
                    .set_page_token(token.clone().unwrap_or_default())
                    .send()
            })
            .await?;
            any |= !page.buckets.is_empty();
            for bucket in &page.buckets {
                push(bucket, out);
            }
            pages.seen(Some(&page.next_page_token))?;
        }
        if !any {
            return Err(CloudError::new(Fault::Malformed, LIST, "not even the buckets that every project has"));
        }
        Ok(())
    }
}

fn push(bucket: &model::LogBucket, out: &mut Listing) {
    // It is deleted already, and only waits for its seven days.
    if bucket.lifecycle_state == LifecycleState::DeleteRequested {
        return;
    }
    let name = paths::last(&bucket.name);
    let days = u32::try_from(bucket.retention_days).unwrap_or(0);
    let facts = LogGroup {
        retention_days: Some(if days == 0 { DEFAULT_DAYS } else { days }),
        bytes: None,
        machinery: OWN.contains(&name),
    };
    out.push(Draft {
        region: Some(paths::place(&bucket.name)),
        created: super::instant(bucket.create_time.as_ref()),
        protected: if bucket.locked { "locked retention" } else { "" },
        // There are no labels of its own.
        tags: Tags::Read(Vec::new()),
        also: vec![&bucket.name],
        ..Draft::new(name, facts)
    });
}
