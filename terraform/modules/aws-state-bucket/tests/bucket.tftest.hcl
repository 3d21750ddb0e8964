mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::acme-sweeper" }
  }
}

variables {
  name = "acme-sweeper"
}

run "default_is_closed_and_locked" {
  command = apply

  assert {
    condition = alltrue([
      aws_s3_bucket.this.object_lock_enabled,
      !aws_s3_bucket.this.force_destroy,
      aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled",
      aws_s3_bucket_object_lock_configuration.this.rule[0].default_retention[0].mode == "GOVERNANCE",
      aws_s3_bucket_object_lock_configuration.this.rule[0].default_retention[0].days == 365,
    ])
    error_message = "every version is kept, and locked"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
      aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced",
    ])
    error_message = "nothing of it is public"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement.Effect == "Deny"])
    error_message = "the bucket's policy gives nothing to anybody"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement.Sid => statement.Condition
      if statement.Sid == "TlsOnly"
    } == { TlsOnly = { Bool = { "aws:SecureTransport" = "false" } } }
    error_message = "without TLS nothing is answered"
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement.Resource if statement.Sid == "AuditStays"
    ])) == toset(["arn:aws:s3:::acme-sweeper/audit/*", "arn:aws:s3:::acme-sweeper/*/audit/*"])
    error_message = "the log stays, below whatever prefix"
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      alltrue([for one in rule.noncurrent_version_expiration : one.noncurrent_days > 365])
    ])
    error_message = "no version is expired while it is locked"
  }

  assert {
    condition     = output.url == "s3://acme-sweeper"
    error_message = "the state is the bucket"
  }
}

run "default_prefix_and_key" {
  command = apply

  variables {
    prefix      = "prod/eu"
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1"
  }

  assert {
    condition     = output.url == "s3://acme-sweeper/prod/eu" && output.state.prefix == "prod/eu" && output.state.kms_key_arn == "arn:aws:kms:eu-west-1:111122223333:key/1"
    error_message = "the functions are told prefix and key"
  }

  assert {
    condition = anytrue([
      for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule :
      rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"
    ])
    error_message = "the key is used"
  }
}

run "capitals_are_no_bucket" {
  command = plan
  variables { name = "Acme" }
  expect_failures = [var.name]
}

run "a_prefix_has_no_slash_at_its_end" {
  command = plan
  variables { prefix = "prod/" }
  expect_failures = [var.prefix]
}

run "a_lock_is_one_of_two" {
  command = plan
  variables { lock = { mode = "NONE" } }
  expect_failures = [var.lock]
}

run "a_lock_lasts" {
  command = plan
  variables { lock = { days = 0 } }
  expect_failures = [var.lock]
}
