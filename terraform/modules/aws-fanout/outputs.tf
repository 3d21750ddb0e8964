output "state_machine" {
  description = "The state machine: `aws stepfunctions start-execution --state-machine-arn …`."
  value       = { name = aws_sfn_state_machine.this.name, arn = aws_sfn_state_machine.this.arn }
}

output "scanner_role_arn" {
  description = "The role of the tasks: a principal of the scanner in aws-member-role."
  value       = aws_iam_role.scanner.arn
}

output "log_group" {
  description = "Where the tasks log."
  value       = aws_cloudwatch_log_group.this.name
}

output "surveys" {
  description = "Where the merged surveys are, one for each execution."
  value       = "${local.meet}/surveys/"
}
