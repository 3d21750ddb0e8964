//! The Cost and Usage Report of AWS: 2.0, as Data Exports writes it, and the legacy one, whose columns are the same ones
//! spelled otherwise.
//!
//! Sources: AWS Data Exports user guide, "CUR 2.0 table dictionary" (line item, reservation, savings plan columns), and
//! for what each line type comes to in FOCUS the conversion rules of finopsfoundation/focus_converters
//! (`conversion_configs/aws`, EffectiveCost, BilledCost and ChargeCategory).
//!
//! | line type | lane | effective | billed |
//! |---|---|---|---|
//! | Usage | usage | cost | cost |
//! | DiscountedUsage | usage | what the reservation cost for it | cost |
//! | SavingsPlanCoveredUsage | usage | what the plan cost for it | 0 |
//! | SavingsPlanNegation | none: it takes back what the line above says at on-demand prices | | |
//! | BundledDiscount, Discount, EdpDiscount, PrivateRateDiscount, RiVolumeDiscount, SppDiscount | usage | cost | cost |
//! | SavingsPlanRecurringFee | commitment | what was committed less what was used | cost |
//! | RIFee | commitment | what was paid for and not used | cost |
//! | SavingsPlanUpfrontFee, Fee of a commitment | commitment | 0 | cost |
//! | Fee | commitment, where FOCUS has purchases | cost | cost |
//! | Tax | tax | cost | cost |
//! | Credit, Refund | credit | cost | cost |
//!
//! Cost is `line_item_net_unblended_cost` where it is told, after all discounts, else `line_item_unblended_cost`. What
//! the unused part of a Savings Plan costs net of discounts is not told: it is counted before them.

use crate::{
    focus::Lane,
    native::{Cells, Charge, Field, Layout, Row},
    request::Key,
    row::shortened,
};

pub(crate) const LAYOUT: Layout = Layout {
    name: "an AWS CUR 2.0",
    provider: "AWS",
    fields: &[
        (Field::Kind, &["line_item_line_item_type"], true),
        (Field::Start, &["line_item_usage_start_date"], true),
        (Field::End, &["line_item_usage_end_date"], true),
        (Field::BillStart, &["bill_billing_period_start_date"], false),
        (Field::Currency, &["line_item_currency_code"], true),
        (Field::Cost, &["line_item_unblended_cost"], true),
        (Field::NetCost, &["line_item_net_unblended_cost"], false),
        (Field::List, &["pricing_public_on_demand_cost"], false),
        (Field::Quantity, &["line_item_usage_amount"], true),
        (Field::Reservation, &["reservation_reservation_a_r_n"], false),
        (Field::SavingsPlan, &["savings_plan_savings_plan_a_r_n"], false),
        (Field::PlanEffective, &["savings_plan_savings_plan_effective_cost"], false),
        (Field::NetPlanEffective, &["savings_plan_net_savings_plan_effective_cost"], false),
        (Field::PlanTotal, &["savings_plan_total_commitment_to_date"], false),
        (Field::PlanUsed, &["savings_plan_used_commitment"], false),
        (Field::ReservationEffective, &["reservation_effective_cost"], false),
        (Field::NetReservationEffective, &["reservation_net_effective_cost"], false),
        (Field::UnusedUpfront, &["reservation_unused_amortized_upfront_fee_for_billing_period"], false),
        (Field::NetUnusedUpfront, &["reservation_net_unused_amortized_upfront_fee_for_billing_period"], false),
        (Field::UnusedRecurring, &["reservation_unused_recurring_fee"], false),
        (Field::NetUnusedRecurring, &["reservation_net_unused_recurring_fee"], false),
    ],
    keys: &[
        (Key::Resource, &["line_item_resource_id"]),
        (Key::SkuPrice, &["pricing_rate_code", "pricing_rate_id"]),
        (Key::Sku, &["product_sku"]),
        // The legacy report has the name that FOCUS files have, 2.0 only a map with it: reading that takes longer than
        // all the rest, so there it is the code, `AmazonEC2`.
        (
            Key::Service,
            &["product_product_name", "line_item_product_code", "product_servicecode", "product[product_name]"],
        ),
        (Key::Account, &["line_item_usage_account_id"]),
        (Key::AccountName, &["line_item_usage_account_name"]),
        (Key::BillingAccount, &["bill_payer_account_id"]),
        (Key::Region, &["product_region_code", "product_region", "product[region]"]),
        (Key::Commitment, &["reservation_reservation_a_r_n", "savings_plan_savings_plan_a_r_n"]),
        (Key::PricingUnit, &["pricing_unit"]),
        (Key::Invoice, &["bill_invoice_id"]),
    ],
    marks: &[
        "line_item_line_item_type",
        "line_item_unblended_cost",
        "line_item_usage_start_date",
        "line_item_usage_account_id",
        "line_item_product_code",
        "line_item_usage_type",
        "line_item_resource_id",
        "line_item_currency_code",
        "bill_payer_account_id",
    ],
};

/// What a line charges; nothing for one that only takes back what another says.
pub(crate) fn charge<C: Cells>(row: &Row<'_, C>) -> Result<Option<Charge>, String> {
    let kind = row.text(Field::Kind);
    let kind = std::str::from_utf8(&kind).map_err(|_| format!("{} is not UTF-8", row.name(Field::Kind)))?;
    let net = row.amount(Field::NetCost)?;
    let cost = match net {
        Some(net) => net,
        None => row.cost(Field::Cost)?,
    };
    let plain = |lane: Lane| Charge::plain(lane, cost);
    // What a commitment does to a price is not in the negotiated price, which is not told.
    let covered = |effective: i128, billed: i128| Charge { effective, billed, contracted: 0, ..plain(Lane::Usage) };
    let bought = |effective: i128| Charge { effective, contracted: 0, ..plain(Lane::Commitment) };
    let either = |field: Field, of_net: Field| -> Result<i128, String> {
        match row.amount(of_net)? {
            Some(net) => Ok(net),
            None => row.amount(field)?.ok_or_else(|| format!("{kind} without {}", row.name(field))),
        }
    };
    let mut charge = match kind {
        "Usage" => plain(Lane::Usage),
        "DiscountedUsage" => covered(either(Field::ReservationEffective, Field::NetReservationEffective)?, cost),
        "SavingsPlanCoveredUsage" => covered(either(Field::PlanEffective, Field::NetPlanEffective)?, 0),
        "SavingsPlanNegation" => return Ok(None),
        "BundledDiscount" | "Discount" | "EdpDiscount" | "PrivateRateDiscount" | "RiVolumeDiscount" | "SppDiscount" => {
            // Lines with a net cost have it off already.
            if row.has(Field::NetCost) && net.is_none() {
                return Err(format!("{kind} without {}: it may be off other lines already", row.name(Field::NetCost)));
            }
            plain(Lane::Usage)
        }
        "SavingsPlanRecurringFee" => {
            let told = |field: Field| row.amount(field)?.ok_or_else(|| format!("{kind} without {}", row.name(field)));
            bought(told(Field::PlanTotal)? - told(Field::PlanUsed)?)
        }
        "RIFee" => {
            let upfront = either(Field::UnusedUpfront, Field::NetUnusedUpfront)?;
            bought(upfront + either(Field::UnusedRecurring, Field::NetUnusedRecurring)?)
        }
        "SavingsPlanUpfrontFee" => bought(0),
        "Fee" if !row.text(Field::Reservation).is_empty() || !row.text(Field::SavingsPlan).is_empty() => bought(0),
        "Fee" => plain(Lane::Commitment),
        "Tax" => plain(Lane::Tax),
        "Credit" | "Refund" => plain(Lane::Credit),
        other => return Err(format!("unknown {} `{}`", row.name(Field::Kind), shortened(other))),
    };
    charge.quantity = row.amount(Field::Quantity)?.unwrap_or(0);
    charge.list = row.amount(Field::List)?.unwrap_or(0);
    Ok(Some(charge))
}
