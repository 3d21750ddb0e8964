//! How many conditions a second are evaluated on one core, and how long judging a million disks takes.
//!
//! `cargo bench -p sweeper-core --bench conditions`. Plain arithmetic on a plain clock: what is measured takes
//! long enough that nothing finer is needed.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints what its clock says")]

use std::{hint::black_box, time::Instant};
use sweeper_core::{
    answers::Answers,
    detect::View,
    facts::{Disk, DiskState},
    house::House,
    intern::Sym,
    inventory::{Draft, Inventory, InventoryBuilder, Tags},
    kind::{KindSpec, Places},
    model::{Class, CloudId, DAY, Scope, Timestamp},
    policy::{Condition, Known, NoCosts, PolicySet, Source, condition::Context, evaluate, load, vocabulary::Reader},
};

static DISK: KindSpec = KindSpec {
    id: "aws.ec2-volume",
    cloud: CloudId::Aws,
    class: Class::Disk,
    title: "EBS volume",
    places: Places::Regions,
    reads: &["ec2:DescribeVolumes"],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const NOW: Timestamp = Timestamp(1_795_176_000);

fn disks(count: u32) -> Inventory {
    let mut builder = InventoryBuilder::new(&[&DISK]);
    let mut listing = builder.listing(&DISK, &Scope::new(CloudId::Aws, "111122223333", "eu-west-1"));
    let tier = listing.sym("gp3");
    for n in 0..count {
        let id = format!("vol-{n:017x}");
        let state = if n % 4 == 0 { DiskState::Available } else { DiskState::Attached };
        let mut draft = Draft::new(
            &id,
            Disk {
                state,
                size_gib: n % 500,
                tier,
                iops: Some(3000),
                throughput: None,
                source_snapshot: Sym::NONE,
                attachments: 0,
                last_attached: None,
            },
        );
        draft.created = Some(NOW.plus(-i64::from(n % 400) * DAY));
        let env = ["prod", "dev", "test"][(n % 3) as usize];
        draft.tags = Tags::Read(vec![("Name", "data"), ("team", "core"), ("env", env), ("cost-center", "4711")]);
        listing.push(draft);
    }
    builder.complete(listing, 1);
    builder.build()
}

fn policies(count: usize) -> Option<PolicySet> {
    let policies = (0..count).map(|n| {
        format!("[[policy]]\nname = \"p{n}\"\nsweep = \"unattached-disk\"\nwhen = 'size_gib > {n} && tag(\"env\") != \"prod\"'\n")
    });
    let source = Source { path: "bench.toml".to_owned(), text: policies.collect() };
    load(&[source], &Known { kinds: &[&DISK] }).set
}

fn main() {
    let inventory = disks(1_000_000);
    let (answers, house) = (Answers::default(), House::default());
    let view = View::new(&inventory, &answers, &house, NOW);
    for text in [
        "size_gib > 100",
        "size_gib > 100 && state == \"available\" && age > duration(\"720h\")",
        "has_tag(\"env\") && tag(\"env\") != \"prod\"",
        "size_gib > 0 && has_tag(\"env\") && tag(\"env\") in [\"dev\", \"test\"] && age > duration(\"720h\")",
    ] {
        let Ok(condition) =
            Condition::compile(text, &Context { classes: &[Class::Disk], strict: true, kinds: &[&DISK] })
        else {
            println!("does not compile: {text}");
            continue;
        };
        let start = Instant::now();
        let mut hold = 0_u64;
        for _ in 0..5 {
            for resource in inventory.resources() {
                let holds = condition.holds(&Reader::quiet(&view, &NoCosts, black_box(resource)));
                hold += u64::from(holds == Some(true));
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{:>6.1} million evaluations/s  {text}  ({} hold)", 5.0 / seconds, black_box(hold) / 5);
    }
    for count in [1, 10, 100] {
        let Some(set) = policies(count) else { continue };
        let start = Instant::now();
        let evaluation = evaluate(&set, &view, &NoCosts);
        let seconds = start.elapsed().as_secs_f64();
        println!("{seconds:>6.2} s  1,000,000 disks x {count} policies, {} rows", evaluation.rows.len());
    }
}
