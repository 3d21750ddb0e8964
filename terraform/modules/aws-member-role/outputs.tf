output "role_arns" {
  description = "The ARN of each role that was made: scanner, marker, deleter."
  value       = { for identity, role in aws_iam_role.this : identity => role.arn }
}

output "role_names" {
  description = "The name of each role that was made."
  value       = { for identity, role in local.roles : identity => role.name }
}

output "templates" {
  description = "The CloudFormation template of each role that is enabled, for StackSets: scanner, marker, deleter."
  value       = local.templates
}
