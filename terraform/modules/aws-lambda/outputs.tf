output "function_names" {
  description = "The function of each identity that is enabled."
  value       = { for identity, function in aws_lambda_function.this : identity => function.function_name }
}

output "role_arns" {
  description = "The role of each identity that is enabled: the principals of aws-member-role."
  value       = { for identity, role in aws_iam_role.function : identity => role.arn }
}

output "log_groups" {
  description = "Where each function logs."
  value       = { for identity, group in aws_cloudwatch_log_group.this : identity => group.name }
}

output "dead_letters" {
  description = "The queue of runs that failed and of triggers that became no run: alarm when it is not empty."
  value       = { name = aws_sqs_queue.dead.name, arn = aws_sqs_queue.dead.arn }
}
