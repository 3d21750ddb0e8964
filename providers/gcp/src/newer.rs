//! What may be done to resources of the newer APIs (`/v2/projects/p/locations/l/…`), and how it is watched.

use crate::{
    auth::Gcp,
    operations,
    rest::{Request, Service, segment},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sweeper_core::{
    calls::Site,
    deed::{Deed, Pen, Permit, Progress, Sent, Target},
    kind::{CloudError, Fault},
    model::Timestamp,
};

/// A sort of resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sort {
    pub(crate) service: Service,
    /// Of the service's paths: `v2`.
    pub(crate) version: &'static str,
    /// The permission to read one.
    pub(crate) get: &'static str,
    /// The permission to read an operation of the service.
    pub(crate) watch: &'static str,
    /// The field that tells one from an earlier one of the same name.
    pub(crate) known_by: KnownBy,
}

/// How a resource is told from another that has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownBy {
    /// Its own `uid`.
    Uid,
    /// It has none: the instant in this field, at which it was made.
    Time(&'static str),
}

impl KnownBy {
    fn is_same(self, found: &Value, target: &Target) -> bool {
        match self {
            Self::Uid => !target.uid.is_empty() && found["uid"].as_str() == Some(&target.uid),
            Self::Time(field) => {
                target.created.is_some() && found[field].as_str().and_then(Timestamp::parse) == target.created
            }
        }
    }
}

/// The path of a resource's location, to which its collection and name are added.
pub(crate) fn location(version: &str, target: &Target) -> String {
    format!("/{version}/projects/{}/locations/{}", segment(&target.account), segment(&target.region))
}

impl Sort {
    /// `/v2/projects/p/locations/l/services/s`.
    pub(crate) fn path(self, target: &Target, collection: &str) -> String {
        format!("{}/{collection}/{}", location(self.version, target), segment(&target.native_id))
    }

    /// Reads one; `None` where there is none of its name.
    pub(crate) async fn find<T: DeserializeOwned + Send>(
        self,
        gcp: &Gcp,
        site: &Site,
        path: &str,
    ) -> Result<Option<T>, CloudError> {
        gcp.find(site, self.get, Request::get(self.service, path.to_owned())).await
    }

    /// Reads the very resource that was planned for; `None` when it is gone. Fails when another has its name by now.
    pub(crate) async fn same(
        self,
        gcp: &Gcp,
        site: &Site,
        target: &Target,
        path: &str,
    ) -> Result<Option<Value>, CloudError> {
        match self.find::<Value>(gcp, site, path).await? {
            Some(found) if !self.known_by.is_same(&found, target) => {
                Err(CloudError::new(Fault::Refused, self.get, "another has its name"))
            }
            found => Ok(found),
        }
    }

    /// Deletes it, in the version that was just read where it tells one (`etag`). What is gone already needs no
    /// deleting.
    pub(crate) async fn delete(
        self,
        gcp: &Gcp,
        pen: &Pen<'_>,
        op: &'static str,
        path: String,
    ) -> Result<Sent, CloudError> {
        let Some(found) = self.same(gcp, pen.site(), pen.target(), &path).await? else { return Ok(Sent::default()) };
        self.delete_seen(gcp, pen, op, path, &found).await
    }

    /// As [`Self::delete`], of what was read.
    pub(crate) async fn delete_seen(
        self,
        gcp: &Gcp,
        pen: &Pen<'_>,
        op: &'static str,
        path: String,
        found: &Value,
    ) -> Result<Sent, CloudError> {
        let mut request = Request::delete(self.service, path);
        // Functions have none.
        if let (Service::Run, Some(etag)) = (self.service, found["etag"].as_str()) {
            request = request.with("etag", etag);
        }
        match gcp.change(pen, op, request).await {
            Ok(answer) => Ok(operations::sent(&answer)),
            Err(error) if error.fault == Fault::NotFound => Ok(Sent::default()),
            Err(error) => Err(error),
        }
    }

    /// How far a deletion is: its operation must be over, and the resource must be gone.
    pub(crate) async fn progress(
        self,
        gcp: &Gcp,
        site: &Site,
        permit: &Permit,
        sent: &Sent,
        path: &str,
    ) -> Result<Progress, CloudError> {
        let target = permit.target();
        let Self { service, version, watch, .. } = self;
        if let Some(progress) =
            operations::long_running(gcp, site, watch, service, version, &target.region, sent).await?
        {
            return Ok(progress);
        }
        if *permit.deed() != Deed::Delete {
            return Err(CloudError::new(Fault::Refused, self.get, "nothing watches this deed"));
        }
        let found = self.find::<Value>(gcp, site, path).await?;
        let there = found.is_some_and(|found| self.known_by.is_same(&found, target));
        Ok(if there { Progress::Running } else { Progress::Done(None) })
    }
}
