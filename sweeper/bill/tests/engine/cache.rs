//! What was found in closed months is kept, and changes no byte of an answer.

use super::{objects::Bucket, *};
use jiff::civil::Date;
use serde_json::json;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use sweeper_bill::{
    cache::{Files, Shelf},
    export::find_in,
    source::Objects,
};

/// Keeps entries in memory.
#[derive(Debug, Default)]
struct Kept {
    entries: Mutex<BTreeMap<String, Vec<u8>>>,
    puts: AtomicUsize,
}

impl Shelf for Kept {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.entries.lock().unwrap().get(name).cloned()
    }

    fn put(&self, name: &str, entry: &[u8]) {
        self.puts.fetch_add(1, SeqCst);
        self.entries.lock().unwrap().insert(name.to_owned(), entry.to_vec());
    }
}

fn file(month: &str) -> String {
    format!("costs/data/BILLING_PERIOD={month}/costs-00001.csv")
}

/// Writes the bill of a month.
fn bill(bucket: &Bucket, month: &str, rows: &[Row]) {
    bucket.put(&file(month), csv(rows));
    let manifest = json!({ "dataFiles": [format!("s3://bills/prefix/{}", file(month))] }).to_string();
    bucket.put(&format!("costs/metadata/BILLING_PERIOD={month}/costs-Manifest.json"), manifest);
}

fn files(bucket: &Arc<Bucket>, kept: &Arc<Kept>) -> Files {
    let objects: Arc<dyn Objects> = Arc::clone(bucket) as Arc<dyn Objects>;
    Files::of([&find_in(&objects).unwrap()]).kept_on(Some(Arc::clone(kept) as Arc<dyn Shelf>))
}

/// Without anything kept.
fn plain(bucket: &Arc<Bucket>, request: &Request) -> Vec<u8> {
    let objects: Arc<dyn Objects> = Arc::clone(bucket) as Arc<dyn Objects>;
    bytes(&scan(find_in(&objects).unwrap().sources(), request, NonZeroUsize::MIN).unwrap())
}

/// What [`request`] asks, of these windows and without attributes.
fn asked(spread: Spread, windows: &[Vec<Window>]) -> Request {
    let mut request = request(spread);
    for (rollup, windows) in request.rollups.iter_mut().zip(windows.iter().cycle()) {
        rollup.windows.clone_from(windows);
        rollup.attributes.clear();
    }
    request
}

fn days(from: Date, count: i64) -> Vec<Window> {
    let to = from.checked_add(jiff::Span::new().days(count)).unwrap();
    Window { from, to }.by_day()
}

/// Days, one window, or several with gaps between.
fn windows() -> impl Strategy<Value = Vec<Window>> {
    let first = date(2026, 8, 20);
    let day = move |index: i64| first.checked_add(jiff::Span::new().days(index)).unwrap();
    prop_oneof![
        (0..70_i64, 1..40_i64).prop_map(move |(from, count)| days(day(from), count)),
        (0..70_i64, 1..40_i64).prop_map(move |(from, count)| vec![Window { from: day(from), to: day(from + count) }]),
        Just(vec![Window { from: date(2026, 9, 1), to: date(2026, 10, 1) }]),
        Just(vec![
            Window { from: date(2026, 9, 1), to: date(2026, 10, 1) },
            Window { from: date(2026, 10, 1), to: date(2026, 11, 1) }
        ]),
        proptest::collection::btree_set(0..90_i64, 2..9).prop_map(move |ends| {
            let ends: Vec<i64> = ends.into_iter().collect();
            ends.chunks_exact(2).map(|pair| Window { from: day(pair[0]), to: day(pair[1]) }).collect()
        }),
    ]
}

const MONTHS: [&str; 4] = ["2026-06", "2026-08", "2026-09", "2026-10"];

fn month_of(row: &Row) -> &'static str {
    match row.start.div_euclid(DAY) {
        ..20_697 => MONTHS[1],
        20_697..20_727 => MONTHS[2],
        _ => MONTHS[3],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Bills of several months, some charges in the bill of another month than theirs, some flawed; questions of any
    /// days, one after another.
    #[test]
    fn sums_are_the_same_with_and_without(
        rows in rows(100),
        strays in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_usize), 0..3),
        flaw in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
        questions in proptest::collection::vec((any::<bool>(), proptest::collection::vec(windows(), 1..4)), 2..4),
    ) {
        let mut rows = rows;
        if let Some(flaw) = flaw {
            let flaw = flaw.index(rows.len());
            rows[flaw].currency = None;
        }
        let mut months: Vec<&str> = rows.iter().map(month_of).collect();
        for (stray, month) in strays {
            months[stray.index(rows.len())] = MONTHS[month];
        }
        let bucket = Arc::new(Bucket::default());
        for month in MONTHS {
            let own: Vec<Row> =
                rows.iter().zip(&months).filter(|(_, other)| **other == month).map(|(row, _)| row.clone()).collect();
            bill(&bucket, month, &own);
        }
        let kept = Arc::new(Kept::default());
        for (start, windows) in &questions {
            let request = asked(if *start { Spread::Start } else { Spread::Days }, windows);
            let expected = plain(&bucket, &request);
            for _ in 0..2 {
                let found = files(&bucket, &kept).scan(&request, NonZeroUsize::MIN).unwrap();
                prop_assert_eq!(&bytes(&found), &expected);
            }
        }
    }
}

fn usual(days: std::ops::Range<i64>) -> Vec<Row> {
    days.map(|day| Row { start: START + day * DAY, end: START + (day + 1) * DAY, ..Row::default() }).collect()
}

/// June to October.
fn bills() -> Arc<Bucket> {
    let bucket = Arc::new(Bucket::default());
    for (month, days) in [("2026-06", -92..-62), ("2026-08", -31..0), ("2026-09", 0..30), ("2026-10", 30..45)] {
        bill(&bucket, month, &usual(days));
    }
    bucket
}

fn read(bucket: &Bucket) -> Vec<&'static str> {
    MONTHS.into_iter().filter(|month| bucket.fetched(&file(month)).1 > 0).collect()
}

#[test]
fn the_next_day_only_the_open_month_is_read() {
    let (bucket, kept) = (bills(), Arc::new(Kept::default()));
    let ask = |from: Date| {
        bucket.forget();
        let request = asked(Spread::Days, &[days(from, 50)]);
        let found = bytes(&files(&bucket, &kept).scan(&request, NonZeroUsize::MIN).unwrap());
        let read = read(&bucket);
        assert_eq!(found, plain(&bucket, &request));
        (read, kept.entries.lock().unwrap().len())
    };
    assert_eq!(ask(date(2026, 8, 25)), (MONTHS.to_vec(), 4));
    assert_eq!(ask(date(2026, 8, 26)), (vec![], 4), "nothing changed");
    // The open month grows, and a closed one is restated. Each entry takes the place of the one before.
    bill(&bucket, "2026-10", &usual(30..46));
    assert_eq!(ask(date(2026, 8, 27)), (vec!["2026-10"], 4));
    bill(&bucket, "2026-09", &[usual(0..30), usual(3..4)].concat());
    assert_eq!(ask(date(2026, 8, 28)), (vec!["2026-09"], 4));
    // August is of no interest any more, which its calendar says.
    assert_eq!(ask(date(2026, 9, 2)), (vec!["2026-08"], 5));
    assert_eq!(ask(date(2026, 9, 3)), (vec![], 5));
    // A charge of August in the bill of October is found there.
    bill(&bucket, "2026-10", &[usual(30..47), usual(-80..-79), usual(-5..-3)].concat());
    assert_eq!(ask(date(2026, 8, 28)), (vec!["2026-10"], 5));
    // One of June is on none of the days that are kept by day: October is read for it; September for its calendar, once.
    assert_eq!(ask(date(2026, 6, 10)).0, ["2026-06", "2026-09", "2026-10"]);
    assert_eq!(ask(date(2026, 6, 10)).0, ["2026-10"]);
}

#[test]
fn a_whole_month_is_one_sum_and_other_questions_have_entries_of_their_own() {
    let (bucket, kept) = (bills(), Arc::new(Kept::default()));
    let window = |from, to| Window { from, to };
    let months = [vec![window(date(2026, 8, 1), date(2026, 9, 1)), window(date(2026, 9, 1), date(2026, 10, 1))]];
    for (spread, entries) in [(Spread::Days, 4), (Spread::Start, 6)] {
        let request = asked(spread, &months);
        for _ in 0..2 {
            let found = files(&bucket, &kept).scan(&request, NonZeroUsize::MIN).unwrap();
            assert_eq!(bytes(&found), plain(&bucket, &request));
        }
        // Of June and October there is a calendar each, for both.
        assert_eq!(kept.entries.lock().unwrap().len(), entries);
    }
    assert_eq!(kept.puts.load(SeqCst), 6);
    // An attribute is told of all days together: it is not taken from anything kept.
    bucket.forget();
    let request = request(Spread::Days);
    let found = files(&bucket, &kept).scan(&request, NonZeroUsize::MIN).unwrap();
    assert_eq!(read(&bucket), MONTHS);
    assert_eq!(bytes(&found), plain(&bucket, &request));
    assert_eq!(kept.puts.load(SeqCst), 6);
}

#[test]
fn a_damaged_entry_is_written_again() {
    let (bucket, kept) = (bills(), Arc::new(Kept::default()));
    let request = asked(Spread::Days, &[days(date(2026, 8, 25), 50)]);
    let ask = || bytes(&files(&bucket, &kept).scan(&request, NonZeroUsize::MIN).unwrap());
    let expected = ask();
    let good = kept.entries.lock().unwrap().clone();
    type Damage = fn(&[u8]) -> Vec<u8>;
    let damages: [Damage; 5] = [
        |entry| entry[..entry.len() / 2].to_vec(),
        |_| Vec::new(),
        |_| b"{}\n".to_vec(),
        |entry| entry.iter().rev().copied().collect(),
        |_| gzip(b"{\"format\":\"sweeper.bill-cache/1\"}\n"),
    ];
    for damage in damages {
        for entry in kept.entries.lock().unwrap().values_mut() {
            *entry = damage(entry);
        }
        assert_eq!(ask(), expected);
        assert_eq!(*kept.entries.lock().unwrap(), good);
    }
    // One that belongs elsewhere.
    let names: Vec<String> = good.keys().cloned().collect();
    kept.entries.lock().unwrap().insert(names[0].clone(), good[&names[1]].clone());
    assert_eq!(ask(), expected);
    assert_eq!(*kept.entries.lock().unwrap(), good);
}

#[test]
fn what_has_too_many_groups_is_scanned_each_time_and_tried_once() {
    let (bucket, kept) = (Arc::new(Bucket::default()), Arc::new(Kept::default()));
    let row = |index: i64| Row {
        resource: Some(format!("vol-{index}")),
        start: START + index % 30 * DAY,
        end: START + (index % 30 + 1) * DAY,
        ..Row::default()
    };
    let rows: Vec<Row> = (0..20_000).map(row).collect();
    bill(&bucket, "2026-09", &rows);
    let rollup = |key: Key, windows: Vec<Window>| Rollup {
        keys: vec![key],
        attributes: vec![],
        windows,
        measures: vec![Measure::Effective],
        lanes: vec![],
    };
    let two = |from: Date| Request {
        rollups: vec![rollup(Key::Resource, days(from, 20)), rollup(Key::Account, days(from, 20))],
        ..Request::default()
    };
    let ask = |request: &Request| {
        bucket.forget();
        let found = bytes(&files(&bucket, &kept).scan(request, NonZeroUsize::MIN).unwrap());
        let requests = bucket.fetched(&file("2026-09")).1;
        assert_eq!(found, plain(&bucket, request));
        requests
    };
    let once = ask(&two(date(2026, 9, 3))) / 2;
    assert_eq!(ask(&two(date(2026, 9, 4))), once);
    // It grows, and has too many still.
    bill(&bucket, "2026-09", &[rows, usual(0..1)].concat());
    assert_eq!(ask(&two(date(2026, 9, 5))), once);
    assert_eq!(kept.puts.load(SeqCst), 1);
    // As one sum for each, all of them have room.
    let month = vec![Window { from: date(2026, 9, 1), to: date(2026, 10, 1) }];
    let whole = Request { rollups: vec![rollup(Key::Resource, month)], ..Request::default() };
    assert_eq!(ask(&whole), once);
    assert_eq!(ask(&whole), 0);
}

#[test]
fn two_currencies_are_refused_with_both_places() {
    let (bucket, kept) = (bills(), Arc::new(Kept::default()));
    let request = asked(Spread::Days, &[days(date(2026, 8, 25), 50)]);
    files(&bucket, &kept).scan(&request, NonZeroUsize::MIN).unwrap();
    bill(
        &bucket,
        "2026-10",
        &usual(30..40).into_iter().map(|row| Row { currency: Some("EUR"), ..row }).collect::<Vec<_>>(),
    );
    for _ in 0..2 {
        let error = refused(files(&bucket, &kept).scan(&request, NonZeroUsize::MIN));
        assert!(
            error.contains("BILLING_PERIOD=2026-10") && error.contains("2026-08") && error.contains("EUR"),
            "{error}"
        );
    }
}

#[test]
fn what_is_kept_is_kept_by_its_rates() {
    let (bucket, kept) = (bills(), Arc::new(Kept::default()));
    let euros: Vec<Row> = usual(0..30).into_iter().map(|row| Row { currency: Some("EUR"), ..row }).collect();
    bill(&bucket, "2026-09", &euros);
    let request = asked(Spread::Days, &[days(date(2026, 8, 25), 50)]);
    for rate in ["1.5", "2", "1.5"] {
        let on = date(2026, 8, 1);
        let rates = Rates::new("USD", vec![Rate { from: "EUR".to_owned(), on, rate: Amount::parse(rate).unwrap() }]);
        let expected = plain(&bucket, &Request { rates: rates.clone(), ..request.clone() });
        for _ in 0..2 {
            let files = files(&bucket, &kept).at(rates.clone());
            let found = files.scan(&request, NonZeroUsize::MIN).unwrap();
            assert_eq!(bytes(&found), expected);
            assert_eq!(rates::said(&found.rates()), format!("EUR at {rate} of 2026-08-01"));
        }
    }
}
