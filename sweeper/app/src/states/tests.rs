use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Managed {
    managed(text.as_bytes(), Some("prod")).unwrap()
}

/// `id address` of every entry.
fn lines(managed: &Managed) -> Vec<String> {
    managed.entries.iter().map(|entry| format!("{} {}", entry.id, entry.address)).collect()
}

/// A state of version 4 with one resource.
fn state(kind: &str, attributes: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.9.0","serial":7,"lineage":"x","outputs":{{}},"resources":[{{
            "mode":"managed","type":"{kind}","name":"it","provider":"provider[\"registry.terraform.io/hashicorp/x\"]",
            "instances":[{{"schema_version":0,"attributes":{attributes}}}]}}]}}"#
    )
}

#[test]
fn addresses_are_as_terraform_writes_them() {
    let text = r#"{"version":4,"serial":1,"lineage":"x","outputs":{},"resources":[
        {"mode":"managed","type":"aws_ebs_volume","name":"data","provider":"provider[\"registry.terraform.io/hashicorp/aws\"]",
         "instances":[{"schema_version":0,"attributes":{"id":"vol-00000001"},"private":"x"}]},
        {"module":"module.net[\"a\"].module.nat","mode":"managed","type":"aws_eip","name":"nat",
         "provider":"provider[\"registry.opentofu.org/hashicorp/aws\"]",
         "instances":[{"index_key":0,"attributes":{"id":"eipalloc-00000001","allocation_id":"eipalloc-00000001"}},
                      {"index_key":1,"attributes":{"id":"203.0.113.9","allocation_id":"eipalloc-00000002"}},
                      {"index_key":"b\"c","attributes_flat":{"id":"eipalloc-00000003","tags.%":"0"}},
                      {"index_key":1,"deposed":"00abcdef","attributes":{"id":"eipalloc-00000004"}}]},
        {"mode":"data","type":"aws_ebs_volume","name":"theirs","provider":"p","instances":[{"attributes":{"id":"vol-0000000f"}}]},
        {"mode":"managed","type":"random_password","name":"db","provider":"p","instances":[{"attributes":{"id":"none"}}]},
        {"mode":"managed","type":"aws_iam_role_policy_attachment","name":"x","provider":"p",
         "instances":[{"attributes":{"id":"role-20240101"}}, {"attributes":null}]}],
        "check_results":null}"#;
    let managed = read(text);
    assert_eq!(
        lines(&managed),
        [
            "vol-00000001 aws_ebs_volume.data",
            r#"eipalloc-00000001 module.net["a"].module.nat.aws_eip.nat[0]"#,
            r#"eipalloc-00000002 module.net["a"].module.nat.aws_eip.nat[1]"#,
            r#"eipalloc-00000003 module.net["a"].module.nat.aws_eip.nat["b\"c"]"#,
            r#"eipalloc-00000004 module.net["a"].module.nat.aws_eip.nat[1] (deposed object 00abcdef)"#,
            "role-20240101 aws_iam_role_policy_attachment.x",
        ]
    );
    assert_eq!((managed.elsewhere, managed.nameless), (1, 1));
    assert_eq!(managed.entries[0].tool, "terraform");
    assert_eq!(managed.entries[1].tool, "opentofu");
    assert_eq!(managed.entries[0].stack, "prod");
}

#[test]
fn every_type_has_the_id_that_an_inventory_has() {
    let id = |kind: &str, attributes: &str| -> String {
        read(&state(kind, attributes)).entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>().join(" ")
    };
    for (kind, attributes, expected) in [
        (
            "aws_ebs_volume",
            r#"{"id":"vol-00000001","arn":"arn:aws:ec2:us-east-1:1:volume/vol-00000001"}"#,
            "vol-00000001",
        ),
        ("aws_nat_gateway", r#"{"id":"nat-00000001","allocation_id":"eipalloc-00000001"}"#, "nat-00000001"),
        (
            "aws_spot_instance_request",
            r#"{"id":"sir-0000000a","spot_instance_id":"i-0000000a"}"#,
            "sir-0000000a i-0000000a",
        ),
        (
            "aws_cloudwatch_log_group",
            r#"{"id":"/app/web","name":"/app/web","arn":"arn:aws:logs:us-east-1:1:log-group:/app/web"}"#,
            "arn:aws:logs:us-east-1:1:log-group:/app/web",
        ),
        (
            "aws_ecr_repository",
            r#"{"id":"web","arn":"arn:aws:ecr:us-east-1:1:repository/web"}"#,
            "arn:aws:ecr:us-east-1:1:repository/web",
        ),
        // A name with eight digits is a name.
        (
            "aws_s3_bucket",
            r#"{"id":"backup-20240101","arn":"arn:aws:s3:::backup-20240101"}"#,
            "arn:aws:s3:::backup-20240101",
        ),
        (
            "aws_lb_target_group",
            r#"{"id":"arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/x/1"}"#,
            "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/x/1",
        ),
        ("awscc_ec2_volume", r#"{"id":"vol-00000001","volume_id":"vol-00000001"}"#, "vol-00000001"),
        (
            "azurerm_managed_disk",
            r#"{"id":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/disks/d"}"#,
            "/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/disks/d",
        ),
        (
            "azurerm_storage_container",
            r#"{"id":"https://a.blob.core.windows.net/c","resource_manager_id":"/subscriptions/s/x"}"#,
            "/subscriptions/s/x",
        ),
        ("azurerm_key_vault_key", r#"{"id":"https://v.vault.azure.net/keys/k/1"}"#, ""),
        ("azurerm_network_interface_nat_rule_association", r#"{"id":"/subscriptions/s/a|/subscriptions/s/b"}"#, ""),
        (
            "google_compute_disk",
            r#"{"id":"projects/p/zones/z/disks/d","self_link":"https://x"}"#,
            "projects/p/zones/z/disks/d",
        ),
        (
            "google_compute_disk",
            r#"{"id":"d","self_link":"https://www.googleapis.com/compute/v1/projects/p/zones/z/disks/d"}"#,
            "https://www.googleapis.com/compute/v1/projects/p/zones/z/disks/d",
        ),
        ("google_compute_router_nat", r#"{"id":"p/r/router/nat"}"#, "projects/p/regions/r/routers/router/nats/nat"),
        (
            "google_cloud_run_service",
            r#"{"id":"locations/l/namespaces/p/services/web"}"#,
            "projects/p/locations/l/services/web",
        ),
        (
            "google_storage_bucket",
            r#"{"id":"b","self_link":"https://www.googleapis.com/storage/v1/b/b"}"#,
            "https://www.googleapis.com/storage/v1/b/b",
        ),
        ("google_project", r#"{"id":"projects/p"}"#, ""),
        // What is a secret, or may be one, is none.
        ("google_kms_secret_ciphertext", r#"{"id":"projects/p/locations/l/keyRings/r/cryptoKeys/k/CANARY"}"#, ""),
        ("aws_secretsmanager_secret", r#"{"id":"arn:aws:x:r:1:y","arn":"arn:aws:x:r:1:y"}"#, ""),
        ("aws_iam_access_key", r#"{"id":"AKIACANARY","secret":"CANARY"}"#, ""),
        ("aws_ebs_volume", r#"{"id":["vol-00000001"],"arn":7}"#, ""),
        ("aws_ebs_volume", "{\"id\":\"vol-00000001\\n\"}", ""),
        ("aws_ebs_volume", "{}", ""),
    ] {
        assert_eq!(id(kind, attributes), expected, "{kind} {attributes}");
    }
}

#[test]
fn show_says_the_same_as_the_state() {
    let text = r#"{"format_version":"1.0","terraform_version":"1.9.0","values":{"outputs":{"p":{"sensitive":true,"value":"x"}},
        "root_module":{"resources":[
            {"address":"aws_ebs_volume.data","mode":"managed","type":"aws_ebs_volume","name":"data",
             "provider_name":"registry.opentofu.org/hashicorp/aws","values":{"id":"vol-00000001"},"sensitive_values":{}},
            {"address":"data.aws_ebs_volume.x","mode":"data","type":"aws_ebs_volume","name":"x","values":{"id":"vol-0000000f"}}],
         "child_modules":[{"address":"module.a","child_modules":[{"address":"module.a.module.b[0]","resources":[
            {"address":"module.a.module.b[0].aws_eip.n[\"k\"]","mode":"managed","type":"aws_eip","name":"n","index":"k",
             "deposed_key":"0badc0de","values":{"id":"eipalloc-00000001"}}]}]}]}}}"#;
    let managed = read(text);
    assert_eq!(
        lines(&managed),
        [
            "vol-00000001 aws_ebs_volume.data",
            r#"eipalloc-00000001 module.a.module.b[0].aws_eip.n["k"] (deposed object 0badc0de)"#,
        ]
    );
    assert_eq!(managed.entries[0].tool, "opentofu");
    assert_eq!(read(r#"{"format_version":"1.0"}"#), Managed::default(), "an empty state");
}

#[test]
fn stacks_of_pulumi() {
    let resources = r#"{"resources":[
        {"urn":"urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev","custom":false,"type":"pulumi:pulumi:Stack","outputs":{"password":"x"}},
        {"urn":"urn:pulumi:dev::shop::pulumi:providers:aws::default","custom":true,"id":"11111111","type":"pulumi:providers:aws"},
        {"urn":"urn:pulumi:dev::shop::my:Net$aws:ebs/volume:Volume::data::x","custom":true,"id":"vol-00000001","type":"aws:ebs/volume:Volume",
         "inputs":{"secret":{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","ciphertext":"x"}},
         "outputs":{"id":"vol-00000001","arn":"arn:aws:ec2:r:1:volume/vol-00000001"}},
        {"urn":"urn:pulumi:dev::shop::aws:ecr/repository:Repository::web","custom":true,"id":"web","type":"aws:ecr/repository:Repository",
         "outputs":{"arn":"arn:aws:ecr:r:1:repository/web"},"delete":true},
        {"urn":"urn:pulumi:dev::shop::azure-native:compute:Disk::d","custom":true,"id":"/subscriptions/s/x","type":"azure-native:compute:Disk"},
        {"urn":"urn:pulumi:dev::shop::gcp:storage/bucket:Bucket::b","custom":true,"id":"b","type":"gcp:storage/bucket:Bucket",
         "outputs":{"selfLink":"https://www.googleapis.com/storage/v1/b/b"}},
        {"urn":"urn:pulumi:dev::shop::aws:ebs/volume:Volume::theirs","custom":true,"external":true,"id":"vol-0000000f","type":"aws:ebs/volume:Volume"},
        {"urn":"urn:pulumi:dev::shop::random:index/randomPassword:RandomPassword::p","custom":true,"id":"none","type":"random:index/randomPassword:RandomPassword"}]}"#;
    for text in [
        format!(r#"{{"version":3,"deployment":{resources}}}"#),
        format!(r#"{{"version":3,"checkpoint":{{"stack":"dev","latest":{resources}}}}}"#),
    ] {
        let found = managed(text.as_bytes(), None).unwrap();
        assert_eq!(
            lines(&found),
            [
                "vol-00000001 my:Net$aws:ebs/volume:Volume::data::x",
                "arn:aws:ecr:r:1:repository/web aws:ecr/repository:Repository::web",
                "/subscriptions/s/x azure-native:compute:Disk::d",
                "https://www.googleapis.com/storage/v1/b/b gcp:storage/bucket:Bucket::b",
            ]
        );
        assert_eq!((found.entries[0].stack.as_str(), found.entries[0].tool.as_str()), ("shop/dev", "pulumi"));
        assert_eq!(found.elsewhere, 1);
        assert_eq!(read(&text).entries[0].stack, "prod", "a name that is given counts");
    }
}

#[test]
fn stacks_of_cloudformation() {
    let row = |logical: &str, physical: &str, kind: &str, more: &str| {
        format!(
            r#"{{"LogicalResourceId":"{logical}","PhysicalResourceId":"{physical}","ResourceType":"{kind}",
                "ResourceStatus":"CREATE_COMPLETE"{more}}}"#
        )
    };
    let stack = r#","StackName":"web","StackId":"arn:aws-cn:cloudformation:cn-north-1:111111111111:stack/web/1""#;
    let rows = |more: &str| {
        [
            row("Data", "vol-00000001", "AWS::EC2::Volume", more),
            row("Logs", "/app/web", "AWS::Logs::LogGroup", more),
            row("Assets", "assets", "AWS::S3::Bucket", more),
            row("Ip", "203.0.113.9", "AWS::EC2::EIP", more),
            row("Role", "web-role", "AWS::IAM::Role", more),
            row("Secret", "arn:aws:secretsmanager:r:1:secret:x", "AWS::SecretsManager::Secret", more),
            row("Custom", "canary", "Custom::Thing", more),
            row("Inner", "arn:aws:cloudformation:r:1:stack/i/1", "AWS::CloudFormation::Stack", more),
            row("Gone", "vol-0000000f", "AWS::EC2::Volume", more).replace("CREATE_", "DELETE_"),
        ]
        .join(",")
    };
    let listed = format!(r#"{{"StackResourceSummaries":[{}]}}"#, rows(""));
    let found = managed(listed.as_bytes(), Some("web")).unwrap();
    assert_eq!(
        lines(&found),
        [
            "vol-00000001 Data (AWS::EC2::Volume)",
            "/app/web Logs (AWS::Logs::LogGroup)",
            "arn:aws:s3:::assets Assets (AWS::S3::Bucket)",
            "203.0.113.9 Ip (AWS::EC2::EIP)",
        ]
    );
    assert_eq!((found.nested, found.nameless, found.elsewhere), (vec!["Inner".to_owned()], 2, 1));
    assert_eq!(found.entries[0].tool, "cloudformation");
    let described = format!(r#"{{"StackResources":[{}]}}"#, rows(stack));
    let found = managed(described.as_bytes(), None).unwrap();
    assert_eq!(found.entries[1].id, "arn:aws-cn:logs:cn-north-1:111111111111:log-group:/app/web");
    assert_eq!(found.entries[1].stack, "web");
    let flaw = |text: &str, name| managed(text.as_bytes(), name).unwrap_err().what;
    assert_eq!(flaw(&listed, None), "its stack has no name");
    let part = listed.replacen('{', r#"{"NextToken":"x","#, 1);
    assert_eq!(flaw(&part, Some("web")), "it holds only some of the stack's resources");
    let many = vec![row("Data", "vol-00000001", "AWS::EC2::Volume", stack); 100].join(",");
    let many = format!(r#"{{"StackResources":[{many}]}}"#);
    assert_eq!(flaw(&many, None), "it may hold only the first 100 of the stack's resources");
}

#[test]
fn what_is_no_state_is_told_with_its_place_and_a_remedy() {
    let flaw = |text: &str| managed(text.as_bytes(), Some("prod")).unwrap_err();
    for (text, what) in [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("\u{feff}", "it is empty"),
        (r#"{"version":3,"modules":[]}"#, "it is a state of a version before 4"),
        (r#"{"version":5,"resources":[]}"#, "it is a state of another version than 4"),
        (r#"{"version":4}"#, "it has no list of resources"),
        (r#"{"version":5,"deployment":{}}"#, "it is a deployment of Pulumi of another version than 3 and 4"),
        (r#"{"format_version":"1.2","planned_values":{},"resource_changes":[]}"#, "it is a plan and not a state"),
        (r#"{"encryption_version":"v0","encrypted_data":"x","serial":1,"lineage":"x"}"#, "it is encrypted"),
        (r#"{"format":"sweeper.iac-index/1"}"#, "it is no state that is known"),
        ("{}", "it is no state that is known"),
    ] {
        let found = flaw(text);
        assert_eq!((found.what, found.at), (what, None), "{text}");
        assert!(found.help.is_some(), "{text}");
    }
    assert_eq!(managed(b"\xff\xfe{\0}\0", None).unwrap_err().what, "it is UTF-16");
    for (text, at, what) in [
        ("{\n  \"version\": 4,\n  oops\n}", (3, 3), "it is not JSON"),
        ("{\"version\":4,\"resources\":[", (1, 26), "it is cut short here"),
        (
            "{\"version\":4,\"resources\":[{\"mode\":\"canary\"}]}",
            (1, 43),
            "what stands before this is not as a state or a stack has it",
        ),
        ("[]", (1, 2), "what stands before this is not as a state or a stack has it"),
    ] {
        let found = flaw(text);
        assert_eq!((found.what, found.at), (what, Some(at)), "{text}");
    }
    assert_eq!(read("{\"version\":4,\"resources\":null}"), Managed::default());
    assert_eq!(
        managed(state("aws_ebs_volume", "{\"id\":\"vol-00000001\"}").as_bytes(), None).unwrap_err().what,
        "its state has no name"
    );
    assert_eq!(flaw(&state("aws_ebs_volume", r#"{"id":"vol-00000001","id":"vol-00000002"}"#)).help, Some(PULL));
}

const SECRET: &str = "CANARY-s3cr3t";

/// A value of every JSON type that holds the canary.
fn secret() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(format!("\"{SECRET}\"")),
        Just(format!("\"vol-00000001 {SECRET}\"")),
        Just(format!("\"https://{SECRET}@example.com/x\"")),
        Just(format!("\"-----BEGIN KEY-----\\n{SECRET}\"")),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            inner.clone().prop_map(|value| format!("{{\"id\":{value},\"arn\":{value},\"{SECRET}\":{value}}}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Secrets in every place that is no address: none comes out, not even of ids that are not what they should be, and
    /// not when the file is cut or damaged.
    #[test]
    fn no_secret_leaves_a_state(value in secret(), kind in prop_oneof![
        Just("aws_db_instance"), Just("azurerm_linux_virtual_machine"), Just("google_sql_user"), Just("random_password"),
        Just("aws_secretsmanager_secret_version"), Just("tls_private_key"), Just("aws_instance"),
    ], cut in 0_usize..2000, odd in any::<u8>()) {
        let attributes = format!(r#"{{"id":{value},"arn":{value},"self_link":{value},"allocation_id":{value},"user_data":{value},
            "password":{value},"resource_manager_id":{value},"spot_instance_id":{value},"tags":{{"x":{value}}}}}"#);
        let texts = [
            format!(r#"{{"version":4,"serial":1,"lineage":{value},"outputs":{{"{SECRET}":{{"value":{value}}}}},"resources":[{{
                "mode":"managed","type":"{kind}","name":"it","provider":"p","each":{value},
                "instances":[{{"attributes":{attributes},"sensitive_attributes":[{value}],"private":{value},"status":{value}}},
                             {{"attributes_flat":{attributes}}}]}},
                {{"mode":"data","type":"{kind}","name":"it","provider":"p","instances":[{{"attributes":{attributes}}}]}}],
                "check_results":{value}}}"#),
            format!(r#"{{"format_version":{value},"values":{{"outputs":{value},"root_module":{{"resources":[{{"address":"a.b",
                "mode":"managed","type":"{kind}","name":"b","values":{attributes},"sensitive_values":{value}}}]}}}}}}"#),
            format!(r#"{{"version":3,"deployment":{{"secrets_providers":{value},"resources":[{{"urn":"urn:pulumi:a::b::c::d","custom":true,
                "type":"aws:x/y:Z","id":{value},"inputs":{attributes},"outputs":{attributes},"propertyDependencies":{value}}}]}}}}"#),
        ];
        for text in texts {
            let found = managed(text.as_bytes(), Some("prod"));
            prop_assert!(found.is_ok(), "{found:?} {text}");
            let cut = cut % text.len();
            let mut damaged = text.clone().into_bytes();
            damaged[cut] = odd;
            for said in [
                format!("{found:?}"),
                format!("{:?}", managed(&text.as_bytes()[..cut], Some("prod"))),
                format!("{:?}", managed(&damaged, Some("prod"))),
            ] {
                prop_assert!(!said.contains(SECRET) && !said.contains("BEGIN"), "{said}");
            }
        }
    }
}
