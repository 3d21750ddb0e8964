//! `sweeper check terraform`, over plans written by hand as `terraform show -json` writes them.

use super::{Place, Ran};
use serde_json::Value;
use std::collections::BTreeSet;

fn check(place: &Place, plan: &str, arguments: &[&str]) -> Ran {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cli/check/");
    std::fs::copy(format!("{path}{plan}.json"), place.path("plan.json")).unwrap();
    let always = ["check", "terraform", "plan.json", "--now", "2026-11-27T08:00:00Z"];
    place.run(&[&always, arguments].concat())
}

/// What is found: verdict, address, rule.
fn found(ran: &Ran) -> Vec<String> {
    let document: Value = serde_json::from_str(ran.ended(0)).unwrap();
    assert_eq!(document["format"], "sweeper.check/1");
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = document["findings"].as_array().unwrap().iter();
    let line = |finding| [word(finding, "verdict"), word(finding, "address"), word(finding, "rule")].join(" ");
    findings.map(line).collect()
}

#[test]
fn owners_ends_and_spelling_are_held_against_what_is_planned() {
    let place = Place::new();
    let expected = [
        "found aws_db_instance.ambiguous expired",
        "found aws_db_instance.over expired",
        "found aws_ebs_volume.nearly missing-owner",
        "found aws_ebs_volume.placeholder missing-owner",
        "found aws_eip.nobody missing-owner",
        "found aws_instance.replaced missing-owner",
        "found azurerm_managed_disk.misspelt misspelt-tag",
        "found google_compute_instance.labels wrong-keep",
        "found google_sql_database_instance.nested missing-owner",
    ];
    assert_eq!(found(&check(&place, "mixed", &["--format", "json"])), expected);
    let text = check(&place, "mixed", &[]);
    for line in [
        "info     aws_ebs_volume.nearly: nobody owns it: add the tag `owner`; `ownr` is nearly it [missing-owner]",
        "info     aws_ebs_volume.placeholder: nobody owns it: `owner` is \"tbd\", a placeholder [missing-owner]",
        "ticket   aws_db_instance.ambiguous: `expires-on` is \"01/02/2027\", which may be two days: write 2027-01-31",
        "ticket   aws_db_instance.over: its end is over already: `ttl` is \"2026-01-31\" [expired]",
        "the tag `sweeper-protct` does nothing: did you mean `sweeper-protect`? [misspelt-tag]",
        "11 planned resources judged: 9 found, 0 unknown; 1 of kinds that are not judged",
    ] {
        assert!(text.ended(0).contains(line), "{line}\n{}", text.out);
    }
}

#[test]
fn a_gate_fails_on_what_is_found_and_not_on_what_is_unknown() {
    let place = Place::new();
    assert_eq!(check(&place, "mixed", &["--fail-on", "info"]).code, Some(4));
    assert_eq!(check(&place, "mixed", &["--fail-on", "ticket"]).code, Some(4));
    assert_eq!(check(&place, "mixed", &["--fail-on", "page"]).code, Some(0));
    assert_eq!(check(&place, "unknown", &["--fail-on", "info"]).code, Some(0));
    assert_eq!(check(&place, "defaults", &["--fail-on", "info"]).code, Some(0));
    let required = ["--fail-on", "ticket", "--require-tag", "env"];
    assert_eq!(check(&place, "defaults", &required).code, Some(0));
    let required = ["--require-tag", "env,cost-center", "--require-expiry", "--format", "json"];
    assert_eq!(
        found(&check(&place, "defaults", &required)),
        ["found aws_instance.by_default missing-expiry", "found aws_instance.by_default missing-tag"]
    );
}

#[test]
fn what_is_only_known_after_apply_is_said() {
    let place = Place::new();
    let expected = [
        "unknown aws_instance.all missing-owner",
        "unknown aws_instance.value missing-owner",
        "unknown azurerm_public_ip.until expired",
        "unknown google_storage_bucket.labels missing-owner",
    ];
    assert_eq!(found(&check(&place, "unknown", &["--format", "json"])), expected);
    let text = check(&place, "unknown", &[]);
    let says = "unknown  aws_instance.value: whose it will be is only known after apply, by the tag `owner`";
    assert!(text.ended(0).contains(says), "{}", text.out);
    assert_eq!(found(&check(&place, "defaults", &["--format", "json"])), [""; 0]);
}

#[test]
fn policies_of_the_house_say_what_is_asked() {
    let place = Place::new();
    let policies = |body: &str| {
        place.write("own.toml", &format!("[[policy]]\nname = \"own\"\n{body}\n"));
        check(&place, "mixed", &["--format", "json", "--policies", "own.toml"])
    };
    let owners = |ran: &Ran| found(ran).into_iter().filter(|line| line.ends_with("missing-owner")).collect::<Vec<_>>();
    let of = policies("sweep = \"missing-owner\"\nclouds = [\"gcp\"]\nseverity = \"page\"");
    assert_eq!(owners(&of), ["found google_sql_database_instance.nested missing-owner"]);
    let gated = ["--policies", "own.toml", "--fail-on", "page"];
    assert_eq!(check(&place, "mixed", &gated).code, Some(4));
    let class = policies("sweep = \"missing-owner\"\nclass = \"address\"");
    assert_eq!(owners(&class), ["found aws_eip.nobody missing-owner"]);
    // What a plan does not tell makes it unknown.
    let accounts = policies("sweep = \"missing-owner\"\nclass = \"address\"\naccounts = [\"aws:111122223333\"]");
    assert_eq!(owners(&accounts), ["unknown aws_eip.nobody missing-owner"]);
    let none = policies("sweep = \"unattached-disk\"");
    assert!(none.err.contains("no policy sweeps `missing-owner`, `expired` or `over-quota`"), "{}", none.err);
    place.write("sweeper.toml", "[house]\nowners = [\"bob@example.com\"]\n");
    let house = check(&place, "mixed", &[]);
    assert!(house.ended(0).contains("`owner` is \"alice@example.com\", not an owner of this house"), "{}", house.out);
}

#[test]
fn a_file_that_is_no_plan_is_refused_with_a_clear_line() {
    let place = Place::new();
    for (text, says) in [
        ("", "it is no JSON: line 1"),
        ("{", "it is no JSON: line 1"),
        ("[]", "it is no plan of Terraform"),
        ("{}", "it is no plan of Terraform"),
        ("null", "it is no plan of Terraform"),
        ("{\"format_version\":\"1.0\"}", "it is no plan of Terraform"),
        ("{\"format_version\":\"1.0\",\"values\":{}}", "it is a state, and no plan"),
        ("{\"format_version\":\"2.0\",\"resource_changes\":[]}", "of a later format"),
        ("{\"format_version\":1,\"resource_changes\":[]}", "it is no plan of Terraform"),
        ("{\"format_version\":\"1.2\",\"resource_changes\":{}}", "it is no plan of Terraform"),
        ("{\"@level\":\"info\",\"secret\":1}\n{\"@level\":\"info\"}\n", "it is the log of `terraform plan -json`"),
        ("PK\u{3}\u{4}binary", "as `terraform plan -out` writes it"),
    ] {
        place.write("plan.json", text);
        let ran = place.run(&["check", "terraform", "plan.json"]);
        ran.failed(2, &["failed to read the plan plan.json", says, "terraform show -json"]);
        assert!(!ran.err.contains("secret"), "{}", ran.err);
    }
    place.run(&["check", "terraform", "gone.json"]).failed(2, &["failed to read the plan gone.json"]);
    place.write("plan.json", "{\"format_version\":\"1.2\",\"planned_values\":{}}");
    let empty = place.run(&["check", "terraform", "plan.json", "--fail-on", "info"]);
    assert_eq!(empty.ended(0), "0 planned resources judged: 0 found, 0 unknown\n");
}

const HOSTILE: &[char] = &['\u{1b}', '\u{202e}', '\r'];

#[test]
fn hostile_names_are_inert_in_every_form() {
    let place = Place::new();
    for format in ["text", "json", "sarif", "github"] {
        let ran = check(&place, "hostile", &["--format", format]);
        let out = ran.ended(0);
        assert!(!out.contains(HOSTILE), "{format}: {out:?}");
        assert!(!out.contains("hunter2"), "{format} shows what is sensitive: {out}");
        assert!(out.contains("(sensitive)"), "{format}: {out}");
        if matches!(format, "json" | "sarif") {
            assert!(!out.contains(['<', '>']), "{out}");
            serde_json::from_str::<Value>(out).unwrap();
        }
    }
    let github = check(&place, "hostile", &["--format", "github"]);
    let lines: Vec<&str> = github.out.lines().collect();
    assert_eq!(lines.len(), found(&check(&place, "hostile", &["--format", "json"])).len() + 1, "{lines:#?}");
    for line in &lines[..lines.len() - 1] {
        let commands = line.starts_with("::notice file=plan.json,title=sweeper ")
            || line.starts_with("::warning file=plan.json,title=sweeper ");
        assert!(commands, "{line}");
        assert!(!line.contains("%0A") && line.replace("%25", "").find('%').is_none(), "{line}");
    }
}

/// The shape that SARIF 2.1.0 demands of what is written here.
#[test]
fn sarif_has_its_shape() {
    let place = Place::new();
    for plan in ["mixed", "unknown", "hostile"] {
        let ran = check(&place, plan, &["--format", "sarif"]);
        let document: Value = serde_json::from_str(ran.ended(0)).unwrap();
        assert_eq!(document["version"], "2.1.0");
        let run = &document["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let ids: BTreeSet<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), rules.len());
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), found(&check(&place, plan, &["--format", "json"])).len());
        for result in results {
            let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[at]["id"], result["ruleId"]);
            match result["kind"].as_str().unwrap() {
                "fail" => assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap())),
                kind => assert_eq!((kind, &result["level"]), ("open", &"none".into())),
            }
            let text = result["message"]["text"].as_str().unwrap();
            assert!(!text.replace("{{", "").replace("}}", "").contains(['{', '}']), "{text}");
            let place = &result["locations"][0];
            assert_eq!(place["physicalLocation"]["artifactLocation"]["uri"], "plan.json");
            assert!(place["logicalLocations"][0]["fullyQualifiedName"].is_string());
        }
    }
}

#[test]
fn it_is_written_whole_or_not_at_all() {
    let place = Place::new();
    let ran = check(&place, "mixed", &["--format", "sarif", "--output", "out.sarif"]);
    assert_eq!(ran.ended(0), "");
    serde_json::from_str::<Value>(&std::fs::read_to_string(place.path("out.sarif")).unwrap()).unwrap();
    check(&place, "mixed", &["--output", "no/where.txt"]).failed(2, &["failed to write the check"]);
}
