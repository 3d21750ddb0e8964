//! Native exports of the clouds say what a FOCUS file of the same charges says.

#![expect(clippy::unwrap_used, reason = "a test that fails should say where")]

use arrow_array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, StructArray, TimestampMillisecondArray,
    builder::{Float64Builder, ListBuilder, MapBuilder, StringBuilder, StructBuilder},
};
use arrow_schema::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use jiff::{ToSpan, civil::date};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use proptest::prelude::*;
use std::{fmt::Write as _, io::Write as _, num::NonZeroUsize, sync::Arc};
use sweeper_bill::{
    delta::{Terms, compare},
    engine::{ScanError, scan},
    movement::{By, Compared, daily},
    partial::{Partial, PartialError},
    rates::{Rate, Rates},
    request::{Key, Measure, Request, Rollup, Window},
    source::Source,
};
use sweeper_core::money::Amount;

/// A row: what stands in the columns that are not null.
type Row = Vec<(&'static str, String)>;

fn row(cells: &[(&'static str, &str)]) -> Row {
    cells.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// The row with some columns set otherwise.
fn with(row: &Row, cells: &[(&'static str, &str)]) -> Row {
    let mut row = row.clone();
    for (name, value) in cells {
        row.retain(|(other, _)| other != name);
        row.push((name, (*value).to_owned()));
    }
    row
}

fn cell<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    row.iter().find(|(name, _)| *name == column).map(|(_, value)| value.as_str())
}

fn columns(rows: &[Row]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = rows.iter().flatten().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn csv(rows: &[Row]) -> String {
    named_csv(rows, ToOwned::to_owned)
}

fn named_csv(rows: &[Row], named: impl Fn(&str) -> String) -> String {
    let columns = columns(rows);
    let mut text = columns.iter().map(|name| named(name)).collect::<Vec<_>>().join(",") + "\n";
    for row in rows {
        let cells = columns.iter().map(|name| {
            let value = cell(row, name).unwrap_or_default();
            if value.contains(['"', ',']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
        });
        writeln!(text, "{}", cells.collect::<Vec<_>>().join(",")).unwrap();
    }
    text
}

/// What stands in the columns whose names end so is written as a number, or as a time.
fn array(name: &str, cells: &[Option<&str>]) -> ArrayRef {
    let is = |ends: &[&str]| ends.iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    if is(&["cost", "cost_at_list", "_commitment", "to_date", "period", "recurring_fee", "amount", "price", "quantity"])
    {
        return Arc::new(cells.iter().map(|cell| Some(cell.as_ref()?.parse().unwrap())).collect::<Float64Array>());
    }
    if is(&["_date", "_time"]) {
        let millis = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        return Arc::new(cells.iter().map(|cell| Some(millis(cell.as_ref()?))).collect::<TimestampMillisecondArray>());
    }
    Arc::new(cells.iter().copied().collect::<StringArray>())
}

fn parquet(columns: &[(&str, ArrayRef)]) -> Bytes {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(7)).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, Arc::clone(&schema), Some(properties)).unwrap();
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.close().unwrap();
    out.into()
}

fn flat_parquet(rows: &[Row]) -> Bytes {
    let arrays: Vec<(&str, ArrayRef)> = columns(rows)
        .into_iter()
        .map(|name| (name, array(name, &rows.iter().map(|row| cell(row, name)).collect::<Vec<_>>())))
        .collect();
    parquet(&arrays)
}

const ALL: [Measure; 8] = [
    Measure::Billed,
    Measure::Effective,
    Measure::Contracted,
    Measure::List,
    Measure::Quantity,
    Measure::Rows,
    Measure::ContractedUnknown,
    Measure::ListUnknown,
];

/// Everything that a native export can say.
fn request() -> Request {
    let september = Window { from: date(2026, 9, 1), to: date(2026, 10, 1) };
    let rollup = |keys: &[Key]| Rollup {
        keys: keys.to_vec(),
        attributes: vec![],
        windows: september.by_day(),
        measures: ALL.to_vec(),
        lanes: vec![],
    };
    let rollups = vec![
        rollup(&[Key::Lane]),
        rollup(&[Key::Lane, Key::Account, Key::Service, Key::Region]),
        rollup(&[Key::Resource, Key::SkuPrice, Key::Commitment]),
        rollup(&[Key::Provider, Key::BillingAccount, Key::AccountName, Key::PricingUnit]),
    ];
    Request { rollups, ..Request::default() }
}

fn scanned(files: Vec<(&str, Bytes)>) -> Result<Partial, ScanError> {
    let sources = files.into_iter().map(|(name, bytes)| Source::memory(name, bytes)).collect();
    scan(sources, &request(), NonZeroUsize::new(2).unwrap())
}

fn read(content: impl Into<Bytes>) -> Partial {
    let partial = scanned(vec![("bill", content.into())]).unwrap();
    assert_eq!(flaws(&partial), Vec::<String>::new());
    partial
}

fn refusal(content: impl Into<Bytes>) -> String {
    scanned(vec![("bill", content.into())]).map(|_| ()).unwrap_err().to_string()
}

fn flaws(partial: &Partial) -> Vec<String> {
    partial.excluded().first.iter().map(ToString::to_string).collect()
}

fn written(partial: &Partial) -> String {
    let mut out = Vec::new();
    partial.write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// By lane: effective, billed, contracted, list and quantity, of all days.
fn lanes(partial: &Partial) -> Vec<String> {
    let of = |group: &sweeper_bill::partial::Group<'_>, measure| {
        (0..30).map(|day| group.amount(day, measure)).sum::<sweeper_core::money::Amount>()
    };
    let groups = partial.groups(0);
    let lines = groups.iter().map(|group| {
        let told = [Measure::Effective, Measure::Billed, Measure::Contracted, Measure::List, Measure::Quantity];
        let told: Vec<String> = told.into_iter().map(|measure| of(group, measure).to_string()).collect();
        format!("{} {}", group.key(0), told.join(" "))
    });
    lines.collect()
}

/// A FOCUS row.
fn focus(cells: &[(&'static str, &str)]) -> Row {
    with(
        &row(&[
            ("BillingAccountId", "1"),
            ("BillingCurrency", "USD"),
            ("ChargeCategory", "Usage"),
            ("ChargeClass", ""),
            ("CommitmentDiscountId", ""),
            ("CommitmentDiscountStatus", ""),
            ("ContractedCost", "0"),
            ("ListCost", "0"),
            ("PricingQuantity", "0"),
            ("PricingUnit", ""),
            ("RegionId", ""),
            ("ResourceId", ""),
            ("SkuPriceId", ""),
            ("SubAccountName", ""),
        ]),
        cells,
    )
}

// AWS

fn line(kind: &str, cells: &[(&'static str, &str)]) -> Row {
    let base = row(&[
        ("line_item_usage_start_date", "2026-09-03T00:00:00Z"),
        ("line_item_usage_end_date", "2026-09-03T01:00:00Z"),
        ("line_item_currency_code", "USD"),
        ("line_item_usage_amount", "2"),
        ("line_item_usage_account_id", "111111111111"),
        ("line_item_usage_account_name", "shop"),
        ("line_item_resource_id", "i-1"),
        ("line_item_product_code", "AmazonEC2"),
        ("line_item_unblended_cost", "10"),
        ("pricing_public_on_demand_cost", "12"),
        ("pricing_rate_code", "SKU.T.R"),
        ("pricing_unit", "Hrs"),
        ("product_region_code", "eu-west-1"),
        ("bill_payer_account_id", "999999999999"),
        ("bill_billing_period_start_date", "2026-09-01T00:00:00Z"),
    ]);
    with(&with(&base, &[("line_item_line_item_type", kind)]), cells)
}

const PLAN: &str = "arn:aws:savingsplans::1:savingsplan/sp-1";
const RESERVED: &str = "arn:aws:ec2:eu-west-1:1:reserved-instances/r-1";

/// One line of each type, and what it comes to: lane, effective, billed, contracted, list, quantity.
fn lines() -> Vec<(Row, &'static str)> {
    let plan = ("savings_plan_savings_plan_a_r_n", PLAN);
    let reserved = ("reservation_reservation_a_r_n", RESERVED);
    vec![
        (line("Usage", &[]), "usage 10 10 10 12 2"),
        (
            line(
                "DiscountedUsage",
                &[reserved, ("line_item_unblended_cost", "0"), ("reservation_effective_cost", "6.5")],
            ),
            "usage 6.5 0 0 12 2",
        ),
        (
            line("SavingsPlanCoveredUsage", &[plan, ("savings_plan_savings_plan_effective_cost", "7.25")]),
            "usage 7.25 0 0 12 2",
        ),
        (line("SavingsPlanNegation", &[plan, ("line_item_unblended_cost", "-10")]), ""),
        (line("EdpDiscount", &[("line_item_unblended_cost", "-1")]), "usage -1 -1 -1 12 2"),
        (line("PrivateRateDiscount", &[("line_item_unblended_cost", "-2")]), "usage -2 -2 -2 12 2"),
        (line("BundledDiscount", &[("line_item_unblended_cost", "-3")]), "usage -3 -3 -3 12 2"),
        (
            line(
                "SavingsPlanRecurringFee",
                &[plan, ("savings_plan_total_commitment_to_date", "24"), ("savings_plan_used_commitment", "22.5")],
            ),
            "commitment 1.5 10 0 12 2",
        ),
        (line("SavingsPlanUpfrontFee", &[plan, ("line_item_unblended_cost", "8760")]), "commitment 0 8760 0 12 2"),
        (
            line(
                "RIFee",
                &[
                    reserved,
                    ("reservation_unused_amortized_upfront_fee_for_billing_period", "0.5"),
                    ("reservation_unused_recurring_fee", "0.25"),
                ],
            ),
            "commitment 0.75 10 0 12 2",
        ),
        (line("Fee", &[reserved, ("line_item_unblended_cost", "500")]), "commitment 0 500 0 12 2"),
        (line("Fee", &[]), "commitment 10 10 10 12 2"),
        (line("Tax", &[]), "tax 10 10 10 12 2"),
        (line("Credit", &[("line_item_unblended_cost", "-5")]), "credit -5 -5 -5 12 2"),
        (line("Refund", &[("line_item_unblended_cost", "-4")]), "credit -4 -4 -4 12 2"),
    ]
}

/// `line_item_usage_start_date` as the legacy report writes it in CSV.
fn legacy(name: &str) -> String {
    let groups = ["line_item", "savings_plan", "reservation", "pricing", "product", "bill"];
    let group = groups.into_iter().find(|group| name.starts_with(group)).unwrap();
    let camel = |text: &str, first: bool| {
        let mut upper = first;
        let mut out = String::new();
        for letter in text.chars() {
            match letter {
                '_' => upper = true,
                letter if upper => {
                    out.push(letter.to_ascii_uppercase());
                    upper = false;
                }
                letter => out.push(letter),
            }
        }
        out
    };
    let column = &name[group.len() + 1..];
    // These two are spelled so.
    let lower = matches!(column, "public_on_demand_cost" | "unit" | "region_code");
    format!("{}/{}", camel(group, false), camel(column, !lower))
}

#[test]
fn each_line_of_aws_has_its_lane_and_costs() {
    for (line, expected) in lines() {
        let expected: Vec<&str> = if expected.is_empty() { vec![] } else { vec![expected] };
        assert_eq!(lanes(&read(csv(std::slice::from_ref(&line)))), expected, "{line:?}");
        assert_eq!(lanes(&read(flat_parquet(std::slice::from_ref(&line)))), expected, "{line:?}");
    }
}

#[test]
fn the_report_of_aws_is_the_same_in_every_spelling() {
    let rows: Vec<Row> = lines().into_iter().map(|(line, _)| line).collect();
    let told = written(&read(csv(&rows)));
    assert_eq!(told, written(&read(flat_parquet(&rows))));
    let spelled = named_csv(&rows, legacy);
    for name in ["lineItem/UnblendedCost", "savingsPlan/SavingsPlanARN", "reservation/ReservationARN", "pricing/unit"] {
        assert!(spelled.lines().next().unwrap().contains(name), "{name}");
    }
    assert_eq!(told, written(&read(spelled)));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(csv(&rows).as_bytes()).unwrap();
    assert_eq!(told, written(&read(gzip.finish().unwrap())));
    // Cut into two files, as exports are.
    let (one, other) = rows.split_at(4);
    // Each with all columns, since a file without a column says nothing of it.
    let header = |rows: &[Row]| {
        let columns: Vec<&'static str> = columns(&lines().into_iter().map(|(line, _)| line).collect::<Vec<_>>());
        let missing =
            |row: &Row| columns.iter().filter(|name| cell(row, name).is_none()).map(|name| (*name, "")).collect();
        csv(&rows.iter().map(|row| with(row, &missing(row) as &Vec<(&str, &str)>)).collect::<Vec<_>>())
    };
    let both = scanned(vec![("one", header(one).into()), ("other", header(other).into())]).unwrap();
    assert_eq!(told, written(&both));
}

#[test]
fn a_report_of_aws_says_what_focus_says() {
    let focus_of = |line: &Row| -> Option<Row> {
        let (_, told) = lines().into_iter().find(|(other, _)| other == line).unwrap();
        let told: Vec<&str> = told.split(' ').collect();
        let [lane, effective, billed, contracted, list, quantity] = told.as_slice() else { return None };
        let category = match *lane {
            "usage" => "Usage",
            "commitment" => "Purchase",
            "tax" => "Tax",
            _ => "Credit",
        };
        let id = cell(line, "savings_plan_savings_plan_a_r_n").or(cell(line, "reservation_reservation_a_r_n"));
        Some(focus(&[
            ("ChargePeriodStart", cell(line, "line_item_usage_start_date").unwrap()),
            ("ChargePeriodEnd", cell(line, "line_item_usage_end_date").unwrap()),
            ("ChargeCategory", category),
            ("EffectiveCost", effective),
            ("BilledCost", billed),
            ("ContractedCost", contracted),
            ("ListCost", list),
            ("PricingQuantity", quantity),
            ("PricingUnit", "Hrs"),
            ("ServiceName", "AmazonEC2"),
            ("ServiceProviderName", "AWS"),
            ("SubAccountId", "111111111111"),
            ("SubAccountName", "shop"),
            ("BillingAccountId", "999999999999"),
            ("RegionId", "eu-west-1"),
            ("ResourceId", "i-1"),
            ("SkuPriceId", "SKU.T.R"),
            ("CommitmentDiscountId", id.unwrap_or_default()),
        ]))
    };
    let rows: Vec<Row> = lines().into_iter().map(|(line, _)| line).collect();
    let same: Vec<Row> = rows.iter().filter_map(focus_of).collect();
    let (native, focus) = (read(flat_parquet(&rows)), read(csv(&same)));
    assert_eq!(written(&native), written(&focus));
}

#[test]
fn a_net_cost_counts_before_the_cost() {
    let net = [("line_item_net_unblended_cost", "9"), ("savings_plan_net_savings_plan_effective_cost", "6")];
    assert_eq!(lanes(&read(csv(&[line("Usage", &net)]))), ["usage 9 9 9 12 2"]);
    let plan = ("savings_plan_savings_plan_effective_cost", "7");
    let covered = with(&line("SavingsPlanCoveredUsage", &net), &[plan]);
    assert_eq!(lanes(&read(csv(&[covered]))), ["usage 6 0 0 12 2"]);
    // Where it is null, none is told; but then a discount may be off other lines already.
    let discount = line("EdpDiscount", &[("line_item_net_unblended_cost", ""), ("line_item_unblended_cost", "-1")]);
    let partial = scanned(vec![("bill", csv(&[line("Usage", &net), discount]).into())]).unwrap();
    assert_eq!(
        flaws(&partial),
        ["bill, line 3: EdpDiscount without line_item_net_unblended_cost: it may be off other lines already"]
    );
}

#[test]
fn what_is_wrong_in_a_report_of_aws_is_named() {
    let whole = line("Usage", &[]);
    for missing in ["line_item_line_item_type", "line_item_unblended_cost", "line_item_currency_code"] {
        let without: Row = whole.iter().filter(|(name, _)| *name != missing).cloned().collect();
        let problem = format!("bill: this looks like an AWS CUR 2.0 but lacks `{missing}`");
        assert_eq!(refusal(csv(std::slice::from_ref(&without))), problem);
        assert_eq!(refusal(flat_parquet(&[without])), problem);
    }
    let twice = csv(std::slice::from_ref(&whole)).replacen("line_item_resource_id", "Line_Item_Unblended_Cost", 1);
    assert!(refusal(twice).contains("it has two columns "));
    let rows = [
        whole.clone(),
        line("UsageOfTheMoon", &[]),
        line("Usage", &[("line_item_unblended_cost", "")]),
        line("DiscountedUsage", &[]),
        line("SavingsPlanRecurringFee", &[]),
        line("RIFee", &[]),
        line("Usage", &[("line_item_usage_end_date", "2026-09-02T00:00:00Z")]),
        line("Usage", &[("line_item_usage_start_date", "someday")]),
        line("Usage", &[("line_item_currency_code", "")]),
        line("Usage", &[("line_item_unblended_cost", "ten")]),
    ];
    let partial = scanned(vec![("bill", csv(&rows).into())]).unwrap();
    assert_eq!(lanes(&partial), ["usage 10 10 10 12 2"]);
    assert_eq!(
        flaws(&partial),
        [
            "bill, line 3: unknown line_item_line_item_type `UsageOfTheMoon`",
            "bill, line 4: line_item_unblended_cost is null",
            "bill, line 5: DiscountedUsage without reservation_effective_cost",
            "bill, line 6: SavingsPlanRecurringFee without savings_plan_total_commitment_to_date",
            "bill, line 7: RIFee without reservation_unused_amortized_upfront_fee_for_billing_period",
            "bill, line 8: line_item_usage_end_date is before line_item_usage_start_date",
            "bill, line 9: line_item_usage_start_date is not a time: `someday`",
            "bill, line 10: no line_item_currency_code",
            "bill, line 11: line_item_unblended_cost is not an amount: `ten`",
        ]
    );
    let partial = scanned(vec![("bill", flat_parquet(&rows[..2]))]).unwrap();
    assert_eq!(flaws(&partial), ["bill, row group 0, row 1: unknown line_item_line_item_type `UsageOfTheMoon`"]);
    // A charge that tells no day is of the first of its bill.
    let partial = read(csv(&[line("Credit", &[("line_item_usage_start_date", ""), ("line_item_usage_end_date", "")])]));
    assert_eq!(partial.groups(0)[0].count(0, Measure::Rows), 1);
}

#[test]
fn a_service_may_lie_in_a_map() {
    let rows: Vec<Row> = ["Amazon Elastic Compute Cloud", "Amazon Simple Storage Service"]
        .iter()
        .map(|name| {
            let map = format!("{{\"product_name\": \"{name}\", \"region\": \"eu-west-1\"}}");
            let line: Row =
                line("Usage", &[]).into_iter().filter(|(name, _)| *name != "line_item_product_code").collect();
            with(&line, &[("product", &map)])
        })
        .collect();
    let text = read(csv(&rows));
    let services: Vec<&str> = text.groups(1).iter().map(|group| group.key(2)).collect();
    assert_eq!(services, ["Amazon Elastic Compute Cloud", "Amazon Simple Storage Service"]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for name in ["Amazon Elastic Compute Cloud", "Amazon Simple Storage Service"] {
        map.keys().append_value("region");
        map.values().append_value("eu-west-1");
        map.keys().append_value("product_name");
        map.values().append_value(name);
        map.append(true).unwrap();
    }
    let mut arrays: Vec<(&str, ArrayRef)> = columns(&rows)
        .into_iter()
        .filter(|name| *name != "product")
        .map(|name| (name, array(name, &rows.iter().map(|row| cell(row, name)).collect::<Vec<_>>())))
        .collect();
    arrays.push(("product", Arc::new(map.finish())));
    assert_eq!(written(&text), written(&read(parquet(&arrays))));
}

// Azure

const VM: &str = "/subscriptions/ab/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/Web";

fn charge(kind: &str, cost: &str, cells: &[(&'static str, &str)]) -> Row {
    let base = row(&[
        ("Date", "09/03/2026"),
        ("BillingCurrencyCode", "EUR"),
        ("CostInBillingCurrency", cost),
        ("ChargeType", kind),
        ("PricingModel", "OnDemand"),
        ("Quantity", "24"),
        ("UnitPrice", "0.5"),
        ("PayGPrice", "0.6"),
        ("EffectivePrice", "0.5"),
        ("SubscriptionId", "AB"),
        ("SubscriptionName", "shop"),
        ("BillingAccountId", "77"),
        ("MeterId", "m-1"),
        ("MeterCategory", "Virtual Machines"),
        ("ConsumedService", "Microsoft.Compute"),
        ("ResourceId", VM),
        ("ResourceLocation", "West Europe"),
        ("UnitOfMeasure", "1 Hour"),
        ("ReservationId", ""),
        ("BenefitId", ""),
    ]);
    with(&base, cells)
}

/// Each type of charge, and what it comes to.
fn charges() -> Vec<(Row, &'static str)> {
    let reserved = [("PricingModel", "Reservation"), ("ReservationId", "r-1"), ("EffectivePrice", "0.25")];
    let planned = [("PricingModel", "SavingsPlan"), ("BenefitId", "b-1"), ("EffectivePrice", "0.25")];
    vec![
        (charge("Usage", "12", &[]), "usage 12 12 12 14.4 24"),
        // A price of a hundred hours, or of another currency, is none of this quantity.
        (charge("Usage", "12", &[("EffectivePrice", "50")]), "usage 12 12 12 0 24"),
        (charge("Usage", "6", &reserved), "usage 6 0 12 14.4 24"),
        (charge("Usage", "6", &planned), "usage 6 0 12 14.4 24"),
        (charge("UnusedReservation", "6", &reserved), "commitment 6 0 0 14.4 24"),
        (charge("UnusedSavingsPlan", "6", &planned), "commitment 6 0 0 14.4 24"),
        (charge("Purchase", "12", &[]), "commitment 12 12 12 14.4 24"),
        (charge("Refund", "-12", &[("Quantity", "-24")]), "correction -12 -12 -12 -14.4 -24"),
        (charge("RoundingAdjustment", "0.01", &[]), "correction 0.01 0.01 0.01 0 24"),
        (charge("Tax", "12", &[]), "tax 12 12 12 14.4 24"),
    ]
}

#[test]
fn each_charge_of_azure_has_its_lane_and_costs() {
    for (charge, expected) in charges() {
        assert_eq!(lanes(&read(csv(std::slice::from_ref(&charge)))), [expected], "{charge:?}");
        assert_eq!(lanes(&read(flat_parquet(&[charge]))), [expected]);
    }
    // What is bought of a commitment, and usage at no cost, are of an actual cost export.
    let reserved = [("PricingModel", "Reservation"), ("ReservationId", "r-1"), ("EffectivePrice", "0")];
    let bought = [charge("Purchase", "8760", &reserved), charge("Usage", "0", &reserved)];
    assert_eq!(lanes(&read(csv(&bought))), ["commitment 8760 8760 8760 0 24", "usage 0 0 0 0 24"]);
}

/// As a customer agreement spells it.
fn customer(name: &str) -> String {
    match name {
        "BillingCurrencyCode" => "billingCurrency".to_owned(),
        "ResourceId" | "SubscriptionName" => name.to_owned(),
        "PayGPrice" => "payGPrice".to_owned(),
        name => name[..1].to_ascii_lowercase() + &name[1..],
    }
}

#[test]
fn a_cost_export_of_azure_is_the_same_in_every_spelling() {
    let rows: Vec<Row> = charges().into_iter().map(|(charge, _)| charge).collect();
    let told = written(&read(csv(&rows)));
    assert_eq!(told, written(&read(flat_parquet(&rows))));
    assert_eq!(told, written(&read(named_csv(&rows, customer))));
    let older = named_csv(&rows, |name| match name {
        "CostInBillingCurrency" => "PreTaxCost".to_owned(),
        "BillingCurrencyCode" => "Currency".to_owned(),
        "SubscriptionId" => "SubscriptionGuid".to_owned(),
        "Date" => "UsageDateTime".to_owned(),
        "Quantity" => "UsageQuantity".to_owned(),
        "ResourceId" => "InstanceId".to_owned(),
        name => name.to_owned(),
    });
    assert_eq!(told, written(&read(older)));
    assert_eq!(told, written(&read(csv(&rows).replace("09/03/2026", "2026-09-03"))));
    assert_eq!(told, written(&read(csv(&rows).replace("09/03/2026", "9/3/2026"))));
    assert_eq!(told, written(&read(format!("\u{feff}{}", csv(&rows)))));
    // And as FOCUS says it.
    let same = rows.iter().zip(charges()).map(|(charge, (_, told))| {
        let told: Vec<&str> = told.split(' ').collect();
        let (category, class) = match told[0] {
            "usage" => ("Usage", ""),
            "commitment" => ("Purchase", ""),
            "correction" => ("Adjustment", ""),
            _ => ("Tax", ""),
        };
        let id = ["BenefitId", "ReservationId"].iter().filter_map(|name| cell(charge, name)).find(|id| !id.is_empty());
        focus(&[
            ("ChargePeriodStart", "2026-09-03"),
            ("ChargePeriodEnd", "2026-09-04"),
            ("ChargeCategory", category),
            ("ChargeClass", class),
            ("EffectiveCost", told[1]),
            ("BilledCost", told[2]),
            ("ContractedCost", told[3]),
            ("ListCost", told[4]),
            ("PricingQuantity", told[5]),
            ("PricingUnit", "1 Hour"),
            ("BillingCurrency", "EUR"),
            ("BillingAccountId", "77"),
            ("ServiceName", "Virtual Machines"),
            ("ProviderName", "Microsoft"),
            ("SubAccountId", "/subscriptions/ab"),
            ("SubAccountName", "shop"),
            ("RegionId", "westeurope"),
            ("ResourceId", &VM.to_ascii_lowercase()),
            ("SkuPriceId", "m-1"),
            ("CommitmentDiscountId", id.unwrap_or_default()),
        ])
    });
    // The head of a partial tells which cost exports of Azure are in it; the rest is the same.
    let body = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    let same = written(&read(csv(&same.collect::<Vec<_>>())));
    assert_eq!(body(&told), body(&same));
    assert!(told.starts_with(&same.split_once("\"excluded\"").unwrap().0.to_owned()), "{told}");
}

#[test]
fn actual_and_amortised_cost_are_never_summed() {
    let reserved = [("PricingModel", "Reservation"), ("ReservationId", "r-1")];
    let actual = csv(&[charge("Usage", "12", &[]), charge("Purchase", "8760", &reserved)]);
    let amortized = csv(&[charge("Usage", "12", &[]), charge("Usage", "6", &reserved)]);
    let free = csv(&[charge("Usage", "0", &reserved)]);
    let plain = csv(&[charge("Usage", "12", &[])]);
    let both = |one: (&str, &str), other: (&str, &str)| {
        let file = |(name, text): (&str, &str)| Source::memory(name, text.as_bytes().to_vec());
        scan(vec![file(one), file(other)], &request(), NonZeroUsize::new(2).unwrap())
    };
    let error = both(("a.csv", &actual), ("b.csv", &amortized)).unwrap_err().to_string();
    assert_eq!(
        error,
        "a.csv, line 3 is actual cost and b.csv, line 3 amortised cost of Azure: the same charges told twice; leave one out"
    );
    let error = both(("b.csv", &amortized), ("c.csv", &free)).unwrap_err().to_string();
    assert!(error.starts_with("c.csv, line 2 is actual cost and b.csv, line 3 amortised cost"), "{error}");
    // Where no row tells it, the names of the files do.
    let error = both(("x/ActualCost/1.csv", &plain), ("x/shop-amortized-cost/1.csv", &plain)).unwrap_err().to_string();
    assert!(error.starts_with("x/ActualCost/1.csv is actual cost and x/shop-amortized-cost/1.csv amort"), "{error}");
    both(("ActualCost.csv", &amortized), ("b.csv", &amortized)).unwrap();
    both(("a.csv", &actual), ("b.csv", &free)).unwrap();
    // Nor are their partials, written down or not.
    let partial = |name: &str, text: &str| both((name, text), ("plain.csv", &plain)).unwrap();
    let back = |partial: &Partial| Partial::read(written(partial).as_bytes()).unwrap();
    let (one, other) = (partial("a.csv", &actual), partial("b.csv", &amortized));
    assert!(matches!(back(&one).merge(back(&other)), Err(PartialError::Datasets)));
    assert!(matches!(one.merge(other), Err(PartialError::Datasets)));
    let (one, other) = (partial("a.csv", &actual), partial("b.csv", &actual));
    let merged = written(&back(&one).merge(back(&other)).unwrap());
    assert_eq!(merged, written(&one.merge(other).unwrap()));
}

#[test]
fn what_is_wrong_in_a_cost_export_of_azure_is_named() {
    let whole = charge("Usage", "12", &[]);
    for missing in
        ["ChargeType", "CostInBillingCurrency", "Date", "BillingCurrencyCode", "Quantity", "BillingAccountId"]
    {
        let without: Row = whole.iter().filter(|(name, _)| *name != missing).cloned().collect();
        let problem = format!("bill: this looks like a cost export of Azure but lacks `{missing}`");
        assert_eq!(refusal(csv(&[without])), problem);
    }
    let rows = [
        charge("Gift", "1", &[]),
        charge("Usage", "", &[]),
        charge("Usage", "1", &[("Date", "31/12/2026")]),
        charge("Usage", "NaN", &[]),
        whole,
    ];
    let partial = scanned(vec![("bill", csv(&rows).into())]).unwrap();
    assert_eq!(
        flaws(&partial),
        [
            "bill, line 2: unknown ChargeType `Gift`",
            "bill, line 3: CostInBillingCurrency is null",
            "bill, line 4: Date is not a time: `31/12/2026`",
            "bill, line 5: CostInBillingCurrency is not an amount: `NaN`",
        ]
    );
    assert_eq!(lanes(&partial), ["usage 12 12 12 14.4 24"]);
}

// Google Cloud

/// A row; credits are pairs of type and amount.
fn usage(kind: &str, cost: &str, credits: &[(&str, &str)], cells: &[(&'static str, &str)]) -> Row {
    let credits: Vec<String> = credits
        .iter()
        .map(|(kind, amount)| {
            let kind = if kind.is_empty() { "null".to_owned() } else { format!("\"{kind}\"") };
            format!("{{\"name\":\"c\",\"amount\":{amount},\"type\":{kind}}}")
        })
        .collect();
    let base = row(&[
        ("usage_start_time", "2026-09-03T00:00:00Z"),
        ("usage_end_time", "2026-09-03T01:00:00Z"),
        ("cost_type", kind),
        ("cost", cost),
        ("cost_at_list", "12"),
        ("credits", &format!("[{}]", credits.join(","))),
        ("currency", "USD"),
        ("billing_account_id", "01-02"),
        ("usage.amount_in_pricing_units", "3"),
        ("usage.pricing_unit", "hour"),
        ("service.description", "Compute Engine"),
        ("sku.id", "S-1"),
        ("sku.description", "N2 Core"),
        ("project.id", "shop"),
        ("project.name", "Shop"),
        ("location.region", "europe-west1"),
        ("resource.global_name", "//compute.googleapis.com/projects/shop/zones/z/instance/1"),
    ]);
    with(&base, cells)
}

/// Each type of row, and what it comes to.
fn usages() -> Vec<(Row, Vec<&'static str>)> {
    let fee = [("sku.description", "Commitment v1: Cpu in EMEA for 1 Year")];
    vec![
        (usage("regular", "10", &[], &[]), vec!["usage 10 10 10 12 3"]),
        (
            usage("regular", "10", &[("SUSTAINED_USAGE_DISCOUNT", "-2.5"), ("FREE_TIER", "-0.5")], &[]),
            vec!["usage 7 7 10 12 3"],
        ),
        (usage("regular", "10", &[("COMMITTED_USAGE_DISCOUNT", "-10")], &[]), vec!["usage 0 0 10 12 3"]),
        (
            usage("regular", "10", &[("PROMOTION", "-4"), ("DISCOUNT", "-1")], &[]),
            vec!["credit -4 -4 -4 0 0", "usage 9 9 10 12 3"],
        ),
        (usage("regular", "10", &[("FEE_UTILIZATION_OFFSET", "-8")], &fee), vec!["commitment 2 2 10 12 3"]),
        (usage("tax", "10", &[("PROMOTION", "-10")], &[]), vec!["tax 0 0 10 12 3"]),
        (usage("adjustment", "-10", &[], &[]), vec!["correction -10 -10 -10 12 3"]),
        (usage("rounding_error", "0.000001", &[], &[]), vec!["correction 0.000001 0.000001 0.000001 12 3"]),
    ]
}

/// As BigQuery writes it in Parquet.
fn nested_parquet(rows: &[Row]) -> Bytes {
    let all = columns(rows);
    let cells = |name: &str| rows.iter().map(|row| cell(row, name)).collect::<Vec<_>>();
    let mut arrays: Vec<(&str, ArrayRef)> = Vec::new();
    for name in all.iter().filter(|name| !name.contains('.') && **name != "credits") {
        arrays.push((name, array(name, &cells(name))));
    }
    for record in ["usage", "service", "sku", "project", "location", "resource"] {
        let within = all.iter().filter_map(|name| Some((*name, name.strip_prefix(record)?.strip_prefix('.')?)));
        let within: Vec<(Arc<Field>, ArrayRef)> = within
            .map(|(name, inner)| {
                let inner_array = array(name.trim_end_matches("_in_pricing_units"), &cells(name));
                (Arc::new(Field::new(inner, inner_array.data_type().clone(), true)), inner_array)
            })
            .collect();
        if !within.is_empty() {
            arrays.push((record, Arc::new(StructArray::from(within))));
        }
    }
    let fields = Fields::from(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("amount", DataType::Float64, true),
        Field::new("type", DataType::Utf8, true),
    ]);
    let mut credits = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for row in rows {
        let told: serde_json::Value = serde_json::from_str(cell(row, "credits").unwrap()).unwrap();
        for credit in told.as_array().unwrap() {
            let values = credits.values();
            values.field_builder::<StringBuilder>(0).unwrap().append_option(credit["name"].as_str());
            values.field_builder::<Float64Builder>(1).unwrap().append_option(credit["amount"].as_f64());
            values.field_builder::<StringBuilder>(2).unwrap().append_option(credit["type"].as_str());
            values.append(true);
        }
        credits.append(true);
    }
    arrays.push(("credits", Arc::new(credits.finish())));
    parquet(&arrays)
}

/// As BigQuery writes it in lines of JSON: nulls are left out, records are nested.
fn json(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut object = serde_json::Map::new();
        for (name, value) in row.iter().filter(|(_, value)| !value.is_empty()) {
            let value = match *name {
                "credits" => serde_json::from_str(value).unwrap(),
                "cost" | "usage.amount_in_pricing_units" => serde_json::Value::Number(value.parse().unwrap()),
                "usage_start_time" | "usage_end_time" => value.replace('T', " ").replace('Z', " UTC").into(),
                _ => value.as_str().into(),
            };
            match name.split_once('.') {
                Some((record, inner)) => {
                    let record = object.entry(record).or_insert_with(|| serde_json::Map::new().into());
                    record.as_object_mut().unwrap().insert(inner.to_owned(), value);
                }
                None => drop(object.insert((*name).to_owned(), value)),
            }
        }
        writeln!(text, "{}", serde_json::Value::from(object)).unwrap();
    }
    text
}

#[test]
fn each_row_of_google_has_its_lane_and_costs() {
    for (usage, expected) in usages() {
        let rows = std::slice::from_ref(&usage);
        assert_eq!(lanes(&read(csv(rows))), expected, "{usage:?}");
        assert_eq!(lanes(&read(nested_parquet(rows))), expected, "{usage:?}");
        assert_eq!(lanes(&read(json(rows))), expected, "{usage:?}");
    }
}

#[test]
fn an_export_of_google_is_the_same_in_every_form() {
    let mut rows: Vec<Row> = usages().into_iter().map(|(usage, _)| usage).collect();
    // Charges of no project, region or resource.
    let none = ["project.id", "project.name", "location.region", "resource.global_name"];
    rows.push(usages()[0].0.iter().filter(|(name, _)| !none.contains(name)).cloned().collect());
    let told = written(&read(csv(&rows)));
    assert_eq!(told, written(&read(named_csv(&rows, |name| name.replace('.', "_")))));
    assert_eq!(told, written(&read(flat_parquet_of_google(&rows))));
    assert_eq!(told, written(&read(nested_parquet(&rows))));
    assert_eq!(told, written(&read(json(&rows))));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(json(&rows).as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(told, written(&read(gzip.clone())));
    assert!(refusal(gzip[..gzip.len() - 12].to_vec()).contains("the compressed file is cut off"));
    let partial = read(nested_parquet(&rows));
    let resources: Vec<&str> = partial.groups(2).iter().map(|group| group.key(0)).collect();
    assert_eq!(resources, ["", "//compute.googleapis.com/projects/shop/zones/z/instance/1"]);
}

/// Flattened, with credits as JSON.
fn flat_parquet_of_google(rows: &[Row]) -> Bytes {
    let arrays: Vec<(&str, ArrayRef)> = columns(rows)
        .into_iter()
        .map(|name| {
            let cells: Vec<Option<&str>> = rows.iter().map(|row| cell(row, name)).collect();
            (name, array(name.trim_end_matches("_in_pricing_units"), &cells))
        })
        .collect();
    parquet(&arrays)
}

#[test]
fn what_is_wrong_in_an_export_of_google_is_named() {
    let whole = usages()[0].0.clone();
    for missing in ["usage_start_time", "cost", "currency", "credits", "cost_type", "service.description"] {
        let without: Row = whole.iter().filter(|(name, _)| *name != missing).cloned().collect();
        let problem = format!("bill: this looks like a usage cost export of Google Cloud but lacks `{missing}`");
        assert_eq!(refusal(csv(std::slice::from_ref(&without))), problem);
        if missing == "cost" {
            assert_eq!(refusal(json(&[without])), problem);
        }
    }
    let rows = [
        usage("gift", "1", &[], &[]),
        usage("regular", "1", &[("GIFT", "-1")], &[]),
        usage("regular", "1", &[("", "-1")], &[]),
        usage("regular", "1", &[], &[("credits", "{'amount': 1}")]),
        whole.clone(),
    ];
    let expected = [
        "bill, line 2: unknown cost_type `gift`",
        "bill, line 3: unknown type of credit `GIFT`",
        "bill, line 4: unknown type of credit ``",
        "bill, line 5: credits is no list of credits: `{\\'amount\\': 1}`",
    ];
    let partial = scanned(vec![("bill", csv(&rows).into())]).unwrap();
    assert_eq!(flaws(&partial), expected);
    assert_eq!(lanes(&partial), ["usage 10 10 10 12 3"]);
    let text = json(std::slice::from_ref(&whole));
    let partial = scanned(vec![("bill", format!("{text}[1]\n\n{text}").into())]).unwrap();
    assert_eq!(flaws(&partial), ["bill, line 2: a line that is no row"]);
    let error = refusal(format!("{text}{}", &text[..text.len() / 2]));
    assert!(error.starts_with("bill, line 2: it is no line of JSON, or the file is cut off: "), "{error}");
    assert!(refusal("{\"a\": 1}\n").contains("lines of JSON are read of Google Cloud's usage cost only"));
}

// All

#[test]
fn native_and_focus_files_are_summed_together() {
    let native = line("Usage", &[]);
    let same = focus(&[
        ("ChargePeriodStart", "2026-09-03"),
        ("ChargePeriodEnd", "2026-09-04"),
        ("EffectiveCost", "1"),
        ("BilledCost", "1"),
        ("ServiceName", "AmazonEC2"),
        ("ProviderName", "AWS"),
        ("SubAccountId", "2"),
    ]);
    let google = usage("regular", "5", &[], &[]);
    let files = vec![("a", csv(&[native]).into()), ("b", csv(&[same]).into()), ("c", json(&[google]).into())];
    assert_eq!(lanes(&scanned(files).unwrap()), ["usage 16 16 15 24 5"]);
    let euro = charge("Usage", "12", &[]);
    let files: Vec<(&str, Bytes)> = vec![("a", csv(&[line("Usage", &[])]).into()), ("b", csv(&[euro]).into())];
    assert!(matches!(scanned(files.clone()), Err(ScanError::TwoCurrencies(_))));
    // Unless a rate makes one of them.
    let converted = |rate: &str, on: &str| {
        let rate = Rate { from: "EUR".to_owned(), on: on.parse().unwrap(), rate: Amount::parse(rate).unwrap() };
        let request = Request { rates: Rates::new("USD", vec![rate]), ..request() };
        let sources = files.iter().map(|(name, bytes)| Source::memory(*name, bytes.clone())).collect();
        scan(sources, &request, NonZeroUsize::new(2).unwrap()).unwrap()
    };
    let doubled = converted("2", "2026-09-01");
    assert_eq!((lanes(&doubled), doubled.currency()), (vec!["usage 34 34 34 40.8 26".to_owned()], Some("USD")));
    assert_eq!(flaws(&converted("2", "2026-10-01")), ["b, line 2: no rate of EUR to USD before 2026-10-01"]);
}

/// Five weeks of each cloud, and the same as FOCUS says it, compared alike.
#[test]
fn a_delta_is_the_same_from_either() {
    let first = date(2026, 8, 3);
    let (mut aws, mut azure, mut google) = (Vec::new(), Vec::new(), Vec::new());
    let mut focus_rows: [Vec<Row>; 3] = Default::default();
    for index in 0..35 {
        let day = first + index.days();
        let (from, to) = (format!("{day}T00:00:00Z"), format!("{}T00:00:00Z", day + 1.day()));
        let cost = if index < 28 { "100.10" } else { "150.30" };
        let charged = |service: &str, provider: &str, category: &str, effective: &str, billed: &str| {
            focus(&[
                ("ChargePeriodStart", &from),
                ("ChargePeriodEnd", &to),
                ("ChargeCategory", category),
                ("EffectiveCost", effective),
                ("BilledCost", billed),
                ("ServiceName", service),
                ("ServiceProviderName", provider),
            ])
        };
        for at in 0..10 {
            let service = if at < 5 { "AmazonEC2" } else { "AmazonS3" };
            let days = [("line_item_usage_start_date", from.as_str()), ("line_item_usage_end_date", to.as_str())];
            let told = [("line_item_product_code", service), ("savings_plan_savings_plan_effective_cost", cost)];
            let told = [&days[..], &told[..]].concat();
            aws.push(line("SavingsPlanCoveredUsage", &told));
            aws.push(line("SavingsPlanNegation", &told));
            aws.push(with(&line("Credit", &told), &[("line_item_unblended_cost", "-0.1")]));
            focus_rows[0].push(charged(service, "AWS", "Usage", cost, "0"));
            focus_rows[0].push(charged(service, "AWS", "Credit", "-0.1", "-0.1"));
            let date = day.strftime("%m/%d/%Y").to_string();
            let told = [("Date", date.as_str()), ("MeterCategory", service)];
            azure.push(with(&charge("Usage", cost, &told), &[("BillingCurrencyCode", "USD")]));
            focus_rows[1].push(charged(service, "Microsoft", "Usage", cost, cost));
            let told = [("usage_start_time", from.as_str()), ("usage_end_time", &to), ("service.description", service)];
            google.push(usage("regular", cost, &[("PROMOTION", "-1")], &told));
            focus_rows[2].push(charged(service, "Google Cloud", "Usage", cost, cost));
            focus_rows[2].push(charged(service, "Google Cloud", "Credit", "-1", "-1"));
        }
    }
    let terms = Terms::new(first + 36.days());
    let told = |bytes: Bytes| {
        let source = Source::memory("bill", bytes);
        let by = (By::Service, &|_: &str, _: &str| None as Option<String>);
        let bill = daily(vec![source], (by.0, by.1), Compared::Week, &terms, NonZeroUsize::MIN).unwrap();
        serde_json::to_string_pretty(&compare(&bill, &terms)).unwrap()
    };
    let natives: [Bytes; 3] = [flat_parquet(&aws), csv(&azure).into(), nested_parquet(&google)];
    for (native, same) in natives.into_iter().zip(&focus_rows) {
        let report = told(native);
        assert_eq!(report, told(csv(same).into()));
        assert!(report.contains("\"outcome\": \"rise\""), "{report}");
    }
}

#[test]
fn names_of_any_kind_are_inert() {
    let hostile = "\u{1b}[31m'; DROP TABLE bills; --\u{202e}";
    let rows = [line(hostile, &[]), line("Usage", &[("line_item_resource_id", hostile)])];
    let partial = scanned(vec![("bill", csv(&rows).into())]).unwrap();
    let flaw = flaws(&partial).remove(0);
    assert!(flaw.contains("unknown line_item_line_item_type `\\u{1b}[31m"), "{flaw}");
    assert!(!flaw.contains('\u{1b}'));
    let long = "x".repeat(5000);
    let partial = scanned(vec![("bill", csv(&[line("Usage", &[("line_item_resource_id", &long)])]).into())]).unwrap();
    assert_eq!(partial.excluded().rows, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// The order of rows changes nothing, nor does the form of the file.
    #[test]
    fn rows_may_come_in_any_order(
        picked in prop::collection::vec((0_usize..15, 1_u32..31, -2_000_000_i64..9_000_000), 1..40)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let amount = |cost: i64| format!("{}.{:07}", cost / 10_000_000, (cost % 10_000_000).abs());
        let all = |picked: &[(usize, u32, i64)]| -> [Vec<Row>; 3] {
            let aws = picked.iter().map(|(kind, day, cost)| {
                let from = format!("2026-09-{day:02}T00:00:00Z");
                let cells = [("line_item_usage_start_date", from.as_str()), ("line_item_usage_end_date", &from)];
                with(&with(&lines()[*kind].0, &cells), &[("line_item_unblended_cost", &amount(*cost))])
            });
            let azure = picked.iter().map(|(kind, day, cost)| {
                let date = format!("09/{day:02}/2026");
                with(&charges()[kind % 10].0, &[("Date", &date), ("CostInBillingCurrency", &amount(*cost))])
            });
            let google = picked.iter().map(|(kind, day, cost)| {
                let from = format!("2026-09-{day:02}T00:00:00Z");
                let cells = [("usage_start_time", from.as_str()), ("usage_end_time", &from)];
                with(&with(&usages()[kind % 8].0, &cells), &[("cost", &amount(*cost))])
            });
            [aws.collect(), azure.collect(), google.collect()]
        };
        // Every column in every file: what a file has no column for is told of.
        let columned = |rows: Vec<Row>, all: &[Row]| -> Vec<Row> {
            let names = columns(all);
            let fill = |row: &Row| {
                let missing: Vec<(&'static str, &str)> =
                    names.iter().filter(|name| cell(row, name).is_none()).map(|name| (*name, "")).collect();
                with(row, &missing)
            };
            rows.iter().map(fill).collect()
        };
        let every = lines().into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        let ([aws, azure, google], [aws_too, azure_too, google_too]) = (all(&picked.0), all(&picked.1));
        let told = written(&read(csv(&columned(aws, &every))));
        prop_assert_eq!(told, written(&read(csv(&columned(aws_too, &every)))));
        let told = written(&read(csv(&azure)));
        prop_assert_eq!(told, written(&read(flat_parquet(&azure_too))));
        let told = written(&read(csv(&google)));
        prop_assert_eq!(&told, &written(&read(nested_parquet(&google_too))));
        prop_assert_eq!(&told, &written(&read(json(&google_too))));
        let (one, other) = google_too.split_at(google_too.len() / 2);
        if !one.is_empty() {
            let split = scanned(vec![("one", json(one).into()), ("other", nested_parquet(other))]).unwrap();
            prop_assert_eq!(&told, &written(&split));
        }
    }
}
