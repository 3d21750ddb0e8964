//! Scans of bills, from outside: the same charges give the same bytes however they are cut, written or merged, and what
//! cannot be understood is named.

#![expect(clippy::unwrap_used, reason = "a test that fails should say where")]

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use jiff::civil::date;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression as Codec, GzipLevel, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
};
use proptest::prelude::*;
use std::{collections::BTreeMap, io::Write, num::NonZeroUsize, sync::Arc};
use sweeper_bill::{
    engine::{ScanError, scan},
    focus::Lane,
    partial::Partial,
    rates::{self, Rate, Rates},
    request::{Key, Measure, Request, Rollup, Spread, Window},
    source::Source,
};
use sweeper_core::money::Amount;

#[path = "engine/cache.rs"]
mod cache;
#[path = "engine/objects.rs"]
mod objects;

const DAY: i64 = 86_400_000;
/// 2026-09-01.
const START: i64 = 20_697 * DAY;

#[derive(Clone, Debug)]
struct Row {
    resource: Option<String>,
    account: String,
    service: String,
    sku: Option<String>,
    start: i64,
    end: i64,
    category: &'static str,
    class: Option<&'static str>,
    status: Option<&'static str>,
    currency: Option<&'static str>,
    billed: Option<f64>,
    effective: f64,
    contracted: Option<f64>,
    list: f64,
    quantity: Option<f64>,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            resource: Some("arn:aws:ec2:eu-west-1:1:volume/vol-1".into()),
            account: "111111111111".into(),
            service: "Compute".into(),
            sku: Some("SKU1".into()),
            start: START,
            end: START + DAY,
            category: "Usage",
            class: None,
            status: None,
            currency: Some("USD"),
            billed: Some(1.0),
            effective: 1.0,
            contracted: Some(1.0),
            list: 1.0,
            quantity: Some(1.0),
        }
    }
}

/// How a Parquet file is written.
#[derive(Clone, Debug)]
struct Written {
    codec: Codec,
    dictionary: bool,
    /// Rows of a row group.
    group: usize,
    statistics: bool,
}

impl Default for Written {
    fn default() -> Self {
        Self { codec: Codec::SNAPPY, dictionary: true, group: 1000, statistics: true }
    }
}

fn columns(rows: &[Row]) -> Vec<(&'static str, ArrayRef)> {
    let text = |of: &dyn Fn(&Row) -> Option<String>| Arc::new(rows.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let number = |of: &dyn Fn(&Row) -> Option<f64>| Arc::new(rows.iter().map(of).collect::<Float64Array>()) as ArrayRef;
    let time = |of: &dyn Fn(&Row) -> i64| {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<TimestampMillisecondArray>().with_timezone("UTC"))
            as ArrayRef
    };
    vec![
        ("BilledCost", number(&|row| row.billed)),
        ("BillingCurrency", text(&|row| row.currency.map(Into::into))),
        ("ChargeCategory", text(&|row| Some(row.category.into()))),
        ("ChargeClass", text(&|row| row.class.map(Into::into))),
        ("ChargePeriodEnd", time(&|row| row.end)),
        ("ChargePeriodStart", time(&|row| row.start)),
        ("CommitmentDiscountStatus", text(&|row| row.status.map(Into::into))),
        ("ContractedCost", number(&|row| row.contracted)),
        ("EffectiveCost", number(&|row| Some(row.effective))),
        ("ListCost", number(&|row| Some(row.list))),
        ("PricingQuantity", number(&|row| row.quantity)),
        ("ResourceId", text(&|row| row.resource.clone())),
        ("ServiceName", text(&|row| Some(row.service.clone()))),
        ("SkuPriceId", text(&|row| row.sku.clone())),
        ("SubAccountId", text(&|row| Some(row.account.clone()))),
        ("Tags", text(&|_| Some("{\"owner\": \"a, b\"}".into()))),
    ]
}

fn parquet_of(columns: &[(&str, ArrayRef)], how: &Written) -> Bytes {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let statistics = if how.statistics { EnabledStatistics::Page } else { EnabledStatistics::None };
    let properties = WriterProperties::builder()
        .set_compression(how.codec)
        .set_dictionary_enabled(how.dictionary)
        .set_max_row_group_row_count(Some(how.group))
        .set_statistics_enabled(statistics)
        .build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, Arc::clone(&schema), Some(properties)).unwrap();
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.close().unwrap();
    out.into()
}

fn parquet(rows: &[Row]) -> Bytes {
    parquet_of(&columns(rows), &Written::default())
}

const HEADER: &str = "BilledCost,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodEnd,ChargePeriodStart,\
                      CommitmentDiscountStatus,ContractedCost,EffectiveCost,ListCost,PricingQuantity,ResourceId,\
                      ServiceName,SkuPriceId,SubAccountId,Tags\n";

fn csv(rows: &[Row]) -> String {
    let mut text = HEADER.to_owned();
    let time = |millis: i64| jiff::Timestamp::from_millisecond(millis).unwrap().to_string();
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let quoted = |value: &str| {
        if value.contains([',', '"', '\n']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
    };
    for row in rows {
        let fields = [
            number(row.billed),
            row.currency.unwrap_or_default().to_owned(),
            row.category.to_owned(),
            row.class.unwrap_or_default().to_owned(),
            time(row.end),
            time(row.start),
            row.status.unwrap_or_default().to_owned(),
            number(row.contracted),
            number(Some(row.effective)),
            number(Some(row.list)),
            number(row.quantity),
            row.resource.clone().unwrap_or_default(),
            row.service.clone(),
            row.sku.clone().unwrap_or_default(),
            row.account.clone(),
            "{\"owner\": \"a, b\",\n \"x\": true}".to_owned(),
        ];
        text += &fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",");
        text.push('\n');
    }
    text
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn window() -> Window {
    Window { from: date(2026, 9, 1), to: date(2026, 9, 29) }
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

/// What the bill's delta asks, and the two questions of the bench.
fn request(spread: Spread) -> Request {
    let halves = vec![Window { to: date(2026, 9, 15), ..window() }, Window { from: date(2026, 9, 15), ..window() }];
    let rollup =
        |keys: &[Key], attributes: &[Key], windows: Vec<Window>, measures: &[Measure], lanes: &[Lane]| Rollup {
            keys: keys.to_vec(),
            attributes: attributes.to_vec(),
            windows,
            measures: measures.to_vec(),
            lanes: lanes.to_vec(),
        };
    let days = || window().by_day();
    let rollups = vec![
        rollup(&[Key::Resource], &[Key::Account, Key::Service], halves.clone(), &[Measure::Effective], &[]),
        rollup(&[Key::Resource, Key::SkuPrice], &[Key::Service], halves, &ALL, &[Lane::Usage]),
        rollup(&[Key::Account, Key::Service], &[], days(), &[Measure::Effective], &[]),
        rollup(&[Key::Lane], &[], days(), &ALL[..5], &[]),
        rollup(&[], &[], days(), &[Measure::Rows], &[Lane::Usage]),
        rollup(&[Key::Service, Key::Account, Key::Region], &[], vec![window()], &[Measure::Billed], &[]),
        rollup(&[Key::Service], &[], days(), &[Measure::Effective, Measure::Billed], &[Lane::Usage]),
    ];
    Request { rollups, spread, ..Request::default() }
}

fn scanned(sources: Vec<Source>, threads: usize) -> Result<Partial, ScanError> {
    scan(sources, &request(Spread::Days), NonZeroUsize::new(threads).unwrap())
}

fn one(content: impl Into<Bytes>) -> Result<Partial, ScanError> {
    scanned(vec![Source::memory("bill", content)], 2)
}

fn bytes(partial: &Partial) -> Vec<u8> {
    let mut out = Vec::new();
    partial.write(&mut out).unwrap();
    out
}

fn usd(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// The sum of a measure over all groups and windows of a roll-up.
fn total(partial: &Partial, rollup: usize, measure: Measure) -> Amount {
    let windows = partial.request().rollups[rollup].windows.len();
    let groups = partial.groups(rollup);
    groups.iter().flat_map(|group| (0..windows).map(|window| group.amount(window, measure))).sum()
}

fn refused(result: Result<Partial, ScanError>) -> String {
    match result {
        Ok(_) => panic!("it was read"),
        Err(error) => error.to_string(),
    }
}

fn flaws(partial: &Partial) -> Vec<String> {
    partial.excluded().first.iter().map(ToString::to_string).collect()
}

fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    let money = || {
        prop_oneof![
            8 => (-1_000_000_i64..10_000_000).prop_map(|cents| cents as f64 / 10_000.0),
            2 => -1.0..100.0,
            1 => Just(0.0),
            1 => 1e7..1e13,
        ]
    };
    let resource = prop_oneof![
        1 => Just(None),
        6 => (0..40_u32).prop_map(|number| Some(format!("arn:aws:ec2:eu-west-1:1:volume/vol-{number:04}"))),
        1 => (0..4_u32, any::<bool>()).prop_map(|(number, upper)| {
            let id = format!("/subscriptions/S/resourceGroups/Group-{number}/disks/a,\"b\"");
            Some(if upper { id.to_uppercase() } else { id })
        }),
    ];
    let category = prop_oneof![8 => Just("Usage"), 1 => Just("Purchase"), 1 => Just("Credit"), 1 => Just("Tax"), 1 => Just("Adjustment")];
    let kind = (
        category,
        prop_oneof![8 => Just(None), 1 => Just(Some("Correction"))],
        prop_oneof![3 => Just(None), 1 => Just(Some("Used")), 1 => Just(Some("Unused"))],
    );
    // From before the first day to after the last, mostly days, some hours and months.
    let period =
        (-3 * 24_i64..32 * 24, prop_oneof![2 => Just(1_i64), 6 => Just(24), 1 => 26_i64..31 * 24, 1 => Just(0)]);
    let names = (resource, 0..4_u8, 0..5_u8, proptest::option::of(0..5_u8));
    let amounts = (money(), money(), proptest::option::of(money()), money(), proptest::option::of(money()));
    let row = (names, kind, period, amounts).prop_map(
        |((resource, account, service, sku), kind, (start, hours), amounts)| Row {
            resource,
            account: format!("{account}"),
            service: format!("Service {service}"),
            sku: sku.map(|sku| format!("SKU{sku}")),
            start: START + start * 3_600_000,
            end: START + (start + hours) * 3_600_000,
            category: kind.0,
            class: kind.1,
            status: kind.2,
            billed: Some(amounts.0),
            effective: amounts.1,
            contracted: amounts.2,
            list: amounts.3,
            quantity: amounts.4,
            ..Row::default()
        },
    );
    proptest::collection::vec(row, 1..most)
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![
        Just(Codec::SNAPPY),
        Just(Codec::UNCOMPRESSED),
        Just(Codec::ZSTD(ZstdLevel::default())),
        Just(Codec::GZIP(GzipLevel::default())),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    (codec(), any::<bool>(), 1..60_usize, any::<bool>()).prop_map(|(codec, dictionary, group, statistics)| Written {
        codec,
        dictionary,
        group,
        statistics,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_same_charges_give_the_same_bytes(
        mut rows in rows(120),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..3_u8, written()), 0..5),
        swaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..50),
        threads in 1..5_usize,
    ) {
        let whole = bytes(&one(parquet(&rows)).unwrap());
        prop_assert_eq!(&bytes(&one(csv(&rows)).unwrap()), &whole);
        for (left, right) in swaps {
            let (left, right) = (left.index(rows.len()), right.index(rows.len()));
            rows.swap(left, right);
        }
        // Cut anywhere, each piece written in another way.
        let mut rest = rows.as_slice();
        let mut sources = Vec::new();
        for (number, (cut, format, how)) in cuts.iter().enumerate() {
            let (piece, after) = rest.split_at(cut.index(rest.len() + 1));
            rest = after;
            let content: Bytes = match format {
                0 => csv(piece).into(),
                1 => gzip(csv(piece).as_bytes()).into(),
                _ => parquet_of(&columns(piece), how),
            };
            sources.push(Source::memory(format!("piece {number}"), content));
        }
        sources.push(Source::memory("rest", parquet(rest)));
        let together = scanned(sources.clone(), threads).unwrap();
        prop_assert_eq!(&bytes(&together), &whole);
        sources.reverse();
        prop_assert_eq!(&bytes(&scanned(sources.clone(), 1).unwrap()), &whole);
        // One partial a file, written down, read back and merged.
        let merged = sources.into_iter().map(|source| {
            let written = bytes(&scanned(vec![source], 1).unwrap());
            let read = Partial::read(written.as_slice()).unwrap();
            assert_eq!(bytes(&read), written);
            read
        }).reduce(|left, right| left.merge(right).unwrap()).unwrap();
        prop_assert_eq!(&bytes(&merged), &whole);
    }

    #[test]
    fn sums_are_those_of_adding_up_by_hand(rows in rows(80)) {
        let partial = scan(vec![Source::memory("bill", parquet(&rows))], &request(Spread::Start), NonZeroUsize::MIN).unwrap();
        let mut expected: BTreeMap<(String, String), Amount> = BTreeMap::new();
        for row in rows.iter().filter(|row| (START..START + 28 * DAY).contains(&row.start)) {
            let sum = expected.entry((row.account.clone(), row.service.clone())).or_default();
            *sum += usd(&row.effective.to_string());
        }
        let found: BTreeMap<(String, String), Amount> = partial.groups(2).iter().map(|group| {
            let sum = (0..28).map(|window| group.amount(window, Measure::Effective)).sum();
            ((group.key(0).to_owned(), group.key(1).to_owned()), sum)
        }).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_credit_is_summed_and_a_cell_that_overflows_is_carried() {
    let big = Row { effective: 9e12, ..Row::default() };
    let rows =
        vec![big.clone(), big.clone(), Row { effective: -8.5e12, ..big }, Row { effective: -0.1, ..Row::default() }];
    let partial = one(parquet(&rows)).unwrap();
    assert_eq!(total(&partial, 0, Measure::Effective), usd("9499999999999.9"));
    assert_eq!(partial.excluded().rows, 0);
    assert_eq!(partial.currency(), Some("USD"));
}

#[test]
fn zero_beside_an_effective_cost_is_unknown() {
    let rows = [
        Row { contracted: Some(0.0), list: 0.0, ..Row::default() },
        Row { contracted: None, ..Row::default() },
        Row { contracted: Some(0.0), list: 0.0, effective: 0.0, ..Row::default() },
        Row::default(),
    ];
    for content in [parquet(&rows), csv(&rows).into()] {
        let partial = one(content).unwrap();
        let groups = partial.groups(1);
        assert_eq!((groups[0].count(0, Measure::ContractedUnknown), groups[0].count(0, Measure::ListUnknown)), (2, 1));
        assert_eq!(groups[0].amount(0, Measure::Contracted), usd("1"));
        assert_eq!(groups[0].count(0, Measure::Rows), 4);
    }
}

#[test]
fn ids_of_azure_are_one_in_any_case_and_others_are_not() {
    let row = |id: &str| Row { resource: Some(id.to_owned()), ..Row::default() };
    let azure = "/subscriptions/A/resourceGroups/B/providers/Microsoft.Compute/disks/C";
    let google = "//compute.googleapis.com/projects/p/zones/z/disks/D";
    let rows =
        [row(azure), row(&azure.to_lowercase()), row(google), row(&google.to_lowercase()), row("i-1"), row("I-1")];
    for content in [
        parquet(&rows),
        parquet_of(&columns(&rows), &Written { dictionary: false, ..Written::default() }),
        csv(&rows).into(),
    ] {
        let partial = one(content).unwrap();
        let groups = partial.groups(0);
        let keys: Vec<&str> = groups.iter().map(|group| group.key(0)).collect();
        let lower = azure.to_lowercase();
        assert_eq!(keys, [google, &google.to_lowercase(), &lower, "I-1", "i-1"]);
        assert_eq!(groups[keys.iter().position(|key| *key == lower).unwrap()].amount(0, Measure::Effective), usd("2"));
    }
}

#[test]
fn an_attribute_is_the_smallest_of_several() {
    let rows = [
        Row { service: "Storage".into(), ..Row::default() },
        Row { service: "Compute".into(), ..Row::default() },
        Row { service: String::new(), ..Row::default() },
    ];
    let partial = one(parquet(&rows)).unwrap();
    assert_eq!(partial.groups(0)[0].attributes().collect::<Vec<_>>(), ["111111111111", "Compute"]);
}

#[test]
fn the_largest_come_first_and_equal_ones_by_name() {
    let row = |id: &str, effective: f64| Row { resource: Some(id.to_owned()), effective, ..Row::default() };
    let rows = [row("b", 2.0), row("a", 2.0), row("c", 5.0), row("d", 1.0)];
    let partial = one(parquet(&rows)).unwrap();
    let top = partial.top(0, 3, |group| Some(group.amount(0, Measure::Effective)));
    assert_eq!(top.iter().map(|group| group.key(0)).collect::<Vec<_>>(), ["c", "a", "b"]);
    assert!(partial.top(0, 3, |_| None::<Amount>).is_empty());
}

#[test]
fn a_row_that_cannot_be_counted_is_left_out_and_named() {
    for (bad, problem) in [
        (Row { effective: f64::NAN, ..Row::default() }, "EffectiveCost is not an amount: `NaN`"),
        (Row { billed: Some(f64::INFINITY), ..Row::default() }, "BilledCost is not an amount: `inf`"),
        (Row { list: 1e300, ..Row::default() }, "ListCost is not an amount"),
        (Row { billed: None, ..Row::default() }, "BilledCost is not an amount: `null`"),
        (Row { currency: None, ..Row::default() }, "no BillingCurrency"),
        (Row { category: "Gift", ..Row::default() }, "unknown ChargeCategory `Gift`"),
        (Row { class: Some("Odd"), ..Row::default() }, "unknown ChargeClass `Odd`"),
        (Row { end: START - DAY, ..Row::default() }, "ChargePeriodEnd is before ChargePeriodStart"),
        (Row { end: START + 400 * DAY, ..Row::default() }, "a period of more than 366 days"),
        (Row { start: 0, ..Row::default() }, "ChargePeriodStart is in the year 1970"),
        (Row { resource: Some("x".repeat(5000)), ..Row::default() }, "ResourceId has 5000 bytes"),
    ] {
        let rows = [Row::default(), Row::default(), bad, Row::default()];
        for (dictionary, group) in [(true, 1000), (false, 1000), (true, 1)] {
            let how = Written { dictionary, group, ..Written::default() };
            let partial = one(parquet_of(&columns(&rows), &how)).unwrap();
            let place = if group == 1 { "bill, row group 2, row 0: " } else { "bill, row group 0, row 2: " };
            assert_eq!(partial.excluded().rows, 1, "{problem}");
            assert!(flaws(&partial)[0].starts_with(&format!("{place}{problem}")), "{:?}", flaws(&partial));
            assert_eq!(total(&partial, 0, Measure::Effective), usd("3"), "{problem}");
        }
        let partial = one(csv(&rows)).unwrap();
        assert_eq!((partial.excluded().rows, total(&partial, 0, Measure::Effective)), (1, usd("3")), "{problem}");
        // Each row before it is two lines: its tags hold a line end.
        assert!(flaws(&partial)[0].starts_with("bill, line 6: "), "{:?}", flaws(&partial));
    }
    let many = vec![Row { effective: f64::NAN, ..Row::default() }; 200];
    let partial = one(parquet(&many)).unwrap();
    assert_eq!((partial.excluded().rows, partial.excluded().first.len()), (200, 50));
    assert_eq!(flaws(&partial)[49], "bill, row group 0, row 49: EffectiveCost is not an amount: `NaN`");
    assert!(partial.groups(0).is_empty());
}

#[test]
fn a_missing_or_doubled_column_is_named() {
    let rows = [Row::default()];
    for (name, mandatory) in [
        ("BilledCost", true),
        ("EffectiveCost", true),
        ("ContractedCost", true),
        ("ListCost", true),
        ("BillingCurrency", true),
        ("ChargeCategory", true),
        ("ChargeClass", true),
        ("ChargePeriodStart", true),
        ("ChargePeriodEnd", true),
        ("ServiceName", true),
        ("PricingQuantity", true),
        ("CommitmentDiscountStatus", false),
        ("ResourceId", false),
        ("SubAccountId", false),
        ("Tags", false),
    ] {
        let mut left = columns(&rows);
        left.retain(|(column, _)| *column != name);
        let without = csv(&rows).replacen(name, "Other", 1);
        for content in [parquet_of(&left, &Written::default()), without.into()] {
            match one(content) {
                Ok(_) => assert!(!mandatory, "{name}"),
                Err(error) => {
                    assert_eq!(error.to_string(), format!("bill: it has no column {name}, which FOCUS requires"));
                }
            }
        }
    }
    let doubled = csv(&rows).replacen("Tags", "effectivecost", 1);
    assert_eq!(refused(one(doubled)), "bill: it has two columns EffectiveCost");
}

#[test]
fn columns_are_found_by_name_in_any_case() {
    let mut moved = columns(&[Row::default(), Row { effective: 2.5, ..Row::default() }]);
    moved.reverse();
    let lower: Vec<(String, ArrayRef)> = moved.into_iter().map(|(name, array)| (name.to_lowercase(), array)).collect();
    let lower: Vec<(&str, ArrayRef)> = lower.iter().map(|(name, array)| (name.as_str(), Arc::clone(array))).collect();
    let partial = one(parquet_of(&lower, &Written::default())).unwrap();
    assert_eq!(total(&partial, 0, Measure::Effective), usd("3.5"));
    let odd = "\u{feff}\"x_Extra\", effectivecost ,BilledCost,ContractedCost,ListCost,PricingQuantity,BillingCurrency,ChargeCategory,\
               ChargeClass,ChargePeriodStart,ChargePeriodEnd,ServiceName\r\n\r\n\
               1,2.5,1,1,1,NULL,USD,Usage,null,2026-09-02 00:00:00,2026-09-03,\"a \"\"b\"\", c\"\r\n";
    let partial = one(odd).unwrap();
    assert_eq!(total(&partial, 0, Measure::Effective), usd("2.5"));
    assert_eq!(partial.groups(2)[0].key(1), "a \"b\", c");
}

#[test]
fn other_types_of_columns_are_understood_or_refused() {
    let rows = [
        Row { effective: 0.1, ..Row::default() },
        Row { effective: 0.2, start: START + DAY, end: START + 2 * DAY, ..Row::default() },
    ];
    let whole = bytes(&one(parquet(&rows)).unwrap());
    let with = |name: &str, array: ArrayRef| {
        let mut columns = columns(&rows);
        columns.iter_mut().find(|(column, _)| *column == name).unwrap().1 = array;
        parquet_of(&columns, &Written::default())
    };
    let decimals = |values: Vec<i128>, precision, scale| {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap()) as ArrayRef
    };
    for (name, array) in [
        ("EffectiveCost", decimals(vec![10, 20], 9, 2)),
        ("EffectiveCost", decimals(vec![100, 200], 18, 3)),
        ("EffectiveCost", decimals(vec![10_i128.pow(17), 2 * 10_i128.pow(17)], 38, 18)),
        ("EffectiveCost", Arc::new(StringArray::from(vec!["0.1", "2e-1"])) as ArrayRef),
        ("ListCost", Arc::new(arrow_array::Int64Array::from(vec![1, 1])) as ArrayRef),
        ("ChargePeriodStart", Arc::new(Date32Array::from(vec![20_697, 20_698])) as ArrayRef),
        ("ChargePeriodStart", Arc::new(StringArray::from(vec!["2026-09-01", "2026-09-02T00:00:00Z"])) as ArrayRef),
        (
            "ChargePeriodStart",
            Arc::new(TimestampMicrosecondArray::from(vec![START * 1000, (START + DAY) * 1000])) as ArrayRef,
        ),
    ] {
        let kind = array.data_type().clone();
        assert_eq!(bytes(&one(with(name, array)).unwrap()), whole, "{name} as {kind}");
    }
    let error = refused(one(with("EffectiveCost", Arc::new(arrow_array::BooleanArray::from(vec![true, false])))));
    assert_eq!(error, "bill: its column EffectiveCost is of the type Boolean, which is not understood");
    let error = refused(one(with("ServiceName", Arc::new(arrow_array::Int64Array::from(vec![1, 2])))));
    assert!(error.contains("ServiceName is of the type Int64"), "{error}");
    let bad = with("ChargePeriodStart", Arc::new(StringArray::from(vec!["09/01/2026", "2026-09-02"])));
    assert_eq!(flaws(&one(bad).unwrap()), ["bill, row group 0, row 0: ChargePeriodStart is not a time: `09/01/2026`"]);
}

#[test]
fn two_currencies_are_refused_with_both_places() {
    let euro = Row { currency: Some("EUR"), ..Row::default() };
    let error = refused(one(parquet(&[Row::default(), euro.clone()])));
    assert_eq!(
        error,
        "bill, row group 0, row 1: a charge in EUR, and one in USD at bill, row group 0, row 0; amounts of two currencies have no sum"
    );
    for threads in 1..4 {
        let sources = vec![
            Source::memory("b.csv", csv(std::slice::from_ref(&euro))),
            Source::memory("a.parquet", parquet(&[Row::default()])),
        ];
        let error = refused(scanned(sources, threads));
        assert!(
            error.starts_with("b.csv, line 2: a charge in EUR, and one in USD at a.parquet, row group 0, row 0"),
            "{error}"
        );
    }
    let (left, right) = (one(csv(&[euro])).unwrap(), one(csv(&[Row::default()])).unwrap());
    assert!(left.merge(right).unwrap_err().to_string().contains("a partial in EUR and one in USD"));
}

#[test]
fn other_currencies_are_converted_at_the_rate_of_the_day() {
    let rate = |rate: &str, on| Rate { from: "EUR".to_owned(), on, rate: usd(rate) };
    let asked = |first: &str| {
        let rates = Rates::new("USD", vec![rate(first, date(2026, 9, 3)), rate("2", date(2026, 9, 10))]);
        Request { rates, ..request(Spread::Days) }
    };
    let of_day = |day: i64, currency| Row {
        start: START + day * DAY,
        end: START + (day + 1) * DAY,
        currency: Some(currency),
        effective: 10.0,
        ..Row::default()
    };
    let rows = [Row::default(), of_day(0, "EUR"), of_day(8, "EUR"), of_day(9, "EUR"), of_day(9, "USD")];
    let scanned = |content: Bytes, request: &Request| {
        scan(vec![Source::memory("bill", content)], request, NonZeroUsize::new(2).unwrap())
    };
    let said = "no rate of EUR to USD before 2026-09-03";
    for (content, place) in [(Bytes::from(csv(&rows)), "line 4"), (parquet(&rows), "row group 0, row 1")] {
        let found = scanned(content.clone(), &asked("1.5")).unwrap();
        assert_eq!(found.currency(), Some("USD"));
        // A dollar, the rates of the 9th and the 10th, and ten dollars; the euros of the 1st are in no sum.
        assert_eq!(total(&found, 3, Measure::Effective), usd("46"));
        assert_eq!(total(&found, 3, Measure::Billed), usd("5.5"));
        assert_eq!(total(&found, 3, Measure::Quantity), usd("4"), "what is no money stays");
        assert_eq!(flaws(&found), [format!("bill, {place}: {said}")]);
        assert_eq!(rates::said(&found.rates()), "EUR at 1.5 of 2026-09-03, EUR at 2 of 2026-09-10");
        let read = Partial::read(bytes(&found).as_slice()).unwrap();
        assert_eq!((bytes(&read), read.rates()), (bytes(&found), found.rates()));
        let other = scanned(content, &asked("1.6")).unwrap();
        assert!(found.merge(other).unwrap_err().to_string().contains("different requests"));
    }
    // What has no rate at all stays what it is.
    let francs = scanned(csv(&[of_day(9, "CHF")]).into(), &asked("1.5")).unwrap();
    assert_eq!((francs.currency(), francs.rates()), (Some("CHF"), Vec::new()));
    let two = refused(scanned(csv(&[of_day(9, "CHF"), of_day(9, "EUR")]).into(), &asked("1.5")));
    assert!(two.contains("a charge in USD, and one in CHF"), "{two}");
}

#[test]
fn a_parquet_file_cut_anywhere_is_refused_and_named() {
    let rows: Vec<Row> = (0..200).map(|count| Row { effective: f64::from(count), ..Row::default() }).collect();
    let whole = parquet_of(&columns(&rows), &Written { group: 50, ..Written::default() });
    for cut in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let sources = vec![Source::memory("good", parquet(&rows)), Source::memory("cut", whole.slice(..cut))];
        let error = refused(scanned(sources, 2));
        assert!(error.starts_with("cut"), "{cut}: {error}");
    }
    // A page that was overwritten with nothing.
    let mut broken = whole.to_vec();
    for byte in &mut broken[4..2000] {
        *byte = 0;
    }
    let error = refused(one(broken));
    assert!(error.starts_with("bill, row group 0: it cannot be read") || error.contains("decoder failed"), "{error}");
}

#[test]
fn files_on_disk_are_read_by_several_threads_at_once() {
    let place = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine");
    std::fs::create_dir_all(&place).unwrap();
    let rows: Vec<Row> = (0..3000)
        .map(|count| Row { effective: f64::from(count), resource: Some(format!("vol-{count}")), ..Row::default() })
        .collect();
    let path = place.join("bill.parquet");
    std::fs::write(&path, parquet_of(&columns(&rows), &Written { group: 100, ..Written::default() })).unwrap();
    let whole = bytes(&one(csv(&rows)).unwrap());
    for threads in [1, 2, 7] {
        assert_eq!(bytes(&scanned(vec![Source::file(&path)], threads).unwrap()), whole, "{threads} threads");
    }
}

#[test]
fn every_refused_file_is_named() {
    let sources = vec![Source::memory("b", "x,y\n"), Source::memory("a", ""), Source::file("/nowhere/c.parquet")];
    for threads in 1..4 {
        let error = refused(scanned(sources.clone(), threads));
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[0].starts_with("/nowhere/c.parquet: ") && lines[1] == "a: it is empty", "{error}");
        assert_eq!(lines[2], "b: it has no column ChargePeriodStart, which FOCUS requires");
    }
    assert!(scanned(vec![], 2).unwrap().groups(0).is_empty());
}

#[test]
fn gzip_is_read_in_parts_and_a_cut_one_refused() {
    let rows: Vec<Row> = (0..500).map(|count| Row { effective: f64::from(count), ..Row::default() }).collect();
    let text = csv(&rows);
    let whole = bytes(&one(text.clone()).unwrap());
    let (head, tail) = text.as_bytes().split_at(text.len() / 2);
    assert_eq!(bytes(&one([gzip(head), gzip(tail)].concat()).unwrap()), whole);
    let squeezed = gzip(text.as_bytes());
    for cut in [3, squeezed.len() / 2, squeezed.len() - 1] {
        let error = refused(one(squeezed[..cut].to_vec()));
        assert!(error.starts_with("bill, line ") && error.contains("the compressed file is cut off"), "{error}");
    }
    let mut broken = squeezed.clone();
    let last = broken.len() - 6;
    broken[last] ^= 1;
    assert!(refused(one(broken)).contains("the compressed file is broken"));
}

#[test]
fn a_csv_cut_anywhere_is_refused_or_ends_with_a_whole_row() {
    let order = "ServiceName,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,ChargePeriodEnd,ListCost,\
                 ContractedCost,PricingQuantity,BilledCost,EffectiveCost\n";
    let row = "\"Com\"\"pute\",USD,Usage,,2026-09-01,2026-09-02,1,1,1,12.34,12.34\n";
    let text = order.to_owned() + &row.repeat(3);
    for cut in 0..text.len() {
        if let Ok(partial) = one(text[..cut].to_owned()) {
            let whole = text[..cut].matches("12.34\n").count() as i64;
            assert!(cut + 1 == order.len() || text[..cut].ends_with('\n'), "cut at {cut}");
            assert_eq!(total(&partial, 0, Measure::Effective), usd("12.34").times(whole), "cut at {cut}");
        }
    }
    for (broken, problem) in [
        (text.replacen("Usage,,", "Usage,,,", 1), "bill, line 2: it has 12 fields, the header 11"),
        (text.replacen("\"Com", "\"C\"om", 1), "bill, line 2: text after a quoted field"),
        (order.to_owned() + &"x".repeat(40 << 20), "bill, line 2: a row that is longer than 16 MiB"),
        (text.replacen("\"Com", "\"Com\n", 1).replacen("12.34\n", "12.34,\n", 2), "bill, line 2: it has 12 fields"),
    ] {
        let error = refused(one(broken));
        assert!(error.starts_with(problem), "{error}");
    }
}

#[test]
fn a_partial_that_is_cut_or_foreign_is_refused() {
    let rows: Vec<Row> = (0..5).map(|count| Row { sku: Some(format!("S{count}")), ..Row::default() }).collect();
    let partial = one(parquet(&rows)).unwrap();
    let whole = bytes(&partial);
    for cut in (0..whole.len()).step_by(11).chain([whole.len() - 1]) {
        assert!(Partial::read(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let text = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = [&lines[..3], &lines[4..]].concat().join("\n") + "\n";
    assert!(Partial::read(without.as_bytes()).unwrap_err().to_string().contains("groups, not"), "a line is missing");
    let foreign = text.replacen("bill-partial/1", "bill-partial/9", 1);
    assert!(Partial::read(foreign.as_bytes()).unwrap_err().to_string().contains("another format"));
    let other = scan(vec![], &request(Spread::Start), NonZeroUsize::MIN).unwrap();
    assert_eq!(partial.merge(other).unwrap_err().to_string(), "partials of different requests");
}
