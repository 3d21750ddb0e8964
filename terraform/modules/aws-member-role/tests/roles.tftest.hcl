mock_provider "aws" {}

variables {
  external_id = "acme-sweeper-7f3a"
  scanner     = { principals = ["arn:aws:iam::111122223333:role/sweeper-scanner"] }
}

run "default_cannot_delete" {
  command = apply

  assert {
    condition     = { for identity, role in aws_iam_role.this : identity => role.name } == { scanner = "sweeper-read" }
    error_message = "by default there is the scanner's role, and no other"
  }

  assert {
    condition     = keys(aws_iam_role_policy.this) == ["scanner/read-1"] && aws_iam_role_policy.this["scanner/read-1"].role == "sweeper-read"
    error_message = "the scanner reads, and has nothing else"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["scanner/read-1"].policy) == jsondecode(file("../../permissions/aws-read.json"))
    error_message = "the scanner has exactly what the binary says"
  }
}

run "default_asks_for_the_external_id" {
  command = apply

  variables {
    organization_id = "o-abcdefghij"
  }

  assert {
    condition = jsondecode(aws_iam_role.this["scanner"].assume_role_policy).Statement[0] == {
      Sid       = "Enter"
      Effect    = "Allow"
      Principal = { AWS = ["arn:aws:iam::111122223333:role/sweeper-scanner"] }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "sts:ExternalId" = "acme-sweeper-7f3a", "aws:PrincipalOrgID" = "o-abcdefghij" }
      }
    }
    error_message = "one principal enters, with the external id, from this organization"
  }

  # A person's session takes its source identity along, into the scanner's role too.
  assert {
    condition     = jsondecode(aws_iam_role.this["scanner"].assume_role_policy).Statement[1].Action == "sts:SetSourceIdentity"
    error_message = "a source identity may be kept"
  }
}

run "deleter_when_enabled_has_the_generated_permissions" {
  command = apply

  variables {
    deleter = { enabled = true, principals = ["arn:aws:iam::111122223333:role/sweeper-apply"], source_identities = ["*@example.com"] }
    regions = ["eu-west-1"]
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["deleter/delete-1"].policy) == jsondecode(file("../../permissions/aws-delete.json"))
    error_message = "the deleter has exactly what the binary says"
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy.this)) == toset(["scanner/read-1", "deleter/read-1", "deleter/delete-1", "deleter/fences"])
    error_message = "the deleter reads, deletes and is fenced, and the scanner gains nothing"
  }

  assert {
    condition = alltrue([
      jsondecode(aws_iam_role.this["deleter"].assume_role_policy).Statement[0].Principal.AWS == ["arn:aws:iam::111122223333:role/sweeper-apply"],
      jsondecode(aws_iam_role.this["deleter"].assume_role_policy).Statement[0].Condition.StringLike["sts:SourceIdentity"] == ["*@example.com"],
      jsondecode(aws_iam_role.this["deleter"].assume_role_policy).Statement[0].Condition.StringEquals["sts:ExternalId"] == "acme-sweeper-7f3a",
      jsondecode(aws_iam_role.this["deleter"].assume_role_policy).Statement[1].Condition.StringLike["sts:SourceIdentity"] == ["*@example.com"],
    ])
    error_message = "whoever deletes is named"
  }

  assert {
    condition = jsondecode(aws_iam_role.this["scanner"].assume_role_policy).Statement[0].Principal.AWS == [
      "arn:aws:iam::111122223333:role/sweeper-apply", "arn:aws:iam::111122223333:role/sweeper-scanner",
    ]
    error_message = "whoever deletes looks first, by the scanner's role; and the scanner does not delete"
  }

  # What the fences deny: everything elsewhere, and what takes away where a stack made the thing.
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this["deleter/fences"].policy).Statement : statement.Effect == "Deny"
    ])
    error_message = "fences allow nothing"
  }
  assert {
    condition = (
      toset(jsondecode(aws_iam_role_policy.this["deleter/fences"].policy).Statement[0].Action) ==
      toset(jsondecode(file("../../permissions/aws-delete.json")).Statement[0].Action)
      && jsondecode(aws_iam_role_policy.this["deleter/fences"].policy).Statement[0].Condition == { StringNotEquals = { "aws:RequestedRegion" = ["eu-west-1"] } }
    )
    error_message = "all that the deleter does is denied in other regions"
  }
  assert {
    condition = (
      toset(jsondecode(aws_iam_role_policy.this["deleter/fences"].policy).Statement[1].Action) ==
      toset(jsondecode(file("../../permissions/aws-delete.json")).Statement[1].Action)
      && jsondecode(aws_iam_role_policy.this["deleter/fences"].policy).Statement[1].Condition == { Null = { "aws:ResourceTag/aws:cloudformation:stack-name" = "false" } }
    )
    error_message = "what a stack made is spared"
  }
}

run "deleter_asks_for_a_source_identity_unless_told_not_to" {
  command = apply

  variables {
    deleter = { enabled = true, principals = ["arn:aws:iam::111122223333:role/sweeper-apply"] }
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["deleter"].assume_role_policy).Statement[0].Condition.StringLike["sts:SourceIdentity"] == ["*"]
    error_message = "by default any source identity, but one"
  }
}

run "marker_when_enabled_cannot_delete" {
  command = apply

  variables {
    marker = { enabled = true, principals = ["arn:aws:iam::111122223333:role/sweeper-marker"] }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["marker/mark-1"].policy) == jsondecode(file("../../permissions/aws-mark.json"))
    error_message = "the marker has exactly what the binary says"
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy.this)) == toset(["scanner/read-1", "marker/read-1", "marker/mark-1"])
    error_message = "the marker reads and marks"
  }
}

run "a_short_external_id_is_refused" {
  command = plan
  variables { external_id = "secret" }
  expect_failures = [var.external_id]
}

run "everybody_is_no_principal" {
  command = plan
  variables { scanner = { principals = ["*"] } }
  expect_failures = [var.scanner]
}

run "an_account_is_no_principal" {
  command = plan
  variables { deleter = { enabled = true, principals = ["arn:aws:iam::111122223333:root"] } }
  expect_failures = [var.deleter]
}

run "the_scanner_is_not_the_deleter" {
  command = plan
  variables { deleter = { enabled = true, principals = ["arn:aws:iam::111122223333:role/sweeper-scanner"] } }
  expect_failures = [var.deleter]
}

run "a_deleter_needs_principals" {
  command = plan
  variables { deleter = { enabled = true } }
  expect_failures = [var.deleter]
}

run "a_zone_is_no_region" {
  command = plan
  variables { regions = ["eu-west-1a"] }
  expect_failures = [var.regions]
}

run "a_session_is_at_least_an_hour" {
  command = plan
  variables { max_session_duration = 900 }
  expect_failures = [var.max_session_duration]
}
