//! What Kubernetes uses of the clouds, of the lists that its API gives and `kubectl get -o json` writes: digests and names
//! of images, ids of volumes and snapshots.
//!
//! Pods hold secrets in their environments. The decoder here names the few keys that it wants; everything else is skipped
//! while it is read and never becomes a value, and an error says where it is and never what stands there.
//!
//! Forms: kubernetes.io/docs/reference/kubernetes-api (v1 and apps/v1), and of snapshots
//! `snapshot.storage.k8s.io/v1` of github.com/kubernetes-csi/external-snapshotter.

pub mod api;

use crate::states::Flaw;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
use sweeper_core::{in_use::LONGEST, inert::is_hostile};

/// What some lists come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uses {
    pub items: BTreeSet<String>,
    /// Kinds that were in the lists: `Pod`.
    pub kinds: BTreeSet<String>,
    /// Volumes and snapshots whose handle is none that an inventory of the clouds has.
    pub foreign: u64,
    /// A list was cut off: there is more that it does not have.
    pub cut: bool,
}

/// A list, or one thing.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    kind: String,
    #[serde(default, deserialize_with = "or_none")]
    metadata: Meta,
    #[serde(default, deserialize_with = "present")]
    #[expect(clippy::option_option, reason = "a list that is `null` is empty, and one that is not there is none")]
    items: Option<Option<Vec<Thing>>>,
    #[serde(default, deserialize_with = "or_none")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_none")]
    status: Status,
}

/// Tells what is `null` from what is not there.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Lists and objects of Go are `null` when they are empty.
fn or_none<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    #[serde(rename = "continue", deserialize_with = "or_none")]
    more: String,
    remaining_item_count: Option<u64>,
    #[serde(deserialize_with = "or_none")]
    labels: Labels,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "topology.kubernetes.io/zone")]
    zone: Option<String>,
    #[serde(rename = "failure-domain.beta.kubernetes.io/zone")]
    old_zone: Option<String>,
}

/// A pod, a volume, a snapshot, or what pods are made of. In a list of one kind it does not say its own.
#[derive(Deserialize)]
struct Thing {
    #[serde(default)]
    kind: String,
    #[serde(default, deserialize_with = "or_none")]
    metadata: Meta,
    #[serde(default, deserialize_with = "or_none")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_none")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    // Of pods.
    #[serde(deserialize_with = "or_none")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "or_none")]
    init_containers: Vec<Container>,
    #[serde(deserialize_with = "or_none")]
    ephemeral_containers: Vec<Container>,
    #[serde(deserialize_with = "or_none")]
    volumes: Vec<Volume>,
    // Of what makes pods.
    template: Option<Box<Template>>,
    job_template: Option<Box<Template>>,
    // Of volumes.
    csi: Option<Csi>,
    aws_elastic_block_store: Option<Ebs>,
    gce_persistent_disk: Option<GceDisk>,
    azure_disk: Option<AzureDisk>,
    // Of snapshots.
    source: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    #[serde(deserialize_with = "or_none")]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    image: Option<String>,
}

/// One that a pod names itself: drivers make none of these that outlive it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Volume {
    aws_elastic_block_store: Option<Ebs>,
    gce_persistent_disk: Option<GceDisk>,
    azure_disk: Option<AzureDisk>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Csi {
    volume_handle: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ebs {
    #[serde(rename = "volumeID")]
    volume_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GceDisk {
    pd_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AzureDisk {
    #[serde(rename = "diskURI")]
    disk_uri: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Source {
    snapshot_handle: Option<String>,
    volume_handle: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(deserialize_with = "or_none")]
    container_statuses: Vec<Running>,
    #[serde(deserialize_with = "or_none")]
    init_container_statuses: Vec<Running>,
    #[serde(deserialize_with = "or_none")]
    ephemeral_container_statuses: Vec<Running>,
    snapshot_handle: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Running {
    image: Option<String>,
    #[serde(rename = "imageID")]
    image_id: Option<String>,
}

const KUBECTL: &str = "write it again: `kubectl get pods,persistentvolumes -A -o json`";

/// Where the next page begins, if there is one.
pub type More = Option<String>;

/// Reads a list, of one kind or of several. Where the API gave it, `kind` is what it must be of.
pub fn read(bytes: &[u8], kind: Option<&str>, uses: &mut Uses) -> Result<More, Flaw> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| Flaw {
        at: Some((error.line(), error.column())),
        what: match error.classify() {
            serde_json::error::Category::Eof => "it is cut short here",
            serde_json::error::Category::Data => "what stands before this is not as Kubernetes has it",
            _ => "it is not JSON",
        },
        help: Some(KUBECTL),
    })?;
    let foreign = Flaw { at: None, what: "it is no list of Kubernetes", help: Some(KUBECTL) };
    let Document { kind: own, metadata, items, spec, status } = document;
    let Some(items) = items else {
        // `kubectl get pod web -o json`.
        if kind.is_some() || own.is_empty() || own == "Status" || own.ends_with("List") {
            return Err(foreign);
        }
        uses.thing(&Thing { kind: own.clone(), metadata, spec, status });
        uses.kinds.insert(own);
        return Ok(None);
    };
    let Some(of) = own.strip_suffix("List").filter(|of| kind.is_none_or(|kind| kind == *of)) else {
        return Err(foreign);
    };
    if !of.is_empty() {
        uses.kinds.insert(of.to_owned());
    }
    for thing in items.unwrap_or_default() {
        uses.thing(&thing);
        if !thing.kind.is_empty() {
            uses.kinds.insert(thing.kind);
        }
    }
    let more = Some(metadata.more).filter(|more| !more.is_empty());
    uses.cut |= kind.is_none() && (more.is_some() || metadata.remaining_item_count.is_some_and(|left| left > 0));
    Ok(more)
}

impl Uses {
    fn thing(&mut self, Thing { metadata, spec, status, .. }: &Thing) {
        let zone = metadata.labels.zone.as_deref().or(metadata.labels.old_zone.as_deref());
        self.spec(spec, zone);
        let running =
            [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
        for Running { image, image_id } in running.into_iter().flatten() {
            for text in [image, image_id].into_iter().flatten() {
                self.image(text);
            }
        }
        if let Some(handle) = &status.snapshot_handle {
            self.handle(handle);
        }
    }

    fn spec(&mut self, spec: &Spec, zone: Option<&str>) {
        for Container { image } in
            [&spec.containers, &spec.init_containers, &spec.ephemeral_containers].into_iter().flatten()
        {
            if let Some(image) = image {
                self.image(image);
            }
        }
        for Volume { aws_elastic_block_store, gce_persistent_disk, azure_disk } in &spec.volumes {
            self.volume(
                None,
                aws_elastic_block_store.as_ref(),
                gce_persistent_disk.as_ref(),
                azure_disk.as_ref(),
                zone,
            );
        }
        let Spec { csi, aws_elastic_block_store, gce_persistent_disk, azure_disk, .. } = spec;
        let (ebs, gce) = (aws_elastic_block_store.as_ref(), gce_persistent_disk.as_ref());
        self.volume(csi.as_ref(), ebs, gce, azure_disk.as_ref(), zone);
        if let Some(source) = &spec.source {
            for handle in [&source.snapshot_handle, &source.volume_handle].into_iter().flatten() {
                self.handle(handle);
            }
        }
        for template in [&spec.template, &spec.job_template].into_iter().flatten() {
            self.spec(&template.spec, None);
        }
    }

    fn volume(
        &mut self,
        csi: Option<&Csi>,
        ebs: Option<&Ebs>,
        gce: Option<&GceDisk>,
        azure: Option<&AzureDisk>,
        zone: Option<&str>,
    ) {
        let csi = csi.and_then(|csi| csi.volume_handle.as_deref());
        let ebs = ebs.and_then(|ebs| ebs.volume_id.as_deref());
        let azure = azure.and_then(|disk| disk.disk_uri.as_deref());
        for handle in [csi, ebs, azure].into_iter().flatten() {
            self.handle(handle);
        }
        if let Some(name) = gce.and_then(|disk| disk.pd_name.as_deref()) {
            // Its project is that of the cluster, which nothing here tells; a disk of several zones is of a region.
            let zone = zone.unwrap_or("-");
            if zone == "-" || !zone.contains("__") {
                self.handle(&format!("projects/-/zones/{zone}/disks/{name}"));
            }
            if zone == "-" || zone.contains("__") {
                self.handle(&format!("projects/-/regions/-/disks/{name}"));
            }
        }
    }

    /// A reference to an image, or what a runtime says it made of one: by digest where it has one, else by name and tag.
    fn image(&mut self, text: &str) {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
        if text.is_empty() || text.len() > LONGEST / 2 || !text.bytes().all(plain) {
            return;
        }
        let is_tagged = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        self.items.insert(if is_tagged { text.to_owned() } else { format!("{text}:latest") });
    }

    fn handle(&mut self, handle: &str) {
        match cloud_ids(handle) {
            ids if ids.is_empty() => self.foreign += 1,
            ids => self.items.extend(ids),
        }
    }
}

/// The ids of a volume's or snapshot's handle, of the drivers of the three clouds.
fn cloud_ids(handle: &str) -> Vec<String> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>#".contains(&byte);
    if handle.len() > LONGEST || !handle.bytes().all(is_plain) {
        return Vec::new();
    }
    // As the driver that was part of Kubernetes wrote it: `aws://eu-west-1a/vol-1`.
    let handle = handle.strip_prefix("aws://").and_then(|rest| rest.rsplit('/').next()).unwrap_or(handle);
    if handle.starts_with("arn:") || handle.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("/subscriptions/"))
    {
        return vec![handle.to_owned()];
    }
    if handle.starts_with("projects/") {
        return vec![handle.replace("/UNSPECIFIED/", "/-/")];
    }
    // EFS: a file system, and an access point of it.
    let known = |part: &&str| ["vol-", "snap-", "fs-", "fsap-"].iter().any(|start| part.starts_with(start));
    handle.split("::").filter(known).map(ToOwned::to_owned).collect()
}

/// Reads a plain list: an id a line, `#` begins a comment.
pub fn lines(text: &str, items: &mut BTreeSet<String>) -> Result<(), Flaw> {
    for (at, line) in text.lines().enumerate() {
        let id = line.split_once('#').filter(|(before, _)| before.ends_with([' ', '\t']) || before.is_empty());
        let id = id.map_or(line, |(before, _)| before).trim();
        if id.is_empty() {
            continue;
        }
        if id.len() > LONGEST || id.contains(|letter: char| letter.is_whitespace() || is_hostile(letter)) {
            let what = "this is no id: it is too long, or has spaces or signs that no id has";
            return Err(Flaw { at: Some((at + 1, 1)), what, help: Some("write an id, ARN or digest a line") });
        }
        items.insert(id.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
