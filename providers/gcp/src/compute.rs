//! What may be done to resources of Compute Engine, and how it is watched.
//!
//! They are known by names, which may be another's by tomorrow: each deed reads the resource first and goes no further
//! when its number is not the one that was planned.

use crate::{
    auth::Gcp,
    operations,
    rest::{Request, Service, segment},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sweeper_core::{
    calls::Site,
    deed::{ActSpec, Deed, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    kind::{CloudError, Fault},
};

/// How a label is set.
pub(crate) const fn tagging(writes: &'static [Write], reads: &'static [&'static str]) -> ActSpec {
    let reversal = Reversal::Undo("the label is taken away");
    ActSpec { deed: DeedKind::Tag, writes, reads, reversal, keeps: &[], takes: &[] }
}

/// How a label is taken away.
pub(crate) const fn untagging(writes: &'static [Write], reads: &'static [&'static str]) -> ActSpec {
    let reversal = Reversal::Undo("the label is set again");
    ActSpec { deed: DeedKind::Untag, writes, reads, reversal, keeps: &[], takes: &[] }
}

/// A sort of resource, as the paths have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sort {
    /// `disks`.
    pub(crate) collection: &'static str,
    /// The permission to read one.
    pub(crate) get: &'static str,
}

impl Sort {
    pub(crate) fn path(self, target: &Target) -> String {
        let (place, name) = (operations::place(&target.region), segment(&target.native_id));
        format!("/compute/v1/projects/{}/{place}/{}/{name}", segment(&target.account), self.collection)
    }

    fn request(self, target: &Target) -> Request {
        Request::get(Service::Compute, self.path(target))
    }

    /// Reads one; `None` where there is none of its name.
    pub(crate) async fn find<T: DeserializeOwned + Send>(
        self,
        gcp: &Gcp,
        site: &Site,
        target: &Target,
    ) -> Result<Option<T>, CloudError> {
        gcp.find(site, self.get, self.request(target)).await
    }

    /// Reads the very resource that was planned for; `None` when it is gone. Fails when another has its name by now.
    pub(crate) async fn same(self, gcp: &Gcp, site: &Site, target: &Target) -> Result<Option<Value>, CloudError> {
        let Some(found) = self.find::<Value>(gcp, site, target).await? else { return Ok(None) };
        if is_same(&found, target) {
            return Ok(Some(found));
        }
        let number = found["id"].as_str().unwrap_or("none");
        let what = format!("another has its name: its number was {}, and is {number}", target.uid);
        Err(CloudError::new(Fault::Refused, self.get, what))
    }

    /// Deletes it. What is gone already needs no deleting.
    pub(crate) async fn delete(self, gcp: &Gcp, pen: &Pen<'_>, op: &'static str) -> Result<Sent, CloudError> {
        if self.same(gcp, pen.site(), pen.target()).await?.is_none() {
            return Ok(Sent::default());
        }
        let request = Request::delete(Service::Compute, self.path(pen.target()));
        match gcp.change(pen, op, request.with("requestId", pen.permit().token())).await {
            Ok(answer) => Ok(operations::sent(&answer)),
            Err(error) if error.fault == Fault::NotFound => Ok(Sent::default()),
            Err(error) => Err(error),
        }
    }

    /// Posts to it: `stop`, `setLabels`.
    pub(crate) async fn post(
        self,
        gcp: &Gcp,
        pen: &Pen<'_>,
        op: &'static str,
        verb: &str,
        body: Option<Value>,
    ) -> Result<Sent, CloudError> {
        let path = format!("{}/{verb}", self.path(pen.target()));
        let mut request = Request::post(Service::Compute, path, body);
        // Global resources take none for their labels.
        if !(verb == "setLabels" && operations::place(&pen.target().region) == "global") {
            request = request.with("requestId", pen.permit().token());
        }
        Ok(operations::sent(&gcp.change(pen, op, request).await?))
    }

    /// Sets or takes away one label, if nobody changed the labels meanwhile.
    pub(crate) async fn label(self, gcp: &Gcp, pen: &Pen<'_>, op: &'static str) -> Result<Sent, CloudError> {
        let found = self.there(gcp, pen).await?;
        let before = found["labels"].as_object().cloned().unwrap_or_default();
        let after = labelled(before.clone(), pen.permit().deed());
        if after == before {
            return Ok(Sent::default());
        }
        let body = json!({ "labels": after, "labelFingerprint": found["labelFingerprint"] });
        self.post(gcp, pen, op, "setLabels", Some(body)).await
    }

    /// As [`Self::same`], for what cannot be done to what is gone.
    pub(crate) async fn there(self, gcp: &Gcp, pen: &Pen<'_>) -> Result<Value, CloudError> {
        let gone = || CloudError::new(Fault::NotFound, self.get, "it is gone");
        self.same(gcp, pen.site(), pen.target()).await?.ok_or_else(gone)
    }

    /// How far a change of it is: its operation must be over, and the resource must be as it should be.
    pub(crate) async fn progress(
        self,
        gcp: &Gcp,
        site: &Site,
        permit: &Permit,
        sent: &Sent,
    ) -> Result<Progress, CloudError> {
        let target = permit.target();
        if let Some(progress) = operations::compute(gcp, site, &target.region, sent).await? {
            return Ok(progress);
        }
        let found = self.find::<Value>(gcp, site, target).await?.filter(|found| is_same(found, target));
        let status = found.as_ref().map(|found| found["status"].as_str().unwrap_or_default());
        let done = match (permit.deed(), status) {
            (Deed::Delete, None) | (Deed::Tag { .. } | Deed::Untag { .. }, Some(_)) => true,
            (Deed::Delete, Some(_)) => false,
            (Deed::Stop, Some(status)) => matches!(status, "TERMINATED" | "STOPPED"),
            (Deed::Start, Some(status)) => status == "RUNNING",
            (_, None) => return Ok(Progress::Failed("it is gone".to_owned())),
            (_, Some(_)) => return Err(CloudError::new(Fault::Refused, self.get, "nothing watches this deed")),
        };
        Ok(if done { Progress::Done(None) } else { Progress::Running })
    }
}

/// Whether what was read is what was planned for, by its number. Without a number nothing is.
pub(crate) fn is_same(found: &Value, target: &Target) -> bool {
    !target.uid.is_empty() && found["id"].as_str() == Some(&target.uid)
}

/// Labels after a deed.
fn labelled(mut labels: Map<String, Value>, deed: &Deed) -> Map<String, Value> {
    match deed {
        Deed::Tag { key, value } => drop(labels.insert(key.clone(), Value::from(value.as_str()))),
        Deed::Untag { key } => drop(labels.remove(key)),
        _ => {}
    }
    labels
}
