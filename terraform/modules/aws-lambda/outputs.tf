output "function_name" {
  description = "The function."
  value       = aws_lambda_function.this.function_name
}

output "role_arns" {
  description = "The role of each identity that there is: the principals of aws-member-role."
  value       = { for identity, role in aws_iam_role.this : identity => role.arn }
}

output "log_group" {
  description = "Where the function logs."
  value       = aws_cloudwatch_log_group.this.name
}

output "dead_letters" {
  description = "The queue of runs that failed and of triggers that became no run: alarm when it is not empty."
  value       = { name = aws_sqs_queue.dead.name, arn = aws_sqs_queue.dead.arn }
}
