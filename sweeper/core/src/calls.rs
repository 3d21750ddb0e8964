//! The one door to a cloud: the only place that waits, retries, limits or counts calls.
//!
//! SDK retries are off; the retry and backoff figures here are ours. A call is limited twice per
//! (account, region, service): a semaphore for how many are under way, a token bucket for how many start
//! a second. A failed read is tried again while its fault is worth it, the run's retry budget lasts, and
//! the deadline allows; then its error stands, and whoever listed turns it into *blind*.

use crate::{
    clock::Clock,
    clocks::Clocks,
    kind::{CloudError, Fault},
    model::Scope,
    money::Amount,
};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, watch};

/// How hard the door may push.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls under way at once, per (account, region, service).
    pub concurrency: usize,
    /// Calls under way at once, of the whole run: connections, and answers in memory.
    pub at_once: usize,
    /// Calls started a second, per (account, region, service).
    pub rate: f64,
    /// Calls that may start at once before `rate` holds.
    pub burst: f64,
    /// Tries of one call, the first included.
    pub tries: u32,
    /// The wait before the second try; doubles, with full jitter.
    pub backoff: Duration,
    /// No wait is longer than this.
    pub max_backoff: Duration,
    /// Retries the whole run may spend per (account, region, service), refilled by one every ten successes.
    pub retry_budget: f64,
    /// The longest one try may take.
    pub call_timeout: Duration,
    /// The run ends its reading at this time of the clock's `mono()`.
    pub deadline: Option<Duration>,
    /// US dollars that paid calls may cost in the run.
    pub max_api_usd: Amount,
    /// Seed of the jitter, so that a run can be repeated.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 8,
            at_once: 256,
            // EC2 gives non-mutating actions a bucket of 100 that refills at 20 a second ("Request throttling", EC2
            // API reference); other services are of that order.
            rate: 20.0,
            burst: 100.0,
            tries: 6,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            retry_budget: 50.0,
            call_timeout: Duration::from_secs(30),
            deadline: None,
            max_api_usd: Amount::whole(5),
            seed: 0,
        }
    }
}

/// What a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    Free,
    /// US dollars per thousand units, of which the call has so many: metrics asked, LIST requests.
    PerThousand {
        usd: Amount,
        units: u64,
    },
}

impl Price {
    fn amount(self) -> Amount {
        match self {
            Self::Free => Amount::ZERO,
            Self::PerThousand { usd, units } => usd.scaled(i128::from(units), 1000),
        }
    }
}

/// What the door saw of one operation in one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    pub calls: u64,
    pub throttled: u64,
    pub failed: u64,
    pub retried: u64,
    /// Paid units (metrics, LIST requests).
    pub units: u64,
    pub usd: Amount,
}

/// Every call made, by scope and permission.
pub type Journal = BTreeMap<(Scope, &'static str), Tally>;

struct Lane {
    slots: Semaphore,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    filled: Duration,
    retries: f64,
}

/// The service of a permission: `ec2` of `ec2:DescribeVolumes`, `Microsoft.Compute` of
/// `Microsoft.Compute/disks/read`, `compute` of `compute.disks.list`.
pub fn service(op: &str) -> &str {
    let end = op.find(':').or_else(|| op.find('/')).or_else(|| op.find('.'));
    end.map_or(op, |end| &op[..end])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops every wait of the calls it belongs to.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}

/// The door. Cheap to clone; all clones share limits, budget and journal.
#[derive(Clone)]
pub struct Calls {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    clocks: Clocks,
    limits: Limits,
    lanes: Mutex<BTreeMap<(Scope, String), Arc<Lane>>>,
    /// Of the whole run: taken only once a lane lets the call start, so that none waits for another lane's rate.
    turns: Semaphore,
    journal: Mutex<Journal>,
    spent: Mutex<Amount>,
    jitter: AtomicU64,
    stop: Stop,
    stopped: watch::Receiver<bool>,
}

impl Calls {
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let (sender, stopped) = watch::channel(false);
        let jitter = AtomicU64::new(limits.seed | 1);
        Self {
            inner: Arc::new(Inner {
                clocks: Clocks::new(Arc::clone(&clock)),
                clock,
                turns: Semaphore::new(limits.at_once.max(1)),
                limits,
                lanes: Mutex::default(),
                journal: Mutex::default(),
                spent: Mutex::default(),
                jitter,
                stop: Stop(Arc::new(sender)),
                stopped,
            }),
        }
    }

    /// The handle that stops the run.
    pub fn stop(&self) -> Stop {
        self.inner.stop.clone()
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// What the clouds say of the time.
    pub fn clocks(&self) -> &Clocks {
        &self.inner.clocks
    }

    /// Every call made so far.
    pub fn journal(&self) -> Journal {
        lock(&self.inner.journal).clone()
    }

    /// What paid calls cost so far, US dollars.
    pub fn spent(&self) -> Amount {
        *lock(&self.inner.spent)
    }

    /// Counts what other processes of the same run have spent: it is not there to be spent again.
    pub fn spent_by_others(&self, amount: Amount) {
        *lock(&self.inner.spent) += amount;
    }

    /// The door as seen from one scope.
    pub fn site(&self, scope: &Scope) -> Site {
        Site { calls: self.clone(), scope: scope.clone(), made: Arc::default() }
    }

    fn lane(&self, scope: &Scope, op: &str) -> Arc<Lane> {
        let service = service(op).to_owned();
        let limits = &self.inner.limits;
        Arc::clone(lock(&self.inner.lanes).entry((scope.clone(), service)).or_insert_with(|| {
            Arc::new(Lane {
                slots: Semaphore::new(limits.concurrency.max(1)),
                bucket: Mutex::new(Bucket {
                    tokens: limits.burst,
                    filled: self.inner.clock.mono(),
                    retries: limits.retry_budget,
                }),
            })
        }))
    }

    fn note(&self, scope: &Scope, op: &'static str, change: impl FnOnce(&mut Tally)) {
        change(lock(&self.inner.journal).entry((scope.clone(), op)).or_default());
    }

    /// A number in [0, 1), deterministic for a seed and an order of calls (splitmix64).
    fn jitter(&self) -> f64 {
        let step = self.inner.jitter.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mut mixed = step;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    async fn wait(&self, op: &'static str, until: Duration) -> Result<(), CloudError> {
        self.in_time(op, until)?;
        let mut stopped = self.inner.stopped.clone();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => Err(CloudError::new(Fault::Cancelled, op, "")),
            () = self.inner.clock.sleep_until(until) => Ok(()),
        }
    }

    fn in_time(&self, op: &'static str, at: Duration) -> Result<(), CloudError> {
        match self.inner.limits.deadline {
            Some(deadline) if at >= deadline => Err(CloudError::new(Fault::OutOfTime, op, "")),
            _ => Ok(()),
        }
    }

    /// Takes a token of the lane's bucket, or says until when to wait for one.
    fn token(&self, lane: &Lane) -> Option<Duration> {
        let limits = &self.inner.limits;
        let now = self.inner.clock.mono();
        let mut bucket = lock(&lane.bucket);
        let gained = now.saturating_sub(bucket.filled).as_secs_f64() * limits.rate;
        bucket.tokens = (bucket.tokens + gained).min(limits.burst);
        bucket.filled = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return None;
        }
        Some(now + Duration::from_secs_f64(((1.0 - bucket.tokens) / limits.rate).max(0.001)))
    }

    async fn read<T, Made, Answer>(
        &self,
        scope: &Scope,
        op: &'static str,
        price: Price,
        mut make: Made,
    ) -> Result<T, CloudError>
    where
        Made: FnMut() -> Answer + Send,
        Answer: Future<Output = Result<T, CloudError>> + Send,
        T: Send,
    {
        let limits = &self.inner.limits;
        let lane = self.lane(scope, op);
        let mut tries = 0;
        loop {
            tries += 1;
            let clock = &self.inner.clock;
            if self.inner.stop.is_stopped() {
                return Err(CloudError::new(Fault::Cancelled, op, ""));
            }
            self.in_time(op, clock.mono())?;
            self.charge(scope, op, price)?;
            let slot = lane.slots.acquire().await.map_err(|_| CloudError::new(Fault::Cancelled, op, ""))?;
            while let Some(until) = self.token(&lane) {
                self.wait(op, until).await?;
            }
            let turn = self.inner.turns.acquire().await.map_err(|_| CloudError::new(Fault::Cancelled, op, ""))?;
            self.note(scope, op, |tally| tally.calls += 1);
            let timeout = clock.mono() + limits.call_timeout;
            let until = limits.deadline.map_or(timeout, |deadline| deadline.min(timeout));
            let mut stopped = self.inner.stopped.clone();
            let outcome = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => Err(CloudError::new(Fault::Cancelled, op, "")),
                outcome = make() => outcome,
                () = clock.sleep_until(until) => {
                    let fault = if until == timeout { Fault::Transient } else { Fault::OutOfTime };
                    Err(CloudError::new(fault, op, "no answer in time"))
                }
            };
            drop((turn, slot));
            let error = match outcome {
                Ok(answer) => {
                    let mut bucket = lock(&lane.bucket);
                    bucket.retries = (bucket.retries + 0.1).min(limits.retry_budget);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let throttled = error.fault == Fault::Throttled;
            self.note(scope, op, |tally| {
                tally.throttled += u64::from(throttled);
                tally.failed += u64::from(!throttled);
            });
            if !error.fault.worth_retrying() || tries >= limits.tries || !Self::may_retry(&lane) {
                return Err(error);
            }
            let backoff = limits.backoff.saturating_mul(1 << (tries - 1).min(16)).min(limits.max_backoff);
            let asked = Duration::from_millis(error.retry_after_ms.unwrap_or(0));
            let wait = asked.max(backoff.mul_f64(0.5 + 0.5 * self.jitter())).min(limits.max_backoff.max(asked));
            if throttled {
                // A throttled lane starts slowly again, for all its calls.
                lock(&lane.bucket).tokens = 0.0;
            }
            self.note(scope, op, |tally| tally.retried += 1);
            self.wait(op, clock.mono() + wait).await?;
        }
    }

    async fn once<T, Answer>(&self, scope: &Scope, op: &'static str, change: Answer) -> Result<T, CloudError>
    where
        Answer: Future<Output = Result<T, CloudError>> + Send,
        T: Send,
    {
        let limits = &self.inner.limits;
        let lane = self.lane(scope, op);
        let clock = &self.inner.clock;
        if self.inner.stop.is_stopped() {
            return Err(CloudError::new(Fault::Cancelled, op, ""));
        }
        self.in_time(op, clock.mono())?;
        let slot = lane.slots.acquire().await.map_err(|_| CloudError::new(Fault::Cancelled, op, ""))?;
        while let Some(until) = self.token(&lane) {
            self.wait(op, until).await?;
        }
        let turn = self.inner.turns.acquire().await.map_err(|_| CloudError::new(Fault::Cancelled, op, ""))?;
        self.note(scope, op, |tally| tally.calls += 1);
        let until = clock.mono() + limits.call_timeout;
        let outcome = tokio::select! {
            biased;
            outcome = change => outcome,
            () = clock.sleep_until(until) => Err(CloudError::new(Fault::Transient, op, "no answer in time")),
        };
        drop((turn, slot));
        if let Err(error) = &outcome {
            let throttled = error.fault == Fault::Throttled;
            self.note(scope, op, |tally| {
                tally.throttled += u64::from(throttled);
                tally.failed += u64::from(!throttled);
            });
        }
        outcome
    }

    fn may_retry(lane: &Lane) -> bool {
        let mut bucket = lock(&lane.bucket);
        let may = bucket.retries >= 1.0;
        if may {
            bucket.retries -= 1.0;
        }
        may
    }

    fn charge(&self, scope: &Scope, op: &'static str, price: Price) -> Result<(), CloudError> {
        let Price::PerThousand { units, .. } = price else { return Ok(()) };
        let amount = price.amount();
        {
            let mut spent = lock(&self.inner.spent);
            if *spent + amount > self.inner.limits.max_api_usd {
                return Err(CloudError::new(Fault::OutOfBudget, op, ""));
            }
            *spent += amount;
        }
        self.note(scope, op, |tally| {
            tally.units += units;
            tally.usd += amount;
        });
        Ok(())
    }
}

/// The door as seen from one scope: what a kind lists and asks through.
#[derive(Clone)]
pub struct Site {
    calls: Calls,
    scope: Scope,
    made: Arc<AtomicU64>,
}

impl Site {
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Calls made through this site.
    pub fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed) as u32
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.calls.clock()
    }

    /// The same door for another scope (a bucket's own region); its calls count here too.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let mut site = self.clone();
        region.clone_into(&mut site.scope.region);
        site
    }

    /// A free read. `op` is the permission it needs. `make` is called again for every try.
    pub async fn read<T, Made, Answer>(&self, op: &'static str, make: Made) -> Result<T, CloudError>
    where
        Made: FnMut() -> Answer + Send,
        Answer: Future<Output = Result<T, CloudError>> + Send,
        T: Send,
    {
        self.paid(op, Price::Free, make).await
    }

    /// A change, sent once: never tried again here, since whether it happened may not be known. Stopping the run
    /// does not cut it short: its answer is waited for, at most as long as a call may take.
    pub(crate) async fn once<T, Answer>(&self, op: &'static str, change: Answer) -> Result<T, CloudError>
    where
        Answer: Future<Output = Result<T, CloudError>> + Send,
        T: Send,
    {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.calls.once(&self.scope, op, change).await
    }

    /// A read that costs money.
    pub async fn paid<T, Made, Answer>(&self, op: &'static str, price: Price, make: Made) -> Result<T, CloudError>
    where
        Made: FnMut() -> Answer + Send,
        Answer: Future<Output = Result<T, CloudError>> + Send,
        T: Send,
    {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.calls.read(&self.scope, op, price, make).await
    }
}

/// Follows page tokens: every page once, an end, and no circles.
pub struct Pages {
    op: &'static str,
    token: Option<String>,
    seen: std::collections::BTreeSet<String>,
    done: bool,
}

impl Pages {
    /// The most pages any listing may have: at 100 items a page, a hundred million resources.
    const MOST: usize = 1_000_000;

    pub fn new(op: &'static str) -> Self {
        Self { op, token: None, seen: std::collections::BTreeSet::new(), done: false }
    }

    /// The token of the next page to ask for (`None` inside for the first), or `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "an iterator would be borrowed while `seen` is called")]
    pub fn next(&mut self) -> Option<Option<String>> {
        (!self.done).then(|| self.token.clone())
    }

    /// Takes the token an answer carried. A token seen before would page for ever: an error.
    pub fn seen(&mut self, token: Option<&str>) -> Result<(), CloudError> {
        match token.filter(|token| !token.is_empty()) {
            None => self.done = true,
            Some(token) => {
                if self.seen.len() >= Self::MOST || !self.seen.insert(token.to_owned()) {
                    return Err(CloudError::new(Fault::Malformed, self.op, "a page token came twice"));
                }
                self.token = Some(token.to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::VirtualClock,
        model::{CloudId, Timestamp},
    };
    use std::sync::atomic::AtomicU32;

    const OP: &str = "ec2:DescribeVolumes";

    fn door(limits: Limits) -> (Calls, Site) {
        let calls = Calls::new(Arc::new(VirtualClock::new(Timestamp(0))), limits);
        let site = calls.site(&Scope::new(CloudId::Aws, "111111111111", "us-east-1"));
        (calls, site)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_throttled_read_is_tried_again_and_counted() {
        let (calls, site) = door(Limits::default());
        let tries = AtomicU32::new(0);
        let answer = run(site.read(OP, || async {
            if tries.fetch_add(1, Ordering::Relaxed) < 3 {
                return Err(CloudError::new(Fault::Throttled, OP, "slow down"));
            }
            Ok(7)
        }));
        assert_eq!(answer, Ok(7));
        let journal = calls.journal();
        let tally = journal.values().next().unwrap();
        assert_eq!((tally.calls, tally.throttled, tally.retried), (4, 3, 3));
        assert!(calls.clock().mono() >= Duration::from_millis(50 + 100 + 200), "waited between tries");
    }

    #[test]
    fn a_denied_read_is_not_tried_again() {
        let (calls, site) = door(Limits::default());
        let answer: Result<(), _> = run(site.read(OP, || async { Err(CloudError::new(Fault::Denied, OP, "")) }));
        assert_eq!(answer.unwrap_err().cause(), "denied ec2:DescribeVolumes");
        assert_eq!(calls.journal().values().next().unwrap().calls, 1);
    }

    #[test]
    fn the_deadline_ends_the_waiting() {
        let (calls, site) = door(Limits { deadline: Some(Duration::from_secs(1)), ..Limits::default() });
        let answer: Result<(), _> = run(site.read(OP, || async { Err(CloudError::new(Fault::Throttled, OP, "")) }));
        assert_eq!(answer.unwrap_err().fault, Fault::OutOfTime);
        assert!(calls.clock().mono() <= Duration::from_secs(1));
    }

    #[test]
    fn a_stopped_run_reads_no_more() {
        let (calls, site) = door(Limits::default());
        calls.stop().stop();
        let answer: Result<(), _> = run(site.read(OP, || async { Ok(()) }));
        assert_eq!(answer.unwrap_err().fault, Fault::Cancelled);
        assert!(calls.journal().is_empty());
    }

    #[test]
    fn a_hanging_call_is_stopped_within_its_wait() {
        let calls = Calls::new(Arc::new(crate::clock::SystemClock::default()), Limits::default());
        let site = calls.site(&Scope::new(CloudId::Aws, "1", "r"));
        let stop = calls.stop();
        let outcome: Result<(), _> = run(async {
            let hang = site.read(OP, std::future::pending);
            let (outcome, ()) = futures_util::future::join(hang, async { stop.stop() }).await;
            outcome
        });
        assert_eq!(outcome.unwrap_err().fault, Fault::Cancelled);
    }

    #[test]
    fn money_is_not_spent_beyond_the_budget() {
        let (calls, site) = door(Limits { max_api_usd: Amount::parse("0.02").unwrap(), ..Limits::default() });
        let price = Price::PerThousand { usd: Amount::parse("0.01").unwrap(), units: 1000 };
        let outcomes: Vec<bool> = (0..3).map(|_| run(site.paid(OP, price, || async { Ok(()) })).is_ok()).collect();
        assert_eq!(outcomes, [true, true, false]);
        assert_eq!(calls.spent().to_string(), "0.02");
    }

    #[test]
    fn what_others_of_the_run_spent_is_not_spent_again() {
        let (calls, site) = door(Limits { max_api_usd: Amount::parse("0.02").unwrap(), ..Limits::default() });
        calls.spent_by_others(Amount::parse("0.011").unwrap());
        let price = Price::PerThousand { usd: Amount::parse("0.01").unwrap(), units: 1000 };
        let answer: Result<(), _> = run(site.paid(OP, price, || async { Ok(()) }));
        assert_eq!(answer.unwrap_err().fault, Fault::OutOfBudget);
    }

    #[test]
    fn no_more_calls_are_under_way_than_the_run_may_have() {
        let (calls, _) = door(Limits { at_once: 3, ..Limits::default() });
        let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let ask = |n: usize| {
            let site = calls.site(&Scope::new(CloudId::Aws, n.to_string(), "us-east-1"));
            let (now, most) = (&now, &most);
            async move {
                site.read(OP, || async move {
                    most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::Relaxed);
                    Ok(())
                })
                .await
            }
        };
        let answers = run(futures_util::future::join_all((0..20).map(ask)));
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(most.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_bucket_holds_the_rate() {
        let (calls, site) = door(Limits { rate: 10.0, burst: 5.0, ..Limits::default() });
        run(async {
            for _ in 0..25 {
                site.read(OP, || async { Ok(()) }).await.unwrap();
            }
        });
        let took = calls.clock().mono();
        assert!((Duration::from_millis(1900)..Duration::from_millis(2200)).contains(&took), "{took:?}");
    }

    #[test]
    fn a_token_that_comes_twice_is_an_error() {
        let mut pages = Pages::new(OP);
        assert_eq!(pages.next(), Some(None));
        pages.seen(Some("a")).unwrap();
        assert_eq!(pages.next(), Some(Some("a".to_owned())));
        pages.seen(Some("b")).unwrap();
        assert_eq!(pages.seen(Some("a")).unwrap_err().fault, Fault::Malformed);
    }
}
