mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/mocked" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::acme-sweeper-shards" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:mocked" }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/mocked" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/mocked:1" }
  }
  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:mocked" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  image           = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/sweeper:1.0.0"
  shards          = 8
  bucket          = "acme-sweeper-shards"
  subnets         = ["subnet-0a1b2c3d"]
  security_groups = ["sg-0a1b2c3d"]
  state           = { bucket = "acme-sweeper", arn = "arn:aws:s3:::acme-sweeper" }
}

run "default_shares_the_work" {
  command = apply

  assert {
    condition     = [for item in jsondecode(aws_sfn_state_machine.this.definition).States.Shards.Result : item.shard] == [for index in range(8) : "${index}/8"]
    error_message = "each shard is there once"
  }

  assert {
    condition = alltrue(flatten([
      for name in ["Survey", "Answers"] : [
        jsondecode(aws_sfn_state_machine.this.definition).States[name].ItemProcessor.ProcessorConfig.Mode == "DISTRIBUTED",
        jsondecode(aws_sfn_state_machine.this.definition).States[name].ToleratedFailurePercentage == 100,
        jsondecode(aws_sfn_state_machine.this.definition).States[name].MaxConcurrency == 8,
        # Children have names of their own: the run's is taken where the map is.
        jsondecode(aws_sfn_state_machine.this.definition).States[name].ItemSelector["run.$"] == "$$.Execution.Name",
        jsondecode(aws_sfn_state_machine.this.definition).States[name].ItemSelector["shard.$"] == "$$.Map.Item.Value.shard",
      ]
    ]))
    error_message = "however many fail, the others go on, each with its number and the run's name"
  }

  assert {
    condition = [
      for name in ["Shards", "Survey", "Asks", "Answers"] : jsondecode(aws_sfn_state_machine.this.definition).States[name].Next
    ] == ["Survey", "Asks", "Answers", "Merge"]
    error_message = "the merge comes last, and always"
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.this.definition).States.Survey.ItemProcessor.States["Shard: units"].Parameters.Overrides.ContainerOverrides[0]["Command.$"] ==
      "States.Array('survey', '--to', 's3://acme-sweeper-shards', '--run', $.run, '--shard', $.shard)"
    )
    error_message = "a shard lists its part"
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.this.definition).States.Merge.Parameters.Overrides.ContainerOverrides[0]["Command.$"] ==
      "States.Array('survey', 'merge', '--from', 's3://acme-sweeper-shards', '--run', $$.Execution.Name, '--output', States.Format('s3://acme-sweeper-shards/surveys/{}.json', $$.Execution.Name))"
    )
    error_message = "the merge writes one survey"
  }

  # Step Functions wants every state of a machine to have a name of its own, also within maps.
  assert {
    condition = length(distinct(concat(
      keys(jsondecode(aws_sfn_state_machine.this.definition).States),
      keys(jsondecode(aws_sfn_state_machine.this.definition).States.Survey.ItemProcessor.States),
      keys(jsondecode(aws_sfn_state_machine.this.definition).States.Answers.ItemProcessor.States),
    ))) == 7
    error_message = "no two states are called the same"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).States.Asks.Catch[0].Next == "Answers"
    error_message = "gaps do not end it"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_lifecycle_configuration.shards.rule[0].expiration[0].days == 30,
      aws_s3_bucket_public_access_block.shards.restrict_public_buckets,
    ])
    error_message = "surveys are nobody's business, and go"
  }
}

run "default_cannot_delete" {
  command = apply

  variables {
    schedule             = { expression = "cron(0 2 * * ? *)" }
    secrets              = { SLACK_WEBHOOK_URL = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:sweeper-slack" }
    image_repository_arn = "arn:aws:ecr:eu-west-1:111122223333:repository/sweeper"
  }

  assert {
    condition = alltrue([
      keys(aws_iam_role_policy.sweeper) == ["read-1"],
      toset(flatten([for statement in jsondecode(aws_iam_role_policy.sweeper["read-1"].policy).Statement : statement.Action])) ==
      toset(flatten([for statement in jsondecode(file("../../permissions/aws-read-all.json")).Statement : statement.Action])),
    ])
    error_message = "the tasks have exactly what the binary says of the scanner"
  }

  assert {
    condition = alltrue([
      jsondecode(aws_ecs_task_definition.this.container_definitions)[0].readonlyRootFilesystem,
      jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets[0].valueFrom == "arn:aws:secretsmanager:eu-west-1:111122223333:secret:sweeper-slack",
      aws_scheduler_schedule.this["this"].target[0].retry_policy[0].maximum_retry_attempts == 0,
    ])
    error_message = "nothing is written but state, and no secret stands in the plan"
  }
}

run "one_shard_is_none" {
  command = plan
  variables { shards = 1 }
  expect_failures = [var.shards]
}

run "a_shard_is_whole" {
  command = plan
  variables { shards = 2.5 }
  expect_failures = [var.shards]
}

run "latest_is_no_image" {
  command = plan
  variables { image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/sweeper:latest" }
  expect_failures = [var.image]
}

run "a_network_is_no_subnet" {
  command = plan
  variables { subnets = ["vpc-0a1b2c3d"] }
  expect_failures = [var.subnets]
}

run "a_secret_is_named_and_not_given" {
  command = plan
  variables { secrets = { SLACK_WEBHOOK_URL = "https://hooks.slack.com/services/T/B/x" } }
  expect_failures = [var.secrets]
}
