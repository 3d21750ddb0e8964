# One account: a nightly report in Slack. It cannot change anything.

module "state" {
  source = "../../modules/aws-state-bucket"

  name = var.bucket
}

data "aws_secretsmanager_secret_version" "slack" {
  secret_id = var.slack_secret
}

module "sweeper" {
  source = "../../modules/aws-lambda"

  zip     = "${path.module}/sweeper-lambda.zip"
  state   = module.state.state
  secrets = { SLACK_WEBHOOK_URL = data.aws_secretsmanager_secret_version.slack.secret_string }
}

output "function_name" {
  description = "The function."
  value       = module.sweeper.function_name
}

output "log_group" {
  description = "Where it logs."
  value       = module.sweeper.log_group
}

output "state_url" {
  description = "SWEEPER_STATE."
  value       = module.state.url
}
