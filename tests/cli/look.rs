//! Arguments and what is said of them.

use super::Place;

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new();
    assert!(place.run(&["--version"]).ended(0).starts_with("sweeper "));
    let help = place.run(&["--help"]);
    for word in [
        "report",
        "survey",
        "explain",
        "policy",
        "init",
        "iac-index",
        "in-use",
        "daemon",
        "doctor",
        "trend",
        "permissions",
        "Exit codes",
        "130 by Ctrl-C",
    ] {
        assert!(help.ended(0).contains(word), "{word}");
    }
    let report = place.run(&["report", "--help"]);
    for flag in [
        "--cloud",
        "--account",
        "--subscription",
        "--project",
        "--org",
        "--region",
        "--policies",
        "--config",
        "--state",
        "--survey",
        "--since",
        "--now",
        "--format",
        "--output",
        "--all",
        "--all-kinds",
        "--fail-on",
        "--measures",
    ] {
        assert!(report.ended(0).contains(flag), "{flag}");
    }
    assert!(place.names().is_empty(), "looking around leaves nothing behind");
}

#[test]
fn wrong_arguments_end_with_2_and_a_hint() {
    let place = Place::new();
    place.run(&["report", "--now", "yesterday"]).failed(2, &["--now", "2026-11-20T13:00:00Z"]);
    place.run(&["report", "--cloud", "awz"]).failed(2, &["did you mean `aws`?"]);
    place.run(&["report", "--fail-on", "bad"]).failed(2, &["info, ticket, page"]);
    place.run(&["report", "--survey", "x", "--org"]).failed(2, &["--org"]);
    place.run(&["reprot"]).failed(2, &["reprot"]);
    place.run(&["report", "--state", "ftp://host/x"]).failed(2, &["`ftp://`", "help:"]);
    place.run(&["report", "--config", "none.toml"]).failed(2, &["failed to read the config none.toml"]);
    place.run(&["report", "--policies", "none"]).failed(2, &["failed to read policies from none"]);
    #[cfg(not(feature = "gcp"))]
    place.run(&["report", "--cloud", "gcp"]).failed(2, &["this build cannot look at gcp"]);
}

#[test]
fn ids_are_held_against_their_cloud() {
    let place = Place::new();
    place.run(&["report", "--account", "shop"]).failed(2, &["--account: `shop` is no AWS account", "twelve digits"]);
    place.run(&["report", "--account", "azure:x"]).failed(2, &["`azure:x` is not of aws"]);
    place.run(&["report", "--subscription", "shop"]).failed(2, &["--subscription: `shop` is no Azure subscription"]);
    place.run(&["report", "--org", "--subscription", "1111"]).failed(2, &["`1111` is no Azure subscription"]);
    place.run(&["report", "--project", "222222222222"]).failed(2, &["is no GCP project", "its number"]);
    let guid = "11111111-1111-1111-1111-111111111111";
    let apart = place.run(&["report", "--cloud", "aws,gcp", "--subscription", guid]);
    apart.failed(2, &["--subscription is about azure, which --cloud leaves out"]);
}

#[cfg(feature = "gcp")]
#[test]
fn the_parent_of_projects_is_named_in_the_config() {
    let place = Place::new();
    place.run(&["report", "--cloud", "gcp", "--org"]).failed(2, &["--org needs `organization` or `folder`", "help:"]);
    place.write("sweeper.toml", "[gcp]\norganisation = \"1\"\n");
    place.run(&["report"]).failed(2, &["sweeper.toml:2:1", "did you mean `organization`?"]);
}

#[test]
fn a_detector_is_explained_without_any_cloud() {
    let place = Place::new();
    let ran = place.run(&["explain", "unattached-disk"]);
    for word in ["unattached-disk: disk that no machine mounts", "why it matters:", "when it is wrong:"] {
        assert!(ran.ended(0).contains(word), "{word}");
    }
}

#[test]
fn a_typo_is_noticed_before_anything_is_looked_at() {
    let place = Place::new();
    place.run(&["explain", "unatached-disk"]).failed(2, &["nothing is called", "did you mean `unattached-disk`?"]);
    #[cfg(feature = "azure")]
    place.run(&["explain", "azure.compute-dis:x/y/z"]).failed(2, &["did you mean `azure.compute-disk`?"]);
}

#[cfg(feature = "aws")]
#[test]
fn without_credentials_it_says_where_it_looked() {
    let place = Place::new();
    let ran = place.run(&["report"]);
    ran.failed(2, &["no usable credentials", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "help:"]);
}

#[cfg(not(any(feature = "aws", feature = "azure", feature = "gcp")))]
#[test]
fn a_build_without_clouds_says_so() {
    let place = Place::new();
    place.run(&["report"]).failed(2, &["this build has no clouds", "--survey FILE"]);
}
