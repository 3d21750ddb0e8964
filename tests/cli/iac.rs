//! The index of what code manages: made where state is, and no secret of it goes along.

use super::{Place, Ran};
use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

const CANARY: &str = "hunter2-CANARY";

/// State of version 4 with a secret wherever one can be.
fn state(id: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.9.0","serial":3,"lineage":"{CANARY}","outputs":{{
  "password":{{"value":"{CANARY}","type":"string","sensitive":true}}}},
"resources":[
 {{"mode":"managed","type":"aws_ebs_volume","name":"data","provider":"provider[\"registry.terraform.io/hashicorp/aws\"]",
  "instances":[{{"index_key":0,"schema_version":0,"private":"{CANARY}",
   "attributes":{{"id":"{id}","arn":"arn:aws:ec2:eu-west-1:111111111111:volume/{id}","tags":{{"password":"{CANARY}"}}}},
   "sensitive_attributes":[[{{"type":"get_attr","value":"{CANARY}"}}]]}}]}},
 {{"module":"module.db","mode":"managed","type":"random_password","name":"db","provider":"provider[\"random\"]",
  "instances":[{{"attributes":{{"id":"{CANARY}","result":"{CANARY}"}}}}]}},
 {{"mode":"managed","type":"aws_db_instance","name":"db","provider":"provider[\"aws\"]",
  "instances":[{{"attributes":{{"id":"{CANARY}","password":"{CANARY}","arn":"{CANARY}"}}}}]}},
 {{"mode":"data","type":"aws_secretsmanager_secret_version","name":"s","provider":"provider[\"aws\"]",
  "instances":[{{"attributes":{{"id":"{CANARY}","secret_string":"{CANARY}"}}}}]}}],
"check_results":[{{"x":"{CANARY}"}}]}}
"#
    )
}

/// Runs it with all that logs can say.
fn index(place: &Place, arguments: &[&str], input: Option<&str>) -> Ran {
    let mut command: Command = place.command(&[&["iac-index"], arguments].concat());
    command.env("SWEEPER_LOG", "trace").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It need not read what it refuses.
    let _ = child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes());
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{ran:?}");
    ran
}

/// The lines with entries.
fn entries(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("{\"id\"")).map(|line| line.trim_end_matches(',')).collect()
}

#[test]
fn only_ids_and_addresses_leave() {
    let place = Place::new();
    fs::create_dir_all(place.path("prod/network")).unwrap();
    place.write("prod/network/terraform.tfstate", &state("vol-00000002"));
    let ran = index(&place, &["prod/network/terraform.tfstate", "lab=-"], Some(&state("vol-00000001")));
    assert_eq!(
        entries(ran.ended(0)),
        [
            r#"{"id":"vol-00000001","address":"aws_ebs_volume.data[0]","stack":"lab","tool":"terraform"}"#,
            r#"{"id":"vol-00000002","address":"aws_ebs_volume.data[0]","stack":"prod/network","tool":"terraform"}"#,
        ]
    );
    assert!(ran.out.starts_with(r#"{"format":"sweeper.iac-index/1","made":"20"#), "{}", ran.out);
    assert!(
        ran.err.contains("2 ids in the index; left out: 2 resources whose id no inventory has, 2 of other"),
        "{}",
        ran.err
    );
    // A file is the same, and readable by its owner only.
    let filed = index(&place, &["--out", "index.json", "lab=prod/network/terraform.tfstate"], None);
    assert_eq!(filed.ended(0), "");
    let kept = fs::read_to_string(place.path("index.json")).unwrap();
    assert_eq!(entries(&kept).len(), 1);
    #[cfg(unix)]
    {
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(place.path("index.json")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn one_bad_state_leaves_no_index() {
    let place = Place::new();
    place.write("good.tfstate", &state("vol-00000001"));
    place.write("cut.tfstate", &state("vol-00000002")[..400]);
    place.write("odd.tfstate", &state("vol-00000003").replace("\"version\":4", &format!("\"version\":\"{CANARY}\"")));
    place.write("bare.tfstate", &format!("{{\n  \"version\": 4,\n  {CANARY}\n}}"));
    place.write("sweeper.json", r#"{"format":"sweeper.iac-index/1"}"#);
    let all = ["good.tfstate", "cut.tfstate", "odd.tfstate", "none.tfstate", "bare.tfstate", "sweeper.json", "."];
    let said = [
        "cut.tfstate:6:",
        "it is cut short here",
        "odd.tfstate:1:",
        "none.tfstate: it is not there",
        "bare.tfstate:3:3: it is not JSON",
        "sweeper.json: it is no state that is known; help: known are",
        ".: it is a directory",
        "error: 6 states cannot be read, so no index was written",
        "help: mend them, or let --keep-going",
    ];
    let before = place.names();
    index(&place, &[&["--out", "index.json"], &all[..]].concat(), None).failed(2, &said);
    assert_eq!(place.names(), before, "no part of an index");
    let ran = index(&place, &[&["--keep-going"], &all[..]].concat(), None);
    assert_eq!(entries(ran.ended(3)).len(), 1);
    assert!(ran.out.contains("\"incomplete\":true"), "{}", ran.out);
    assert!(ran.err.contains("none.tfstate: it is not there") && ran.err.contains("incomplete"), "{}", ran.err);
    index(&place, &["-"], Some(&state("vol-00000001"))).failed(2, &["the standard input: its state has no name"]);
    index(&place, &["-", "x=-"], None).failed(2, &["can be read only once"]);
    index(&place, &["--out", "none/index.json", "good.tfstate"], None).failed(2, &["failed to write none/index.json"]);
    index(&place, &[], None).failed(2, &["<STATE>"]);
}

#[test]
fn text_that_means_harm_does_nothing() {
    let place = Place::new();
    let hostile = "\\u001b[2J\\u202egnp<script>";
    place.write("a.tfstate", &state("vol-00000001").replace("\"name\":\"data\"", &format!("\"name\":\"{hostile}\"")));
    let ran = index(&place, &["\u{1b}[31m\u{202e}=a.tfstate"], None);
    let acts = |letter: char| sweeper_core::inert::is_hostile(letter) && letter != '\n';
    assert!(!ran.ended(0).contains(acts) && !ran.out.contains('<') && !ran.err.contains(acts), "{ran:?}");
    assert_eq!(entries(&ran.out).len(), 1);
}

#[test]
fn the_config_names_indexes() {
    let place = Place::new();
    place.write("sweeper.toml", "[iac]\nindex = []\nmax_agee = \"48h\"\n");
    place.run(&["report"]).failed(2, &["sweeper.toml:2:9", "`index` is empty", "did you mean `max_age`?"]);
}
