mock_provider "aws" {}

variables {
  external_id          = "acme-sweeper-7f3a"
  organizational_units = ["ou-abcd-12345678"]
  scanner              = { principals = ["arn:aws:iam::111122223333:role/sweeper-scanner"] }
}

run "default_cannot_delete" {
  command = apply

  assert {
    condition     = { for identity, set in aws_cloudformation_stack_set.this : identity => set.name } == { scanner = "sweeper-scanner" }
    error_message = "by default the scanner's role alone goes to the accounts"
  }

  assert {
    condition = (
      jsondecode(aws_cloudformation_stack_set.this["scanner"].template_body).Resources.Role.Properties.Policies[0].PolicyDocument ==
      jsondecode(file("../../permissions/aws-read.json"))
      && length(jsondecode(aws_cloudformation_stack_set.this["scanner"].template_body).Resources.Role.Properties.Policies) == 1
    )
    error_message = "the scanner has exactly what the binary says"
  }

  assert {
    condition = alltrue([
      aws_cloudformation_stack_set.this["scanner"].permission_model == "SERVICE_MANAGED",
      aws_cloudformation_stack_set.this["scanner"].auto_deployment[0].enabled,
      length(aws_cloudformation_stack_set.this["scanner"].template_body) <= 51200,
    ])
    error_message = "accounts that join later get it too"
  }

  assert {
    condition     = jsondecode(aws_cloudformation_stack_set.this["scanner"].template_body).Resources.Role.Properties.AssumeRolePolicyDocument.Statement[0].Condition.StringEquals["sts:ExternalId"] == "acme-sweeper-7f3a"
    error_message = "the external id is asked for"
  }
}

run "deleter_when_enabled_has_a_set_of_its_own" {
  command = apply

  variables {
    deleter = { enabled = true, principals = ["arn:aws:iam::111122223333:role/sweeper-apply"] }
  }

  assert {
    condition     = keys(aws_cloudformation_stack_set.this) == ["deleter", "scanner"]
    error_message = "each identity has a stack set of its own"
  }

  assert {
    condition = contains([
      for policy in jsondecode(aws_cloudformation_stack_set.this["deleter"].template_body).Resources.Role.Properties.Policies : policy.PolicyDocument
    ], jsondecode(file("../../permissions/aws-delete.json")))
    error_message = "the deleter has exactly what the binary says"
  }
}

run "accounts_are_named_by_units" {
  command = plan
  variables { organizational_units = ["111122223333"] }
  expect_failures = [var.organizational_units]
}
