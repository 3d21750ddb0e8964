# A large organization: a nightly survey by many tasks. The roles in the accounts are those of ../aws-organization, whose
# scanner's principals then are these tasks.

module "state" {
  source = "../../modules/aws-state-bucket"

  name = var.bucket
}

# Out by HTTPS, and nobody in.
resource "aws_security_group" "tasks" {
  name        = "sweeper-fanout"
  description = "sweeper: the tasks of a survey"
  vpc_id      = var.vpc

  egress {
    description      = "the APIs of AWS"
    from_port        = 443
    to_port          = 443
    protocol         = "tcp"
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
}

module "fanout" {
  source = "../../modules/aws-fanout"

  image           = var.image
  shards          = var.shards
  bucket          = "${var.bucket}-shards"
  state           = module.state.state
  subnets         = var.subnets
  security_groups = [aws_security_group.tasks.id]
  schedule        = { expression = "cron(0 2 * * ? *)" }
}

output "state_machine" {
  description = "What to start by hand."
  value       = module.fanout.state_machine
}

output "scanner_role_arn" {
  description = "A principal of the scanner in the accounts."
  value       = module.fanout.scanner_role_arn
}
