//! What is used elsewhere: made where that is known, and no secret of it goes along.

use super::{Place, Ran};
use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

const CANARY: &str = "hunter2-CANARY";

/// A list of one pod and one volume, with a secret wherever one can be.
fn pods(image: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":""}},"items":[
 {{"kind":"Pod","metadata":{{"name":"{CANARY}","annotations":{{"a":"{CANARY}"}}}},
  "spec":{{"containers":[{{"image":"{image}","env":[{{"name":"PASSWORD","value":"{CANARY}"}}],"args":["{CANARY}"]}}]}},
  "status":{{"containerStatuses":[{{"image":"{image}","imageID":"r.example.com/web@sha256:{}"}}]}}}},
 {{"kind":"PersistentVolume","metadata":{{"name":"{CANARY}"}},
  "spec":{{"csi":{{"driver":"ebs.csi.aws.com","volumeHandle":"vol-1","volumeAttributes":{{"p":"{CANARY}"}}}}}}}}
]}}
"#,
        "0".repeat(64)
    )
}

/// Runs it with all that logs can say.
fn in_use(place: &Place, arguments: &[&str], input: Option<&str>) -> Ran {
    let mut command: Command = place.command(&[&["in-use"], arguments].concat());
    command.env("SWEEPER_LOG", "trace").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It need not read what it refuses.
    let _ = child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes());
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{ran:?}");
    ran
}

#[test]
fn only_ids_and_digests_leave() {
    let place = Place::new();
    place.write("pods.json", &pods("r.example.com/web:v1"));
    let ran = in_use(&place, &["--name", "prod", "pods.json", "-"], Some("# CMDB\narn:aws:s3:::b\n"));
    let digest = "0".repeat(64);
    let text = ran.ended(0);
    assert!(text.starts_with(r#"{"format":"sweeper.in-use/1","written":"20"#), "{text}");
    let rest = format!(
        "\"source\":\"prod\",\"covers\":[\"kubernetes\"],\"complete\":true,\"items\":[\n\"arn:aws:s3:::b\",\n\
         \"r.example.com/web:v1\",\n\"r.example.com/web@sha256:{digest}\",\n\"vol-1\"\n]}}\n"
    );
    assert!(text.ends_with(&rest), "{text}");
    assert!(ran.err.contains("4 ids in use; left out: 0 volumes of no cloud"), "{}", ran.err);
    // A file is the same, and readable by its owner only.
    let filed = in_use(&place, &["--name", "prod", "--out", "in-use.json", "pods.json"], None);
    assert_eq!(filed.ended(0), "");
    assert!(fs::read_to_string(place.path("in-use.json")).unwrap().contains("\"complete\":true"));
    #[cfg(unix)]
    {
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(place.path("in-use.json")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn one_bad_list_leaves_no_file() {
    let place = Place::new();
    place.write("good.json", &pods("a:1"));
    place.write("cut.json", &pods("a:1")[..300]);
    place.write("more.json", &pods("a:1").replace("\"resourceVersion\":\"\"", "\"continue\":\"x\""));
    place.write("odd.txt", &format!("vol-1\nnot an {CANARY}\n"));
    place.write("empty.txt", "\n");
    let all = ["good.json", "cut.json", "more.json", "odd.txt", "empty.txt", "none.json", "."];
    let said = [
        "cut.json:4:",
        "it is cut short here",
        "more.json: it was cut off",
        "odd.txt:2:1: this is no id",
        "empty.txt: it is empty",
        "none.json: it is not there",
        ".: it is a directory",
        "error: 6 lists cannot be read to the end, so no file was written",
        "help: mend them, or let --keep-going",
    ];
    let before = place.names();
    in_use(&place, &[&["--name", "p", "--out", "in-use.json"], &all[..]].concat(), None).failed(2, &said);
    assert_eq!(place.names(), before, "no part of a file");
    let ran = in_use(&place, &[&["--name", "p", "--keep-going"], &all[..]].concat(), None);
    assert!(ran.ended(3).contains("\"complete\":false") && ran.out.contains("\"vol-1\""), "{}", ran.out);
    in_use(&place, &["--name", "p", "-", "-"], None).failed(2, &["can be read only once"]);
    in_use(&place, &["--name", "\u{1b}[2J", "good.json"], None).failed(2, &["--name is empty"]);
    in_use(&place, &["--name", "p", "--out", "none/x.json", "good.json"], None).failed(2, &["failed to write none/x"]);
    in_use(&place, &["--name", "p", "--out", "s3://bucket", "good.json"], None).failed(2, &["names no object"]);
    in_use(&place, &["--name", "p", "--cluster"], None).failed(2, &["this is no pod", "kubectl get pods"]);
    in_use(&place, &["--name", "p"], None).failed(2, &["<LIST>"]);
    in_use(&place, &["good.json"], None).failed(2, &["--name"]);
}

#[test]
fn the_config_names_files() {
    let place = Place::new();
    place.write("sweeper.toml", "[[referrers]]\nfile = \"\"\nmax_agee = \"48h\"\n\n[[referrers]]\nfile = \"s3://b\"\n");
    place.run(&["report"]).failed(
        2,
        &["sweeper.toml:2:8", "`file` is empty", "did you mean `max_age`?", "sweeper.toml:6:8", "names no object"],
    );
}
