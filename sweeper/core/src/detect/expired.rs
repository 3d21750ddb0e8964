//! Resources whose own tag says that they may go.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::Question,
    environment::{self, ByName, Standing},
    house::same_key,
    inventory::{Resource, Unseen},
    model::{Class, Timestamp},
    ttl::{self, Until},
};
use std::borrow::Cow;

pub(super) static SPEC: Spec = Spec {
    id: "expired",
    title: "resource past the end that its own tag or its lease gives",
    classes: &[
        Class::Vm,
        Class::Disk,
        Class::Snapshot,
        Class::Image,
        Class::Registry,
        Class::Bucket,
        Class::Function,
        Class::Address,
        Class::Interface,
        Class::Gateway,
        Class::Endpoint,
        Class::LoadBalancer,
        Class::TargetGroup,
        Class::Database,
        Class::DbSnapshot,
        Class::LogGroup,
    ],
    relations: &[],
    sources: &[],
    questions: &[Question::Tags],
    severity: Severity::Ticket,
    why_it_matters: "Somebody wrote down until when this is needed, and that time has passed. Nothing else is as \
        certain a sign of waste, and nothing as cheap to ask for when things are made.",
    when_it_is_wrong: "The date was copied along with a template, or nobody moved it when the work went on. A date \
        counts until its day has ended everywhere on earth; of several tags the latest counts; a value that cannot \
        be read (`01/02/2027` may be two days) never counts as expired and is shown as unknown. A lease (`sweeper \
        lease grant`) counts as such a tag: while it is live nothing that it covers is expired, and what was there \
        before it was granted is not judged by its end unless it names the lease itself, by the tag `sweeper-lease`.",
};

const BY_TAG: &str = "end by its tag";
const BY_LEASE: &str = "end of its lease";

/// Something that says until when: as what it is shown, by which value, and the end.
struct End {
    fact: String,
    value: String,
    at: Timestamp,
    basis: &'static str,
    source: Cow<'static, str>,
}

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let tags = view.tags(resource)?;
    let (mut latest, mut unread) = match by_lease(view, resource, &tags) {
        Lease::Live => return Ok(Verdict::trap("its lease runs")),
        Lease::Ended(end) => (Some(end), None),
        Lease::None => (None, None),
        Lease::Unknown(unseen) => (None, Some(unseen)),
    };
    for (key, value) in &tags {
        if !view.house.expiry_keys.iter().any(|own| same_key(own, key)) {
            continue;
        }
        let not_read = |why: &str| Unseen {
            cause: format!("tag {key} {why}"),
            what: format!("{key} = {value:?} of {}", resource.kind().title),
        };
        match ttl::until(value, resource.created()) {
            Until::Never => return Ok(Verdict::trap("its tag says never")),
            Until::At(end) if end > view.now => return Ok(Verdict::trap("its tag gives a later date")),
            Until::At(at) => {
                if latest.as_ref().is_none_or(|known| at > known.at) {
                    let (fact, value) = (format!("tag {key}"), (*value).to_owned());
                    latest = Some(End { fact, value, at, basis: BY_TAG, source: view.source(resource) });
                }
            }
            Until::Ambiguous => unread = unread.or(Some(not_read("is ambiguous: write 2027-01-31"))),
            Until::NoCreation => unread = unread.or(Some(not_read("counts from a creation that is not known"))),
            Until::Unreadable => unread = unread.or(Some(not_read("cannot be read as a date"))),
        }
    }
    // A tag that cannot be read may be the one that keeps it.
    if let Some(unread) = unread {
        return Err(unread);
    }
    let Some(End { fact, value, at, basis, source }) = latest else { return Ok(Verdict::CLEAN) };
    // A lease that cannot be read may be one that covers it.
    if let Some(why) = view.house.environments.trouble() {
        return Err(Unseen { cause: format!("leases not readable: {why}"), what: "leases".to_owned() });
    }
    let reading = if basis == BY_TAG { "end of that day in UTC-12, or the instant written" } else { "leases" };
    Ok(Verdict::Found(
        Finding::new(fact, value, source)
            .and("ended", at, reading)
            .and_known("created", resource.created(), view.source(resource))
            .since(Some(at), basis),
    ))
}

/// What leases say of a resource.
enum Lease {
    /// None speaks of it.
    None,
    Live,
    /// Every one that covers it has ended; the last of them.
    Ended(End),
    /// One that may cover it cannot be judged.
    Unknown(Unseen),
}

fn by_lease<'a>(view: &View<'a>, resource: Resource<'a>, tags: &[(&str, &str)]) -> Lease {
    let known = &view.house.environments;
    let title = resource.kind().title;
    let mut last: Option<End> = None;
    let mut unseen = None;
    for (lease, ByName(by_name)) in known.covering(resource, tags) {
        let Standing::Ended(at, why) = lease.standing(view.now) else { return Lease::Live };
        // What was there before was not made for it, unless it says so itself.
        match resource.created() {
            _ if by_name => {}
            Some(created) if created < lease.granted.plus(-lease.skew) => continue,
            Some(_) => {}
            None => {
                let cause = format!("whether lease {} is older is not known: tag it {}", lease.id, environment::TAG);
                unseen = unseen.or(Some(Unseen { cause, what: format!("creation of {title}") }));
                continue;
            }
        }
        if last.as_ref().is_none_or(|known| at > known.at) {
            let (fact, value) = (format!("lease {}", lease.id), format!("{}, owner {}", why.name(), lease.owner));
            last = Some(End { fact, value, at, basis: BY_LEASE, source: "leases".into() });
        }
    }
    for (key, id) in tags.iter().filter(|(key, _)| same_key(key, environment::TAG)) {
        if !known.knows(id) {
            let cause = format!("tag {key} names a lease that is not known");
            unseen = unseen.or(Some(Unseen { cause, what: format!("{key} = {id:?} of {title}") }));
        }
    }
    match (unseen, last) {
        (Some(unseen), _) => Lease::Unknown(unseen),
        (None, Some(end)) => Lease::Ended(end),
        (None, None) => Lease::None,
    }
}
