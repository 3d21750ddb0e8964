//! The detailed (or standard) usage cost of Google Cloud, taken out of BigQuery as Parquet, CSV or lines of JSON.
//!
//! Nested columns may be nested (`service.description`) or flattened by name (`service_description`); `credits` is a
//! list of records, in CSV as JSON: one row for each credit would repeat the cost of its usage.
//!
//! Sources: Cloud Billing documentation, "Structure of Detailed data export" (`credits.type`, `cost_type`), the queries
//! that its reports generate (which types of credit are savings), and finopsfoundation/focus_converters,
//! `conversion_configs/gcp`. That fees of commitments are known by their SKU's description is not documented.
//!
//! | row | lane | effective and billed |
//! |---|---|---|
//! | `cost_type` regular | usage | cost with its discounts, which are credits of type `…DISCOUNT…`, `FREE_TIER`, … |
//! | regular, of a SKU whose description starts with `Commitment` | commitment | likewise |
//! | credits of type `PROMOTION`, `CREDIT_TYPE_UNSPECIFIED` of these | credit | their amount |
//! | tax | tax | cost with all credits |
//! | adjustment, rounding_error | correction | cost with all credits |
//!
//! Google does not amortise: usage that a commitment covers costs nothing, or its price under the commitment, and the
//! commitment's fee is a row of its own.

use crate::{
    focus::Lane,
    native::{Cells, Charge, Field, Layout, Row},
    request::Key,
    row::shortened,
};

pub(crate) const LAYOUT: Layout = Layout {
    name: "a usage cost export of Google Cloud",
    provider: "Google Cloud",
    fields: &[
        (Field::Start, &["usage_start_time"], true),
        (Field::End, &["usage_end_time"], false),
        (Field::Kind, &["cost_type"], true),
        (Field::Currency, &["currency"], true),
        (Field::Cost, &["cost"], true),
        (Field::Credits, &["credits"], true),
        (Field::List, &["cost_at_list"], false),
        (Field::Contracted, &["cost_at_effective_price_default"], false),
        (Field::Quantity, &["usage.amount_in_pricing_units", "usage.amount"], true),
        (Field::Sku, &["sku.description"], false),
    ],
    keys: &[
        (Key::Resource, &["resource.global_name", "resource.name"]),
        (Key::ResourceName, &["resource.name"]),
        (Key::SkuPrice, &["sku.id"]),
        (Key::Sku, &["sku.id"]),
        (Key::Service, &["service.description", "service.id"]),
        (Key::Account, &["project.id"]),
        (Key::AccountName, &["project.name"]),
        (Key::BillingAccount, &["billing_account_id"]),
        (Key::Region, &["location.region", "location.location"]),
        (Key::Commitment, &["subscription.instance_id"]),
        (Key::PricingUnit, &["usage.pricing_unit"]),
        (Key::Invoice, &["invoice.month"]),
    ],
    marks: &[
        "usage_start_time",
        "cost_type",
        "credits",
        "service_description",
        "sku_id",
        "project_id",
        "cost_at_list",
        "billing_account_id",
        "location_region",
    ],
};

/// What a row charges.
pub(crate) fn charges<C: Cells>(row: &Row<'_, C>, out: &mut Vec<Charge>) -> Result<(), String> {
    let cost = row.cost(Field::Cost)?;
    let (mut discounts, mut given) = (0, 0);
    for (kind, amount) in row.credits()? {
        match kind.as_str() {
            "COMMITTED_USAGE_DISCOUNT"
            | "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE"
            | "DISCOUNT"
            | "FEE_UTILIZATION_OFFSET"
            | "FREE_TIER"
            | "RESELLER_MARGIN"
            | "SPENDING_BASED_DISCOUNT"
            | "SUBSCRIPTION_BENEFIT"
            | "SUSTAINED_USAGE_DISCOUNT" => discounts += amount,
            "PROMOTION" | "CREDIT_TYPE_UNSPECIFIED" => given += amount,
            other => return Err(format!("unknown type of credit `{}`", shortened(other))),
        }
    }
    let kind = row.text(Field::Kind);
    let lane = match &*kind {
        b"regular" if row.text(Field::Sku).get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"commitment")) => {
            Lane::Commitment
        }
        b"regular" => Lane::Usage,
        b"tax" => Lane::Tax,
        b"adjustment" | b"rounding_error" => Lane::Correction,
        other => {
            return Err(format!("unknown {} `{}`", row.name(Field::Kind), shortened(&String::from_utf8_lossy(other))));
        }
    };
    if !matches!(lane, Lane::Usage | Lane::Commitment) {
        discounts += std::mem::take(&mut given);
    }
    // `cost` is at negotiated prices, and under the newer commitments at theirs; then the negotiated one stands beside.
    let contracted = row.amount(Field::Contracted)?.unwrap_or(cost);
    out.push(Charge {
        contracted,
        list: row.amount(Field::List)?.unwrap_or(0),
        quantity: row.amount(Field::Quantity)?.unwrap_or(0),
        ..Charge::plain(lane, cost + discounts)
    });
    if given != 0 {
        out.push(Charge::plain(Lane::Credit, given));
    }
    Ok(())
}
