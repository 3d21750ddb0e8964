//! Resources whose own tag says that they may go.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::Question,
    house::same_key,
    inventory::{Resource, Unseen},
    model::{Class, Timestamp},
    ttl::{self, Until},
};

pub(super) static SPEC: Spec = Spec {
    id: "expired",
    title: "resource past the date its own tag gives",
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
        be read (`01/02/2027` may be two days) never counts as expired and is shown as unknown.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let mut latest: Option<(&str, &str, Timestamp)> = None;
    let mut unread = None;
    for (key, value) in view.tags(resource)? {
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
            Until::At(end) => {
                if latest.is_none_or(|(.., known)| end > known) {
                    latest = Some((key, value, end));
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
    let Some((key, value, end)) = latest else { return Ok(Verdict::CLEAN) };
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new(format!("tag {key}"), value, source.clone())
            .and("ended", end, "end of that day in UTC-12, or the instant written")
            .and_known("created", resource.created(), source)
            .since(Some(end), "end by its tag"),
    ))
}
