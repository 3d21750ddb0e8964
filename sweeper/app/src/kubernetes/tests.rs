use super::*;
use proptest::prelude::*;

const CANARY: &str = "hunter2-CANARY";
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A pod with a secret wherever one can be.
fn pod(image: &str, image_id: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{CANARY}","annotations":{{"a":"{CANARY}"}},
"managedFields":[{{"x":"{CANARY}"}}],"labels":{{"a":"{CANARY}"}}}},
"spec":{{"containers":[{{"name":"c","image":"{image}","env":[{{"name":"PASSWORD","value":"{CANARY}"}}],"args":["{CANARY}"]}}],
"initContainers":[{{"image":"init:1"}}],"ephemeralContainers":[{{"image":"debug"}}],"imagePullSecrets":[{{"name":"{CANARY}"}}],
"volumes":[{{"name":"a","secret":{{"secretName":"{CANARY}"}}}},{{"awsElasticBlockStore":{{"volumeID":"aws://eu-west-1a/vol-inline"}}}},
{{"csi":{{"driver":"secrets-store","volumeAttributes":{{"x":"{CANARY}"}}}}}}]}},
"status":{{"hostIP":"{CANARY}","containerStatuses":[{{"image":"{image}","imageID":"{image_id}","state":{{}}}}],
"initContainerStatuses":[{{"image":"init:1","imageID":""}}],"ephemeralContainerStatuses":null}}}}"#
    )
}

fn volume(spec: &str) -> String {
    format!(
        r#"{{"kind":"PersistentVolume","metadata":{{"labels":{{"topology.kubernetes.io/zone":"europe-west1-b"}}}},"spec":{spec}}}"#
    )
}

fn list(items: &[String]) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":""}},"items":[{}]}}"#, items.join(","))
}

fn taken(text: &str) -> Uses {
    let mut uses = Uses::default();
    read(text.as_bytes(), None, &mut uses).unwrap();
    assert!(!format!("{uses:?}").contains("CANARY"), "{uses:?}");
    uses
}

fn items(text: &str) -> Vec<String> {
    taken(text).items.into_iter().collect()
}

#[test]
fn only_images_and_volumes_are_read_of_pods() {
    let registry = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/web";
    let text = list(&[pod(&format!("{registry}:v1"), &format!("docker-pullable://{registry}@{DIGEST}"))]);
    let registered = [format!("{registry}:v1"), format!("{registry}@{DIGEST}")];
    assert_eq!(items(&text), [&registered[0], &registered[1], "debug:latest", "init:1", "vol-inline"]);
    assert_eq!(taken(&text).kinds.into_iter().collect::<Vec<_>>(), ["Pod"]);
    // Also of one pod, and as the API lists them.
    assert_eq!(items(&pod("a:1", "")), ["a:1", "debug:latest", "init:1", "vol-inline"]);
    let api = list(&[pod("a:1", "").replace(r#""kind":"Pod","#, "")]).replace("\"List\"", "\"PodList\"");
    let mut uses = Uses::default();
    assert_eq!(read(api.as_bytes(), Some("Pod"), &mut uses).unwrap(), None);
    assert_eq!((uses.items.len(), uses.kinds.len(), uses.cut), (4, 1, false));
}

#[test]
fn what_makes_pods_is_in_use_as_well() {
    let spec = r#"{"template":{"metadata":{},"spec":{"containers":[{"image":"web:v1"}]}}}"#;
    for text in [
        format!(r#"{{"kind":"Deployment","spec":{spec},"status":{{}}}}"#),
        format!(
            r#"{{"kind":"CronJob","spec":{{"schedule":"* * * * *","jobTemplate":{{"spec":{spec}}}}},"status":{{}}}}"#
        ),
    ] {
        assert_eq!(items(&list(&[text])), ["web:v1"]);
    }
}

#[test]
fn volumes_are_called_as_their_clouds_call_them() {
    let arm = "/subscriptions/s/resourceGroups/MC_rg/providers/Microsoft.Compute/disks/pvc-1";
    for (spec, known) in [
        (r#"{"csi":{"driver":"ebs.csi.aws.com","volumeHandle":"vol-1"}}"#.to_owned(), vec!["vol-1"]),
        (r#"{"csi":{"volumeHandle":"fs-1::fsap-2"}}"#.to_owned(), vec!["fs-1", "fsap-2"]),
        (
            r#"{"csi":{"volumeHandle":"projects/shop/zones/europe-west1-b/disks/pvc-1"}}"#.to_owned(),
            vec!["projects/shop/zones/europe-west1-b/disks/pvc-1"],
        ),
        (
            r#"{"csi":{"volumeHandle":"projects/UNSPECIFIED/zones/UNSPECIFIED/disks/pvc-1"}}"#.to_owned(),
            vec!["projects/-/zones/-/disks/pvc-1"],
        ),
        (format!(r#"{{"csi":{{"driver":"disk.csi.azure.com","volumeHandle":"{arm}"}}}}"#), vec![arm]),
        (format!(r#"{{"azureDisk":{{"diskName":"x","diskURI":"{arm}"}}}}"#), vec![arm]),
        (r#"{"awsElasticBlockStore":{"volumeID":"vol-2"}}"#.to_owned(), vec!["vol-2"]),
        (r#"{"gcePersistentDisk":{"pdName":"pvc-2"}}"#.to_owned(), vec!["projects/-/zones/europe-west1-b/disks/pvc-2"]),
    ] {
        assert_eq!(items(&list(&[volume(&spec)])), known, "{spec}");
    }
    let regional = volume(r#"{"gcePersistentDisk":{"pdName":"pvc-2"}}"#).replace("west1-b", "west1-b__europe-west1-c");
    assert_eq!(items(&list(&[regional])), ["projects/-/regions/-/disks/pvc-2"]);
    // What no cloud has is counted.
    for spec in [
        r#"{"csi":{"volumeHandle":"0001-0009-rook-ceph"}}"#,
        r#"{"csi":{"volumeHandle":"rg#account#share#"}}"#,
        r#"{"csi":{"volumeHandle":"vol-1\u001b[2J"}}"#,
    ] {
        let uses = taken(&list(&[volume(spec)]));
        assert_eq!((uses.items.len(), uses.foreign), (0, 1), "{spec}");
    }
    assert_eq!(taken(&list(&[volume(r#"{"nfs":{"server":"10.0.0.1","path":"/"}}"#)])).foreign, 0);
    let content = r#"{"kind":"VolumeSnapshotContent","spec":{"source":{"volumeHandle":"vol-3"}},"status":{"snapshotHandle":"snap-1"}}"#;
    assert_eq!(items(&list(&[content.to_owned()])), ["snap-1", "vol-3"]);
}

#[test]
fn a_list_that_was_cut_off_says_so() {
    let cut = |meta: &str| list(&[]).replace(r#""resourceVersion":"""#, meta);
    assert!(!taken(&cut(r#""continue":"""#)).cut);
    assert!(taken(&cut(r#""continue":"abc""#)).cut);
    assert!(taken(&cut(r#""remainingItemCount":3"#)).cut);
    let mut uses = Uses::default();
    let page = cut(r#""continue":"abc""#).replace("\"List\"", "\"PodList\"");
    assert_eq!(read(page.as_bytes(), Some("Pod"), &mut uses).unwrap().as_deref(), Some("abc"));
    assert!(!uses.cut, "the API has another page");
    let empty = r#"{"kind":"PodList","metadata":{},"items":null}"#;
    assert_eq!(taken(empty).kinds.len(), 1);
}

#[test]
fn what_is_no_list_is_refused_and_not_repeated() {
    let good = list(&[pod("a", "")]);
    for (text, what) in [
        ("{".to_owned(), "it is cut short here"),
        (good[..good.len() - 5].to_owned(), "it is cut short here"),
        (format!("{{ {CANARY} }}"), "it is not JSON"),
        (
            good.replace(r#"{"image":"init:1"}"#, &format!("\"{CANARY}\"")),
            "what stands before this is not as Kubernetes",
        ),
        (r#"{"kind":"Status","status":{}}"#.to_owned(), "it is no list of Kubernetes"),
        (r#"{"kind":"PodList"}"#.to_owned(), "it is no list of Kubernetes"),
        (r#"{"kind":"Thing","items":[]}"#.to_owned(), "it is no list of Kubernetes"),
        ("{}".to_owned(), "it is no list of Kubernetes"),
    ] {
        let flaw = read(text.as_bytes(), None, &mut Uses::default()).unwrap_err();
        assert!(flaw.what.starts_with(what) && !format!("{flaw:?}").contains("CANARY"), "{text}: {flaw:?}");
    }
    let other = good.replace("\"List\"", "\"SecretList\"");
    assert!(read(other.as_bytes(), Some("Pod"), &mut Uses::default()).is_err());
}

#[test]
fn plain_lists_have_an_id_a_line() {
    let taken = |text: &str| {
        let mut items = BTreeSet::new();
        lines(text, &mut items).map(|()| items.into_iter().collect::<Vec<_>>())
    };
    let text = "# of the CMDB\n\n vol-1 \r\nvol-2 # why\narn:aws:s3:::b\npath#7\n";
    assert_eq!(taken(text).unwrap(), ["arn:aws:s3:::b", "path#7", "vol-1", "vol-2"]);
    for bad in ["vol-1 vol-2", "a\u{1b}[2J", "a\u{202e}b", &"x".repeat(LONGEST + 1)] {
        assert_eq!(taken(&format!("ok\n{bad}")).unwrap_err().at, Some((2, 1)), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn odd_lists_are_errors_and_never_panics(text in "\\PC{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = read(text.as_bytes(), None, &mut Uses::default());
        let _ = read(&bytes, None, &mut Uses::default());
        let mut uses = Uses::default();
        let value = serde_json::Value::String(text);
        let pod = format!(r#"{{"kind":"Pod","spec":{{"containers":[{{"image":{value}}}],"csi":{{"volumeHandle":{value}}}}}}}"#);
        let _ = read(pod.as_bytes(), None, &mut uses);
        prop_assert!(uses.items.iter().all(|item| item.bytes().all(|byte| byte.is_ascii_graphic())));
    }
}
