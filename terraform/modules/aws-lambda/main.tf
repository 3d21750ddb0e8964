# Sweeper as a Lambda function that EventBridge Scheduler calls. The function is the scanner. The marker and the deleter
# are roles that people or a pipeline enter to run `sweeper apply`, and are there only where they are enabled: otherwise
# nothing here could change a thing.

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id

  people     = { for identity, wanted in { marker = var.marker, deleter = var.deleter } : identity => wanted if wanted.enabled }
  identities = toset(concat(["scanner"], keys(local.people)))
  trusts = merge(
    {
      scanner = [{
        Sid       = "Function"
        Effect    = "Allow"
        Principal = { Service = "lambda.amazonaws.com" }
        Action    = "sts:AssumeRole"
      }]
    },
    {
      for identity, wanted in local.people : identity => [
        merge(
          {
            Sid       = "Enter"
            Effect    = "Allow"
            Principal = { AWS = sort(wanted.principals) }
            Action    = ["sts:AssumeRole", "sts:SetSourceIdentity"]
          },
          {
            for key in ["Condition"] : key => { StringLike = { "sts:SourceIdentity" = wanted.source_identities } }
            if length(wanted.source_identities) > 0
          },
        )
      ]
    },
  )

  # Whoever changes something looks first, by the scanner's role.
  enters = {
    for identity in local.identities : identity => var.organization ? [
      for name in distinct([var.role_names.scanner, var.role_names[identity]]) :
      "arn:${local.partition}:iam::*:role/${name}"
    ] : []
  }
  policies = merge([
    for identity in local.identities : {
      for name, document in module.documents[identity].policies[identity] :
      "${identity}/${name}" => { identity = identity, name = name, document = document }
    }
  ]...)

  objects = "${var.state.arn}/${var.state.prefix == "" ? "" : "${var.state.prefix}/"}*"
  url     = "s3://${var.state.bucket}${var.state.prefix == "" ? "" : "/${var.state.prefix}"}"
}

module "documents" {
  source   = "../aws-role-documents"
  for_each = local.identities

  organization         = var.organization
  source_identity      = each.key != "scanner"
  enter                = local.enters[each.key]
  regions              = var.regions
  spare_cloudformation = var.spare_cloudformation
}

resource "aws_iam_role" "this" {
  for_each = local.identities

  name                 = "${var.name}-${each.key}"
  description          = "sweeper: the ${each.key}"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = local.trusts[each.key] })
}

# What sweeper may do to the cloud.
resource "aws_iam_role_policy" "sweeper" {
  for_each = local.policies

  name   = "sweeper-${each.value.name}"
  role   = aws_iam_role.this[each.value.identity].name
  policy = each.value.document
}

# What each needs of the deployment's own things, by their names.
resource "aws_iam_role_policy" "state" {
  for_each = local.identities

  name = "state"
  role = aws_iam_role.this[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "State"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
          Resource = local.objects
        },
        {
          Sid      = "StateList"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = var.state.arn
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

resource "aws_iam_role_policy" "function" {
  name = "function"
  role = aws_iam_role.this["scanner"].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Logs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.this.arn}:*"
        },
        {
          Sid      = "DeadLetters"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = aws_sqs_queue.dead.arn
        },
      ],
      [
        for key in compact([var.kms_key_arn]) : {
          Sid      = "Keys"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = key
        }
      ],
    )
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# Runs that failed, and triggers that never became a run.
resource "aws_sqs_queue" "dead" {
  name                              = "${var.name}-dead-letters"
  message_retention_seconds         = 1209600
  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 300
  tags                              = var.tags
}

resource "aws_cloudwatch_metric_alarm" "dead" {
  for_each = toset(var.alarm_topic_arn == null ? [] : ["this"])

  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "A run of sweeper failed, or a trigger became no run: look into ${aws_sqs_queue.dead.name} and the function's log."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  tags                = var.tags
}

resource "aws_lambda_function" "this" {
  function_name    = var.name
  description      = "sweeper: the scanner"
  role             = aws_iam_role.this["scanner"].arn
  filename         = var.zip
  source_code_hash = try(filebase64sha256(var.zip), null)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = var.memory
  timeout          = var.timeout
  kms_key_arn      = var.kms_key_arn
  tags             = var.tags

  # One run at a time. The lease in the state holds where this does not.
  reserved_concurrent_executions = var.reserved_concurrency

  ephemeral_storage {
    size = var.scratch
  }

  environment {
    variables = merge(var.environment, var.secrets, {
      SWEEPER_STATE  = local.url
      SWEEPER_CONFIG = var.config_file
    })
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.dead.arn
  }

  depends_on = [aws_iam_role_policy.function, aws_iam_role_policy.state, aws_iam_role_policy.sweeper]
}

# A run that failed is not run again by Lambda: the next one of the schedule is the retry.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 3600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead.arn
    }
  }
}

resource "aws_iam_role" "scheduler" {
  name                 = "${var.name}-scheduler"
  description          = "sweeper: calls the function"
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
  name = "deployment"
  role = aws_iam_role.scheduler.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Call"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction"]
          Resource = aws_lambda_function.this.arn
        },
        {
          Sid      = "DeadLetters"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = aws_sqs_queue.dead.arn
        },
      ],
      [
        for key in compact([var.kms_key_arn]) : {
          Sid      = "Keys"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = key
        }
      ],
    )
  })
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
  tags = var.tags
}

resource "aws_scheduler_schedule" "this" {
  for_each = var.schedules

  name                         = each.key
  group_name                   = aws_scheduler_schedule_group.this.name
  schedule_expression          = each.value.expression
  schedule_expression_timezone = each.value.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this.arn
    role_arn = aws_iam_role.scheduler.arn

    # The scheduler delivers at least once. The token is the scheduled time, the same each time that it delivers, and
    # by it sweeper knows a trigger that it has had. It is put in where these words stand, and jsonencode would hide
    # them: it writes < and > as \u003c and \u003e.
    input = "{\"schedule\":${jsonencode(each.key)},\"token\":\"<aws.scheduler.scheduled-time>\"}"

    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 3600
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead.arn
    }
  }
}
