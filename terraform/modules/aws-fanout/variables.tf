variable "image" {
  description = "Sweeper's image, by its digest, with your sweeper.toml and policies in it: ACCOUNT.dkr.ecr.REGION.amazonaws.com/sweeper@sha256:…"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9./:_-]+@sha256:[0-9a-f]{64}$", var.image)) || can(regex("^[a-z0-9./_-]+:[A-Za-z0-9._-]+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "An image has a digest, or at least a tag that is not `latest`."
  }
}

variable "image_repository_arn" {
  description = "The repository of ECR that the image lies in, in this account. Null: it is public."
  type        = string
  default     = null
}

variable "shards" {
  description = "How many tasks share the work. One for 50 accounts is a fair start."
  type        = number

  validation {
    condition     = var.shards >= 2 && var.shards <= 1000 && floor(var.shards) == var.shards
    error_message = "Work is shared by 2 to 1000 shards; for one, use aws-lambda."
  }
}

variable "concurrency" {
  description = "How many tasks run at a time. Null: all."
  type        = number
  default     = null

  validation {
    condition     = var.concurrency == null || try(var.concurrency >= 1, false)
    error_message = "At least one task runs."
  }
}

variable "bucket" {
  description = "What the bucket of shards and merged surveys is to be called, unique in the world. They are large and short-lived: state's bucket would keep them for a year."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket's name has 3 to 63 small letters, digits, . and -"
  }
}

variable "keep_days" {
  description = "How long shards and surveys are kept."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_days >= 1 && var.keep_days <= 3650 && floor(var.keep_days) == var.keep_days
    error_message = "They are kept for 1 to 3650 whole days."
  }
}

variable "state" {
  description = "Where state lies: the output `state` of aws-state-bucket."
  type = object({
    bucket      = string
    arn         = string
    prefix      = optional(string, "")
    kms_key_arn = optional(string)
  })

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]{3,63}$", var.state.arn))
    error_message = "`arn` is the bucket's: arn:aws:s3:::NAME."
  }

  validation {
    condition     = can(regex("^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", var.state.prefix))
    error_message = "A prefix neither begins nor ends with a slash."
  }
}

variable "subnets" {
  description = "Where the tasks run: subnets from which the APIs of AWS are reached."
  type        = list(string)

  validation {
    condition     = length(var.subnets) > 0 && alltrue([for id in var.subnets : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "A subnet is named by its id: subnet-…"
  }
}

variable "security_groups" {
  description = "Security groups of the tasks. They call out by HTTPS, and nobody calls them."
  type        = list(string)

  validation {
    condition     = length(var.security_groups) > 0 && alltrue([for id in var.security_groups : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "A security group is named by its id: sg-…"
  }
}

variable "assign_public_ip" {
  description = "Whether the tasks have public addresses: in public subnets there is no other way out."
  type        = bool
  default     = false
}

variable "name" {
  description = "What everything is called."
  type        = string
  default     = "sweeper-fanout"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "A name begins with a letter and has at most 40 small letters, digits and -"
  }
}

variable "schedule" {
  description = "When it runs: an expression of EventBridge Scheduler and its time zone. Null: when somebody starts it."
  type = object({
    expression = string
    timezone   = optional(string, "UTC")
  })
  default = null

  validation {
    condition     = var.schedule == null || can(regex("^(cron|rate|at)\\(.+\\)$", var.schedule.expression))
    error_message = "A schedule is cron(…), rate(…) or at(…)."
  }
}

variable "role_names" {
  description = "What the scanner's role in the member accounts is called: as in aws-member-role."
  type        = object({ scanner = optional(string, "sweeper-read") })
  default     = {}

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.role_names.scanner))
    error_message = "A role's name has 1 to 64 letters, digits and characters of + = , . @ _ -, and no wildcard."
  }
}

variable "config_file" {
  description = "The config within the image."
  type        = string
  default     = "/etc/sweeper/sweeper.toml"

  validation {
    condition     = startswith(var.config_file, "/")
    error_message = "The config's path is absolute."
  }
}

variable "secrets" {
  description = "Environment variables that are secret: name -> ARN of a secret of Secrets Manager."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, arn in var.secrets : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^arn:[a-z-]+:secretsmanager:", arn))])
    error_message = "A secret is an environment variable and the ARN of a secret, not its value."
  }
}

variable "cpu" {
  description = "Processor units of a task, 1024 for one."
  type        = number
  default     = 1024

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "Fargate has 256, 512, 1024, 2048 or 4096 units."
  }
}

variable "memory" {
  description = "Memory of a task, MiB."
  type        = number
  default     = 2048

  validation {
    condition     = var.memory >= 512 && var.memory <= 30720
    error_message = "A task has 512 to 30720 MiB."
  }
}

variable "architecture" {
  description = "What the image was built for."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "Fargate has X86_64 and ARM64."
  }
}

variable "timeout" {
  description = "How long a task may take, seconds. What it has not sealed by then is blind."
  type        = number
  default     = 7200

  validation {
    condition     = var.timeout >= 60 && var.timeout <= 86400
    error_message = "A task takes 60 to 86400 seconds."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch Logs keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "kms_key_arn" {
  description = "A key of your own for logs. Null: AWS's."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of a policy that bounds the roles, where the organization demands one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
