# A survey of a large organization by many tasks. A Distributed Map of Step Functions goes over the numbers of the shards;
# one task gathers what the rules still ask; a second map asks it; and one task puts together what all of them sealed. A
# shard that failed or never came fails nothing: the merge says what was not seen, and ends with 3. All of it is the
# scanner; whoever applies does it alone and never from here.

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.region
  where     = "${local.region}:${local.account}"

  objects = "${var.state.arn}/${var.state.prefix == "" ? "" : "${var.state.prefix}/"}*"
  url     = "s3://${var.state.bucket}${var.state.prefix == "" ? "" : "/${var.state.prefix}"}"

  # Where the tasks meet. The run is called as the execution is, by every task of it.
  meet = "s3://${aws_s3_bucket.shards.bucket}"
  commands = {
    units   = "States.Array('survey', '--to', '${local.meet}', '--run', $.run, '--shard', $.shard)"
    answers = "States.Array('survey', '--to', '${local.meet}', '--run', $.run, '--shard', $.shard, '--stage', 'answers')"
    asks    = "States.Array('survey', 'merge', '--from', '${local.meet}', '--run', $$.Execution.Name, '--asks')"
    merge   = "States.Array('survey', 'merge', '--from', '${local.meet}', '--run', $$.Execution.Name, '--output', States.Format('${local.meet}/surveys/{}.json', $$.Execution.Name))"
  }

  task = {
    Type           = "Task"
    Resource       = "arn:${local.partition}:states:::ecs:runTask.sync"
    TimeoutSeconds = var.timeout
  }
  tasks = {
    for what, command in local.commands : what => merge(local.task, {
      Parameters = {
        LaunchType     = "FARGATE"
        Cluster        = aws_ecs_cluster.this.arn
        TaskDefinition = aws_ecs_task_definition.this.arn
        NetworkConfiguration = {
          AwsvpcConfiguration = {
            Subnets        = var.subnets
            SecurityGroups = var.security_groups
            AssignPublicIp = var.assign_public_ip ? "ENABLED" : "DISABLED"
          }
        }
        Overrides = { ContainerOverrides = [{ Name = "sweeper", "Command.$" = command }] }
      }
    })
  }
  maps = {
    for what in ["units", "answers"] : what => {
      Type                       = "Map"
      Label                      = what
      ItemSelector               = { "shard.$" = "$$.Map.Item.Value.shard", "run.$" = "$$.Execution.Name" }
      MaxConcurrency             = coalesce(var.concurrency, var.shards)
      ToleratedFailurePercentage = 100
      ResultPath                 = null
      ItemProcessor = {
        ProcessorConfig = { Mode = "DISTRIBUTED", ExecutionType = "STANDARD" }
        StartAt         = "Shard: ${what}"
        # What Step Functions tells of a task is long, and all of it together more than a state may hold.
        States = { "Shard: ${what}" = merge(local.tasks[what], { End = true, ResultSelector = {} }) }
      }
    }
  }

  definition = {
    Comment = "sweeper: a survey by ${var.shards} shards"
    StartAt = "Shards"
    States = {
      Shards = {
        Type   = "Pass"
        Result = [for index in range(var.shards) : { shard = "${index}/${var.shards}" }]
        Next   = "Survey"
      }
      Survey = merge(local.maps.units, { Next = "Asks" })
      # With gaps it ends with 3, and what it wrote is asked all the same.
      Asks = merge(local.tasks.asks, {
        ResultPath = null
        Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = null, Next = "Answers" }]
        Next       = "Answers"
      })
      Answers = merge(local.maps.answers, { Next = "Merge" })
      Merge   = merge(local.tasks.merge, { End = true })
    }
  }
}

module "documents" {
  source = "../aws-role-documents"

  organization = true
  enter        = ["arn:${local.partition}:iam::*:role/${var.role_names.scanner}"]
}

# Where the tasks meet: shards, and the surveys that are made of them. A survey tells what an organization has.
resource "aws_s3_bucket" "shards" {
  bucket        = var.bucket
  force_destroy = true
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "shards" {
  bucket = aws_s3_bucket.shards.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "shards" {
  bucket = aws_s3_bucket.shards.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.shards.arn, "${aws_s3_bucket.shards.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.shards]
}

resource "aws_s3_bucket_lifecycle_configuration" "shards" {
  bucket = aws_s3_bucket.shards.id

  rule {
    id     = "old"
    status = "Enabled"

    filter {}

    expiration {
      days = var.keep_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

# What the tasks are: the scanner.
resource "aws_iam_role" "scanner" {
  name                 = "${var.name}-scanner"
  description          = "sweeper: the scanner, by many tasks"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "sweeper" {
  for_each = module.documents.policies.scanner

  name   = "sweeper-${each.key}"
  role   = aws_iam_role.scanner.name
  policy = each.value
}

resource "aws_iam_role_policy" "state" {
  name = "state"
  role = aws_iam_role.scanner.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "State"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
          Resource = [local.objects, "${aws_s3_bucket.shards.arn}/*"]
        },
        {
          Sid      = "StateList"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = [var.state.arn, aws_s3_bucket.shards.arn]
        },
      ],
      [
        for key in compact([var.state.kms_key_arn]) : {
          Sid      = "StateKey"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = key
        }
      ],
    )
  })
}

# What starts a task: its image, its secrets, its log.
resource "aws_iam_role" "start" {
  name                 = "${var.name}-start"
  description          = "sweeper: starts the tasks"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "start" {
  name = "start"
  role = aws_iam_role.start.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      }],
      [
        for arn in compact([var.image_repository_arn]) : {
          Sid      = "Image"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = arn
        }
      ],
      [
        # It is about no repository: there is nothing else to name.
        for arn in compact([var.image_repository_arn]) : {
          Sid      = "ImageToken"
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = "*"
        }
      ],
      [
        for arns in [values(var.secrets)] : {
          Sid      = "Secrets"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = arns
        } if length(arns) > 0
      ],
    )
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/sweeper/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.scanner.arn
  execution_role_arn       = aws_iam_role.start.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  container_definitions = jsonencode([{
    name                   = "sweeper"
    image                  = var.image
    essential              = true
    readonlyRootFilesystem = true
    environment = [
      { name = "SWEEPER_CONFIG", value = var.config_file },
      { name = "SWEEPER_STATE", value = local.url },
    ]
    secrets = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = "sweeper"
      }
    }
  }])
}

resource "aws_iam_role" "machine" {
  name                 = "${var.name}-machine"
  description          = "sweeper: runs the tasks of a survey"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "machine" {
  name = "machine"
  role = aws_iam_role.machine.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Run"
        Effect    = "Allow"
        Action    = ["ecs:RunTask"]
        Resource  = "arn:${local.partition}:ecs:${local.where}:task-definition/${var.name}:*"
        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.this.arn } }
      },
      {
        Sid      = "Watch"
        Effect   = "Allow"
        Action   = ["ecs:StopTask", "ecs:DescribeTasks"]
        Resource = "arn:${local.partition}:ecs:${local.where}:task/${var.name}/*"
      },
      {
        Sid       = "Pass"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.scanner.arn, aws_iam_role.start.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      # By this rule Step Functions learns that a task has ended.
      {
        Sid      = "Ended"
        Effect   = "Allow"
        Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
        Resource = "arn:${local.partition}:events:${local.where}:rule/StepFunctionsGetEventsForECSTaskRule"
      },
      # The children of a Distributed Map are executions of the same machine.
      {
        Sid      = "Children"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = "arn:${local.partition}:states:${local.where}:stateMachine:${var.name}"
      },
      {
        Sid    = "ChildrenEnd"
        Effect = "Allow"
        Action = ["states:DescribeExecution", "states:StopExecution"]
        Resource = [
          "arn:${local.partition}:states:${local.where}:execution:${var.name}:*",
          "arn:${local.partition}:states:${local.where}:execution:${var.name}/*",
        ]
      },
    ]
  })
}

resource "aws_sfn_state_machine" "this" {
  name       = var.name
  role_arn   = aws_iam_role.machine.arn
  type       = "STANDARD"
  definition = jsonencode(local.definition)
  tags       = var.tags

  depends_on = [aws_iam_role_policy.machine, aws_iam_role_policy.sweeper, aws_iam_role_policy.state, aws_iam_role_policy.start]
}

resource "aws_iam_role" "scheduler" {
  for_each = var.schedule == null ? {} : { this = var.schedule }

  name                 = "${var.name}-scheduler"
  description          = "sweeper: starts a survey"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  for_each = aws_iam_role.scheduler

  name = "start"
  role = each.value.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Start"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = aws_sfn_state_machine.this.arn
    }]
  })
}

resource "aws_scheduler_schedule" "this" {
  for_each = var.schedule == null ? {} : { this = var.schedule }

  name                         = var.name
  schedule_expression          = each.value.expression
  schedule_expression_timezone = each.value.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.this.arn
    role_arn = aws_iam_role.scheduler["this"].arn
    input    = "{}"

    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 3600
    }
  }
}
