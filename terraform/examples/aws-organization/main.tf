# Every account of an organization: a nightly report in Slack. Run in the management account, or in the delegated
# administrator of both Organizations and CloudFormation. Unless somebody is named in `appliers`, nothing can be changed.

module "state" {
  source = "../../modules/aws-state-bucket"

  name = var.bucket
}

data "aws_secretsmanager_secret_version" "slack" {
  secret_id = var.slack_secret
}

module "sweeper" {
  source = "../../modules/aws-lambda"

  zip          = "${path.module}/sweeper-lambda.zip"
  state        = module.state.state
  organization = true
  secrets      = { SLACK_WEBHOOK_URL = data.aws_secretsmanager_secret_version.slack.secret_string }

  deleter = { enabled = length(var.appliers) > 0, principals = var.appliers }
}

# The roles in the accounts: the scanner's, and where somebody applies also the deleter's, which only the deleter of this
# account enters.
module "members" {
  source = "../../modules/aws-member-stackset"

  external_id          = var.external_id
  organizational_units = var.organizational_units
  scanner              = { principals = [module.sweeper.role_arns["scanner"]] }
  deleter = {
    enabled    = length(var.appliers) > 0
    principals = length(var.appliers) > 0 ? [module.sweeper.role_arns["deleter"]] : []
  }
}

output "function_name" {
  description = "The function."
  value       = module.sweeper.function_name
}

output "role_arns" {
  description = "The identities of this account: whoever applies enters the deleter's."
  value       = module.sweeper.role_arns
}

output "stack_sets" {
  description = "The stack sets of the roles."
  value       = module.members.stack_sets
}
