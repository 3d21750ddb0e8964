//! Log Analytics workspaces, into which many sources write.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sort, at},
    graph, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::LogGroup,
    inventory::Listing,
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.log-workspace",
    cloud: CloudId::Azure,
    class: Class::LogGroup,
    title: "Log Analytics workspace",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "what is written to it, and when, is not told to those who list it",
    acts: &[],
};

const LIST: &str = "Microsoft.OperationalInsights/workspaces/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.OperationalInsights/workspaces",
    columns: "",
    filter: "",
    api: "2022-10-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    retention_in_days: Option<i64>,
    created_date: Option<String>,
}

pub(super) struct LogWorkspace(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for LogWorkspace {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

/// The days that events are kept. Every workspace has a number; without one (or with -1, that of the older tiers)
/// it is the least there is, 30 ("Workspaces - Get").
fn retention(days: Option<i64>) -> u32 {
    days.and_then(|days| u32::try_from(days).ok()).filter(|days| *days > 0).unwrap_or(30)
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let facts = LogGroup {
        retention_days: Some(retention(entity.properties.retention_in_days)),
        bytes: None,
        machinery: false,
    };
    let mut draft = common.draft(entity, facts);
    draft.created = at(entity.properties.created_date.as_deref());
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_workspace_keeps_for_ever() {
        assert_eq!([retention(Some(90)), retention(Some(-1)), retention(None)], [90, 30, 30]);
    }
}
