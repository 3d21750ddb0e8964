mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/mocked" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:mocked" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:111122223333:mocked" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:mocked" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  zip   = "sweeper-lambda.zip"
  state = { bucket = "acme-sweeper", arn = "arn:aws:s3:::acme-sweeper" }
}

run "default_cannot_delete" {
  command = apply

  assert {
    condition     = keys(aws_iam_role.this) == ["scanner"] && aws_lambda_function.this.role == aws_iam_role.this["scanner"].arn
    error_message = "by default there is the scanner, and nobody else"
  }

  # Every policy of every role, against what the deleter and the marker may do.
  assert {
    condition = length(setintersection(
      flatten([
        for policy in concat(values(aws_iam_role_policy.sweeper), values(aws_iam_role_policy.state), [aws_iam_role_policy.function, aws_iam_role_policy.scheduler]) :
        [for statement in jsondecode(policy.policy).Statement : statement.Action if statement.Effect == "Allow"]
      ]),
      setsubtract(
        flatten([
          for file in ["aws-delete.json", "aws-mark.json"] :
          [for statement in jsondecode(file("../../permissions/${file}")).Statement : statement.Action if statement.Effect == "Allow"]
        ]),
        flatten([for statement in jsondecode(file("../../permissions/aws-read.json")).Statement : statement.Action]),
      ),
    )) == 0
    error_message = "the default deployment holds an action of the deleter's or the marker's"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.sweeper["scanner/read-1"].policy) == jsondecode(file("../../permissions/aws-read.json"))
    error_message = "the scanner has exactly what the binary says"
  }
}

run "default_runs_once" {
  command = apply

  assert {
    condition = alltrue([
      aws_lambda_function.this.reserved_concurrent_executions == 1,
      aws_lambda_function_event_invoke_config.this.maximum_retry_attempts == 0,
      aws_scheduler_schedule.this["nightly"].target[0].retry_policy[0].maximum_retry_attempts == 0,
      aws_scheduler_schedule.this["nightly"].flexible_time_window[0].mode == "OFF",
    ])
    error_message = "one run at a time, and no blind retries"
  }

  # As it stands, not as it reads: the scheduler looks for these very characters.
  assert {
    condition     = aws_scheduler_schedule.this["nightly"].target[0].input == "{\"schedule\":\"nightly\",\"token\":\"<aws.scheduler.scheduled-time>\"}"
    error_message = "the event has the schedule and the token"
  }

  assert {
    condition = alltrue([
      aws_scheduler_schedule.this["nightly"].target[0].dead_letter_config[0].arn == aws_sqs_queue.dead.arn,
      aws_lambda_function_event_invoke_config.this.destination_config[0].on_failure[0].destination == aws_sqs_queue.dead.arn,
      aws_lambda_function.this.logging_config[0].log_group == aws_cloudwatch_log_group.this.name,
      aws_cloudwatch_log_group.this.retention_in_days == 90,
    ])
    error_message = "what fails is kept, and logs end"
  }

  assert {
    condition = alltrue([
      aws_lambda_function.this.environment[0].variables["SWEEPER_STATE"] == "s3://acme-sweeper",
      aws_lambda_function.this.environment[0].variables["SWEEPER_CONFIG"] == "/var/task/sweeper.toml",
      aws_lambda_function.this.runtime == "provided.al2023",
    ])
    error_message = "the function knows its state and config"
  }
}

run "default_of_an_organization_enters_the_scanner_alone" {
  command = apply

  variables {
    organization = true
    state        = { bucket = "acme-sweeper", arn = "arn:aws:s3:::acme-sweeper", prefix = "prod/eu" }
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.sweeper["scanner/read-1"].policy).Statement :
      statement.Resource if contains(statement.Action, "sts:AssumeRole")
    ])) == toset(["arn:aws:iam::*:role/sweeper-read"])
    error_message = "the scanner enters the scanner's role and no other"
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.sweeper["scanner/read-1"].policy).Statement : statement.Action
    ])) == toset(flatten([for statement in jsondecode(file("../../permissions/aws-read-all.json")).Statement : statement.Action]))
    error_message = "the scanner has exactly what the binary says"
  }

  assert {
    condition = alltrue([
      aws_lambda_function.this.environment[0].variables["SWEEPER_STATE"] == "s3://acme-sweeper/prod/eu",
      jsondecode(aws_iam_role_policy.state["scanner"].policy).Statement[0].Resource == "arn:aws:s3:::acme-sweeper/prod/eu/*",
    ])
    error_message = "state below a prefix is all that is reached"
  }
}

run "default_tells_of_failures" {
  command = apply

  variables {
    alarm_topic_arn = "arn:aws:sns:eu-west-1:111122223333:platform"
  }

  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.dead["this"].dimensions == tomap({ QueueName = "sweeper-dead-letters" }),
      aws_cloudwatch_metric_alarm.dead["this"].threshold == 0,
      aws_cloudwatch_metric_alarm.dead["this"].alarm_actions == toset(["arn:aws:sns:eu-west-1:111122223333:platform"]),
    ])
    error_message = "somebody is told"
  }
}

run "deleter_when_enabled_has_the_generated_permissions" {
  command = apply

  variables {
    organization = true
    deleter      = { enabled = true, principals = ["arn:aws:iam::111122223333:role/release-pipeline"] }
  }

  assert {
    condition     = keys(aws_iam_role.this) == ["deleter", "scanner"] && aws_lambda_function.this.role == aws_iam_role.this["scanner"].arn
    error_message = "the deleter is a role of its own, and no function has it"
  }

  assert {
    condition = jsondecode(aws_iam_role.this["deleter"].assume_role_policy).Statement == [{
      Sid       = "Enter"
      Effect    = "Allow"
      Principal = { AWS = ["arn:aws:iam::111122223333:role/release-pipeline"] }
      Action    = ["sts:AssumeRole", "sts:SetSourceIdentity"]
      Condition = { StringLike = { "sts:SourceIdentity" = ["*"] } }
    }]
    error_message = "one principal enters the deleter, and says who it is"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.sweeper["deleter/delete-1"].policy) == jsondecode(file("../../permissions/aws-delete.json"))
    error_message = "the deleter has exactly what the binary says"
  }

  assert {
    condition = toset(keys(aws_iam_role_policy.sweeper)) == toset([
      "scanner/read-1", "deleter/read-1", "deleter/delete-1", "deleter/fences",
    ])
    error_message = "the scanner gains nothing, and the deleter reads, deletes and is fenced"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.sweeper["deleter/fences"].policy).Statement : statement.Effect == "Deny"])
    error_message = "fences allow nothing"
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.sweeper["deleter/read-1"].policy).Statement :
      statement.Resource if contains(statement.Action, "sts:AssumeRole")
    ])) == toset(["arn:aws:iam::*:role/sweeper-read", "arn:aws:iam::*:role/sweeper-delete"])
    error_message = "the deleter enters two roles"
  }
}

run "marker_when_enabled_cannot_delete" {
  command = apply

  variables {
    marker = { enabled = true, principals = ["arn:aws:iam::111122223333:role/release-pipeline"] }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.sweeper["marker/mark-1"].policy) == jsondecode(file("../../permissions/aws-mark.json"))
    error_message = "the marker has exactly what the binary says"
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy.sweeper)) == toset(["scanner/read-1", "marker/read-1", "marker/mark-1"])
    error_message = "the marker reads and marks"
  }
}

run "a_cron_line_is_no_schedule" {
  command = plan
  variables { schedules = { nightly = { expression = "0 4 * * *" } } }
  expect_failures = [var.schedules]
}

run "a_deleter_needs_principals" {
  command = plan
  variables { deleter = { enabled = true } }
  expect_failures = [var.deleter]
}

run "an_account_is_no_principal" {
  command = plan
  variables { marker = { enabled = true, principals = ["arn:aws:iam::111122223333:root"] } }
  expect_failures = [var.marker]
}

run "a_bucket_is_named_by_its_arn" {
  command = plan
  variables { state = { bucket = "acme-sweeper", arn = "acme-sweeper" } }
  expect_failures = [var.state]
}

run "a_prefix_has_no_slash_at_its_end" {
  command = plan
  variables { state = { bucket = "acme-sweeper", arn = "arn:aws:s3:::acme-sweeper", prefix = "prod/" } }
  expect_failures = [var.state]
}

run "a_role_name_is_no_wildcard" {
  command = plan
  variables { role_names = { scanner = "*" } }
  expect_failures = [var.role_names]
}

run "scanner_and_deleter_are_two_roles" {
  command = plan
  variables { role_names = { deleter = "sweeper-read" } }
  expect_failures = [var.role_names]
}

run "no_two_runs_at_a_time" {
  command = plan
  variables { reserved_concurrency = 2 }
  expect_failures = [var.reserved_concurrency]
}

run "a_zone_is_no_region" {
  command = plan
  variables { regions = ["eu-west-1a"] }
  expect_failures = [var.regions]
}

run "a_mail_address_is_no_topic" {
  command = plan
  variables { alarm_topic_arn = "platform@example.com" }
  expect_failures = [var.alarm_topic_arn]
}

run "logs_do_not_stay_for_ever" {
  command = plan
  variables { log_retention_days = 0 }
  expect_failures = [var.log_retention_days]
}

run "a_run_ends_within_what_lambda_gives" {
  command = plan
  variables { timeout = 1000 }
  expect_failures = [var.timeout]
}

run "the_state_is_not_set_from_beside" {
  command = plan
  variables { environment = { SWEEPER_STATE = "memory:" } }
  expect_failures = [var.environment]
}
