//! Bad weather: a cloud that throttles, fails, cuts off, talks nonsense or says nothing.

use crate::{
    oracle::{Loss, compare},
    permissions::declared,
    world::{World, base, in_worlds},
};
use std::time::Duration;
use sweeper_emulator::{Fault, FaultKind};

/// How a run in some weather must end.
enum Ends {
    /// As if nothing had been.
    Same,
    /// Blind for a reason that begins so, where the weather is, and nowhere else.
    Blind(&'static str),
    /// Refused at once.
    Usage,
}

struct Weather {
    name: &'static str,
    faults: Vec<Fault>,
    ends: Ends,
    /// The permission that is lost by it; unset is all.
    loses: Option<&'static str>,
    /// More for `sweeper.toml`.
    config: &'static str,
    within: Duration,
}

const VOLUMES: &str = "ec2:DescribeVolumes";

fn on(permission: &str, kind: FaultKind) -> Fault {
    Fault { permission: Some(permission.to_owned()), ..Fault::new(kind) }
}

fn times(fault: Fault, times: u32) -> Fault {
    Fault { times: Some(times), ..fault }
}

/// On everything that kinds call, but not on what it takes to know accounts and regions.
fn on_all(kind: FaultKind) -> Vec<Fault> {
    declared().into_keys().map(|permission| on(permission, kind)).collect()
}

fn table() -> Vec<Weather> {
    let lost = |name, kind, why| Weather {
        name,
        faults: vec![on(VOLUMES, kind)],
        ends: Ends::Blind(why),
        loses: Some(VOLUMES),
        config: "",
        within: Duration::from_secs(40),
    };
    let passing = |name, faults| Weather {
        name,
        faults,
        ends: Ends::Same,
        loses: None,
        config: "",
        within: Duration::from_mins(1),
    };
    let all = |name, kind| Weather {
        name,
        faults: on_all(kind),
        ends: Ends::Blind(""),
        loses: None,
        config: "\n[limits]\ntries = 2\n",
        within: Duration::from_mins(1),
    };
    let each = |kind, count: u32| -> Vec<Fault> { on_all(kind).into_iter().map(|fault| times(fault, count)).collect() };
    let refused = |name, permission| Weather {
        name,
        faults: vec![on(permission, FaultKind::ExpiredToken)],
        ends: Ends::Usage,
        loses: None,
        config: "",
        within: Duration::from_secs(20),
    };
    vec![
        passing("throttled once, everywhere", each(FaultKind::Throttle, 1)),
        passing("throttled three times", vec![times(on(VOLUMES, FaultKind::Throttle), 3)]),
        passing("failing twice", vec![times(on(VOLUMES, FaultKind::Error500), 2)]),
        passing("failing once, everywhere", each(FaultKind::Error500, 1)),
        passing("cut once, everywhere", each(FaultKind::Cut, 1)),
        passing("late", vec![Fault::new(FaultKind::Slow { ms: 100 })]),
        passing("the first calls are throttled", vec![times(Fault::new(FaultKind::Throttle), 4)]),
        lost("throttled for ever", FaultKind::Throttle, "throttled ec2:DescribeVolumes"),
        lost("failing for ever", FaultKind::Error500, "failing: ec2:DescribeVolumes"),
        lost("cut for ever", FaultKind::Cut, "failing: ec2:DescribeVolumes"),
        lost("half of the answer", FaultKind::Malformed, "malformed answer of ec2:DescribeVolumes"),
        lost("a proxy's page", FaultKind::Html, "malformed answer of ec2:DescribeVolumes"),
        lost("the same page again and again", FaultKind::RepeatToken, "malformed answer of ec2:DescribeVolumes"),
        lost("credentials expire", FaultKind::ExpiredToken, "not authenticated for ec2:DescribeVolumes"),
        Weather {
            config: "\n[limits]\ncall_timeout = \"1s\"\ntries = 2\n",
            ..lost("no answer in time", FaultKind::Slow { ms: 20_000 }, "failing: ec2:DescribeVolumes")
        },
        Weather {
            // Whoever waits for it, and whatever would come after.
            loses: None,
            config: "\n[limits]\ndeadline = \"3s\"\n",
            ..lost("no answer before the deadline", FaultKind::Slow { ms: 20_000 }, "out of time")
        },
        Weather {
            name: "credentials expire in the middle",
            faults: vec![Fault { after: 60, ..Fault::new(FaultKind::ExpiredToken) }],
            ends: Ends::Blind("not authenticated for "),
            ..all("", FaultKind::Denied)
        },
        Weather {
            name: "credentials expire after the first page of one listing",
            faults: vec![Fault { after: 1, ..on(VOLUMES, FaultKind::ExpiredToken) }],
            ..lost("", FaultKind::ExpiredToken, "not authenticated for ec2:DescribeVolumes")
        },
        Weather { ends: Ends::Blind("throttled "), ..all("all throttled for ever", FaultKind::Throttle) },
        Weather { ends: Ends::Blind("failing: "), ..all("all failing for ever", FaultKind::Error500) },
        Weather { ends: Ends::Blind("failing: "), ..all("all cut for ever", FaultKind::Cut) },
        all("half of every answer", FaultKind::Malformed),
        all("a proxy's page for every answer", FaultKind::Html),
        all("every first page again and again", FaultKind::RepeatToken),
        Weather { ends: Ends::Blind("not authenticated for "), ..all("all expired", FaultKind::ExpiredToken) },
        refused("credentials expired before", "sts:GetCallerIdentity"),
        refused("credentials expire before the accounts are known", "organizations:ListAccounts"),
    ]
}

#[test]
fn in_bad_weather() {
    base();
    let table = table();
    let troubles = in_worlds(&table, |_, weather| {
        // The config differs, so each weather has a world of its own.
        let world = World::new();
        world.configure(weather.config);
        let ran = world.report(weather.faults.clone());
        let mut wrong = Vec::new();
        if !ran.is_sane() {
            wrong.push(ran.shown());
        }
        if ran.took > weather.within {
            wrong.push(format!("took {:.1?}", ran.took));
        }
        let code = match weather.ends {
            Ends::Same => 0,
            Ends::Blind(_) => 3,
            Ends::Usage => 2,
        };
        if ran.code != Some(code) {
            wrong.push(format!("not exit {code}: {}", ran.shown()));
        } else if matches!(weather.ends, Ends::Usage) {
            if !ran.stdout.is_empty() {
                wrong.push("printed a report all the same".to_owned());
            }
        } else {
            let report = ran.report();
            let loss = Loss { permission: weather.loses, ..Loss::default() };
            if let Ends::Blind(why) = weather.ends {
                wrong.extend(compare(base(), &report, &loss).wrong);
                let blind = report.blind();
                if blind.is_empty() || !blind.iter().all(|cause| cause.starts_with(why)) {
                    wrong.push(format!("blind for {blind:?}"));
                }
            } else if report.texts() != base().report.texts() {
                wrong.push("findings are not the same".to_owned());
                wrong.extend(compare(base(), &report, &Loss { permission: Some("none"), ..Loss::default() }).wrong);
            }
        }
        wrong.iter().map(|wrong| format!("{}: {wrong}", weather.name)).collect()
    });
    assert!(troubles.is_empty(), "\n{}\n", troubles.join("\n"));
}

/// A cloud that answers "nothing there" where there is something cannot be told from an empty one. This only
/// notes what follows from it, so that nobody believes it cannot happen: a finding by a listing that lied.
#[test]
fn an_empty_answer_is_believed() {
    let world = World::new();
    let ran = world.report(vec![on(VOLUMES, FaultKind::EmptyOk)]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let report = ran.report();
    let of_snapshot = |id: &str| {
        report.rows.keys().any(|(policy, resource)| policy == "orphaned-snapshots" && resource.ends_with(id))
    };
    assert!(of_snapshot("snap-0of0volume"), "its volume is said not to be there");
}

/// The first answer that tells where the accounts are is nonsense: no report, rather than an empty one.
#[test]
fn a_universe_of_nonsense() {
    for kind in [FaultKind::Malformed, FaultKind::Html, FaultKind::Error500, FaultKind::Denied] {
        let world = World::new();
        let ran = world.report(vec![on("organizations:ListAccounts", kind)]);
        assert!(ran.is_sane() && ran.took < Duration::from_secs(40), "{kind}: {}", ran.shown());
        assert!(!matches!(ran.code, Some(0)), "{kind}: {}", ran.shown());
        assert!(ran.stderr.contains("organizations:ListAccounts"), "{kind}: {}", ran.shown());
    }
}
