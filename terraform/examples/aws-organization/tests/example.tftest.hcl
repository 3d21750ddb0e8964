mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/mocked" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::acme-sweeper" }
  }
  # Each role of this account has an ARN of its own: who enters whose role is seen by it.
  override_resource {
    target = module.sweeper.aws_iam_role.this["scanner"]
    values = { arn = "arn:aws:iam::111122223333:role/sweeper-scanner" }
  }
  override_resource {
    target = module.sweeper.aws_iam_role.this["deleter"]
    values = { arn = "arn:aws:iam::111122223333:role/sweeper-deleter" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_secretsmanager_secret_version" {
    defaults = { secret_string = "https://hooks.slack.com/services/mocked" }
  }
}

variables {
  bucket               = "acme-sweeper"
  external_id          = "acme-sweeper-7f3a"
  organizational_units = ["ou-abcd-12345678"]
}

run "default_cannot_delete" {
  command = apply

  assert {
    condition     = keys(output.role_arns) == ["scanner"] && keys(output.stack_sets) == ["scanner"]
    error_message = "nobody deletes, here or in an account"
  }
}

run "deleter_is_who_applies" {
  command = apply

  variables {
    appliers = ["arn:aws:iam::111122223333:role/platform"]
  }

  assert {
    condition     = keys(output.role_arns) == ["deleter", "scanner"] && keys(output.stack_sets) == ["deleter", "scanner"]
    error_message = "whoever applies has a role here and in every account"
  }
}
