//! A look at many accounts, each of which may be asked only so often: it takes as long as the slowest of them, and they
//! do not wait for each other.

use crate::clock::SimClock;
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use sweeper_core::{
    calls::{Calls, Limits, Site},
    inventory::Listing,
    kind::{Account, Cloud, CloudError, Kind, KindSpec, Places, Universe},
    model::{Class, CloudId, Scope, Timestamp},
    survey::{self, Quiet, Wanted},
};

const LATENCY: Duration = Duration::from_millis(20);

macro_rules! kinds {
    ($($name:ident $id:literal),*) => { $(
        static $name: KindSpec = KindSpec {
            id: $id,
            cloud: CloudId::Aws,
            class: Class::Referrer,
            title: $id,
            places: Places::Regions,
            reads: &["ec2:List"],
            asks: &[],
            refers: &[],
            needs: &[],
            out_of_sight: &[],
            advised: "",
            report_only: "",
            acts: &[],
        };
    )* };
}

kinds! { A "aws.a", B "aws.b", C "aws.c", D "aws.d", E "aws.e" }

struct Paged(&'static KindSpec, Arc<SimClock>);

#[async_trait]
impl Kind for Paged {
    fn spec(&self) -> &'static KindSpec {
        self.0
    }

    async fn enumerate(&self, site: &Site, _: &mut Listing) -> Result<(), CloudError> {
        use sweeper_core::clock::Clock as _;
        for _ in 0..4 {
            let clock = &self.1;
            site.read("ec2:List", || async move {
                clock.sleep_until(clock.mono() + LATENCY).await;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

struct Many(Vec<Arc<dyn Kind>>, usize);

#[async_trait]
impl Cloud for Many {
    fn id(&self) -> CloudId {
        CloudId::Aws
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &self.0
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        let regions: Vec<String> = (0..10).map(|region| format!("r-{region}")).collect();
        let account = |n: usize| Account {
            id: format!("{n:012}"),
            name: String::new(),
            path: String::new(),
            regions: regions.clone(),
            blind: None,
            none: None,
        };
        Ok(Universe { accounts: (0..self.1).map(account).collect(), only_what_this_identity_sees: false })
    }
}

#[test]
fn accounts_do_not_wait_for_each_other() {
    let clock = SimClock::new(Timestamp(1_795_176_000));
    let limits = Limits { rate: 2.0, burst: 4.0, ..Limits::default() };
    let calls = Calls::new(Arc::<SimClock>::clone(&clock) as _, limits.clone());
    let kinds = [&A, &B, &C, &D, &E].map(|spec| Arc::new(Paged(spec, Arc::clone(&clock))) as Arc<dyn Kind>);
    let cloud: Arc<dyn Cloud> = Arc::new(Many(kinds.to_vec(), 50));
    let survey = clock.run(async {
        let universes = survey::universes(vec![cloud], &calls).await;
        survey::list(&universes, &Wanted::default(), &calls, &Quiet).await
    });
    let mut lanes: BTreeMap<&Scope, u64> = BTreeMap::new();
    for ((scope, _), tally) in &survey.journal {
        *lanes.entry(scope).or_default() += tally.calls;
    }
    assert_eq!((lanes.len(), lanes.values().sum::<u64>()), (500, 500 * 20));
    // Twenty calls a region, four of them at once.
    let bound = (20.0 - limits.burst) / limits.rate;
    let took = calls.clock().mono().as_secs_f64();
    assert!(took >= bound && took <= bound * 1.3, "{took} s, and the limits set {bound} s");
}
