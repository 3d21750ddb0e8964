output "stack_sets" {
  description = "The name of each stack set that was made: scanner, marker, deleter."
  value       = { for identity, set in aws_cloudformation_stack_set.this : identity => set.name }
}
