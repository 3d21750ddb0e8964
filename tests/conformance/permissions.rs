//! One permission less, one region less, one account less.

#[cfg(feature = "aws")]
use crate::world::{AWS, HUB, SHOP, base, in_worlds};
use crate::{
    oracle::{Compared, Loss, SOFT, compare, is_of_tags},
    world::{Ran, Setting, World, base_of, in_worlds_of},
};
use std::collections::{BTreeMap, BTreeSet};
use sweeper_core::kind::KindSpec;
use sweeper_emulator::{Fault, FaultKind};

/// Declared, and not called by a run over these organisations.
pub(crate) const NOT_CALLED: &[(&str, &str)] = &[
    ("ec2:DescribeLockedSnapshots", "no rule asks yet whether a snapshot is locked"),
    ("s3:GetBucketLocation", "the listing of buckets tells their regions, save on old endpoints"),
];

/// Without these a finding says less and stands all the same: no verdict depends on them.
const ONLY_EVIDENCE: &[(&str, &str)] = &[
    ("lambda:ListProvisionedConcurrencyConfigs", "capacity kept warm"),
    ("s3:ListMultipartUploadParts", "the size of an upload"),
];

/// Patterns that AWS does not have.
#[cfg(feature = "aws")]
const NOT_THERE: &[&str] = &["stopped-not-deallocated", "empty-plan", "idle-network-appliance"];

/// Permissions, with the kinds that list by each and those that ask by it.
type Declared = BTreeMap<&'static str, (Vec<&'static KindSpec>, Vec<&'static KindSpec>)>;

/// Every permission that is declared in AWS.
#[cfg(feature = "aws")]
pub(crate) fn declared() -> Declared {
    declared_of(&AWS)
}

/// Every declared permission of a cloud.
pub(crate) fn declared_of(setting: &Setting) -> Declared {
    let mut declared = Declared::new();
    for spec in (setting.specs)() {
        for permission in spec.reads {
            declared.entry(permission).or_default().0.push(spec);
        }
        for permission in spec.asks {
            declared.entry(permission).or_default().1.push(spec);
        }
    }
    declared
}

fn denied(loss: &Loss<'_>) -> Fault {
    Fault {
        permission: loss.permission.map(str::to_owned),
        account: loss.account.map(str::to_owned),
        region: loss.region.map(str::to_owned),
        ..Fault::new(FaultKind::Denied)
    }
}

/// What must hold of any run with a loss: how it ends, and every row.
fn check(setting: &'static Setting, ran: &Ran, loss: &Loss<'_>) -> Compared {
    let mut wrong = Vec::new();
    if ran.code != Some(3) {
        wrong.push(format!("it ended with {:?} rather than 3", ran.code));
    }
    if !ran.is_sane() || ran.stdout.is_empty() {
        wrong.push(ran.shown());
        return Compared { wrong, ..Compared::default() };
    }
    let mut compared = compare(base_of(setting), &ran.report(), loss);
    wrong.append(&mut compared.wrong);
    Compared { wrong, ..compared }
}

#[cfg(feature = "aws")]
#[test]
fn without_a_permission() {
    without_each(&AWS);
}

#[cfg(feature = "azure")]
#[test]
fn without_a_permission_in_azure() {
    without_each_nothing_new(&crate::world::AZURE);
}

#[cfg(feature = "gcp")]
#[test]
fn without_a_permission_in_google_cloud() {
    without_each_nothing_new(&crate::world::GCP);
}

/// A permission less at a time: nothing is found for it, nothing is lost without a word, and something depends on it.
fn without_each(setting: &'static Setting) {
    base_of(setting);
    let called = |permission: &str| NOT_CALLED.iter().all(|(known, _)| *known != permission);
    let permissions: Vec<_> = declared_of(setting).into_iter().filter(|(permission, _)| called(permission)).collect();
    let troubles = in_worlds_of(setting, &permissions, |world, (permission, (reads, asks))| {
        let loss = Loss { permission: Some(permission), ..Loss::default() };
        let ran = world.report(vec![denied(&loss)]);
        let Compared { mut wrong, changed, differ, .. } = check(setting, &ran, &loss);
        if ran.is_sane() && !ran.stdout.is_empty() {
            wrong.extend(told(world, &ran, permission, reads));
            // Tags tell whose it is, and whether it is protected, also where no verdict depends on them.
            let beside = is_of_tags(permission) || ONLY_EVIDENCE.iter().any(|(known, _)| known == permission);
            if if beside { differ.is_empty() } else { changed.is_empty() } {
                wrong.push("nothing depends on it: declare it no more, or plant a resource".to_owned());
            }
        }
        let kinds: Vec<&str> = reads.iter().chain(asks).map(|spec| spec.id).collect();
        wrong.iter().map(|wrong| format!("without {permission} ({}): {wrong}", kinds.join(", "))).collect()
    });
    assert!(troubles.is_empty(), "\n{}\n", troubles.join("\n"));
}

/// A permission less at a time, in clouds whose lists have second ways and whose advisers only add evidence: nothing
/// is found for it that was not found before, and where anything that was said is said no more, the run ends with 3
/// and names the permission.
#[cfg(any(feature = "azure", feature = "gcp"))]
fn without_each_nothing_new(setting: &'static Setting) {
    let base = &base_of(setting).report;
    let permissions: Vec<_> = declared_of(setting).into_keys().collect();
    assert!(permissions.len() > 30, "{} permissions are declared", permissions.len());
    let troubles = in_worlds_of(setting, &permissions, |world, permission| {
        let loss = Loss { permission: Some(permission), ..Loss::default() };
        let ran = world.report(vec![denied(&loss)]);
        if !ran.is_sane() || ran.stdout.is_empty() {
            return vec![format!("without {permission}: {}", ran.shown())];
        }
        let report = ran.report();
        let mut wrong = Vec::new();
        let found = |row: &crate::world::Row| row.finding.verdict.name() == "found";
        for (key, row) in report.rows.iter().filter(|(_, row)| found(row)) {
            if !base.rows.get(key).is_some_and(found) {
                wrong.push(format!("without {permission}: {key:?} is found for it: {}", row.text));
            }
        }
        let lost: Vec<_> =
            base.rows.iter().filter(|(key, row)| found(row) && !report.rows.get(*key).is_some_and(found)).collect();
        let named = report.document.run.exit.iter().any(|cause| cause.cause.contains(*permission));
        if let Some((key, _)) = lost.first()
            && !(ran.code == Some(3) && named)
        {
            wrong.push(format!("without {permission}: {key:?} is found no more, and the run ends {:?}", ran.code));
        }
        wrong
    });
    assert!(troubles.is_empty(), "\n{}\n", troubles.join("\n"));
}

/// Each kind that lists by the permission, and was refused it, says so in its coverage.
fn told(world: &World, ran: &Ran, permission: &str, reads: &[&KindSpec]) -> Vec<String> {
    let mut wrong = Vec::new();
    let report = ran.report();
    let coverage = report.coverage();
    let cause = format!("denied {permission}");
    let refused = world.journal().iter().any(|call| call.permission == permission && call.fault.is_some());
    for spec in reads.iter().filter(|spec| !SOFT.contains(&(spec.id, permission))) {
        let own: Vec<_> = coverage.iter().filter(|((kind, ..), _)| *kind == spec.id).collect();
        let blind = |why: Option<&str>| why.is_some_and(|why| why.contains(&cause));
        if refused && !own.iter().any(|(_, seen)| seen.status.name() == "blind" && blind(seen.why.as_deref())) {
            let shown: BTreeSet<_> = own.iter().map(|(_, seen)| (seen.status, seen.why.clone())).collect();
            wrong.push(format!("{} is nowhere blind for \"{cause}\": {shown:?}", spec.id));
        }
    }
    wrong
}

#[cfg(feature = "aws")]
#[test]
fn within_reach_only() {
    base();
    let everywhere = Loss::default();
    let losses = [
        Loss { account: Some(HUB), region: Some("eu-west-1"), ..everywhere.clone() },
        Loss { account: Some(SHOP), region: Some("eu-west-1"), ..everywhere.clone() },
        Loss { account: Some(SHOP), region: Some("us-east-1"), ..everywhere.clone() },
        Loss { account: Some(SHOP), ..everywhere.clone() },
    ];
    let troubles = in_worlds(&losses, |world, loss| {
        // The home region answers for the account as a whole: which regions there are.
        let home = loss.region == Some("us-east-1");
        let faults = if home {
            let each = declared().into_keys();
            each.map(|permission| denied(&Loss { permission: Some(permission), ..loss.clone() })).collect()
        } else {
            vec![denied(loss)]
        };
        let ran = world.report(faults);
        let Compared { mut wrong, changed, .. } = check(&AWS, &ran, loss);
        if changed.is_empty() {
            wrong.push("nothing changed".to_owned());
        }
        if changed.len() == base().report.rows.len() {
            wrong.push("everything changed".to_owned());
        }
        wrong.iter().map(|wrong| format!("without {:?} {:?}: {wrong}", loss.account, loss.region)).collect()
    });
    assert!(troubles.is_empty(), "\n{}\n", troubles.join("\n"));
}

#[cfg(feature = "aws")]
#[test]
fn the_undisturbed_run_is_worth_comparing_with() {
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    for row in base().report.rows.values() {
        if row.finding.verdict.name() == "found" {
            *found.entry(&row.finding.detector).or_default() += 1;
        }
    }
    let detectors = sweeper_core::detect::DETECTORS.iter().map(|detector| detector.spec.id).chain(["condition"]);
    let missing: Vec<&str> = detectors.filter(|id| !NOT_THERE.contains(id) && !found.contains_key(id)).collect();
    assert!(missing.is_empty(), "nothing is found of {}", missing.join(", "));

    let coverage = base().report.coverage();
    let kinds: BTreeSet<&str> = coverage.keys().map(|(kind, ..)| *kind).collect();
    let there: BTreeSet<&str> =
        coverage.values().filter(|seen| seen.resources.unwrap_or(0) > 0).map(|seen| seen.kind.as_str()).collect();
    let specs: BTreeSet<&str> = sweeper_aws::specs().iter().map(|spec| spec.id).collect();
    let without: Vec<_> = specs.difference(&kinds).collect();
    assert!(without.is_empty(), "no policy has {without:?} listed");
    let empty: Vec<_> = specs.difference(&there).collect();
    assert!(empty.is_empty(), "none is there of {empty:?}");
}
