variable "zip" {
  description = "The Lambda zip: `bootstrap` of the release, with your sweeper.toml and policies added to it."
  type        = string

  validation {
    condition     = endswith(var.zip, ".zip")
    error_message = "The function is made from a .zip file."
  }
}

variable "state" {
  description = "Where state and the audit log lie: the output `state` of aws-state-bucket."
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

variable "name" {
  description = "What everything is called: the function is `<name>`, the roles are `<name>-scanner`, `<name>-marker`, `<name>-deleter`."
  type        = string
  default     = "sweeper"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "A name begins with a letter and has at most 40 small letters, digits and -"
  }
}

variable "schedules" {
  description = "When the function runs. The key is the name of a `[[schedule]]` in sweeper.toml; `expression` is EventBridge Scheduler's: cron(…), rate(…) or at(…)."
  type = map(object({
    expression = string
    timezone   = optional(string, "UTC")
  }))
  default = { nightly = { expression = "cron(0 4 * * ? *)" } }

  validation {
    condition     = alltrue([for one in values(var.schedules) : can(regex("^(cron|rate|at)\\(.+\\)$", one.expression))])
    error_message = "A schedule is cron(…), rate(…) or at(…)."
  }

  validation {
    condition     = alltrue([for name in keys(var.schedules) : can(regex("^[A-Za-z0-9._-]{1,20}$", name))])
    error_message = "A schedule's name has at most 20 letters, digits, . _ and -"
  }
}

variable "marker" {
  description = "Who may run sweeper to put tags on what was found: the ARNs of roles or users that enter the marker's role. Off unless enabled. With `source_identities`, only a session that carries a source identity like one of these."
  type = object({
    enabled           = optional(bool, false)
    principals        = optional(list(string), [])
    source_identities = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = !var.marker.enabled || length(var.marker.principals) > 0
    error_message = "A marker that is enabled needs principals."
  }

  validation {
    condition     = alltrue([for arn in var.marker.principals : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "A principal is the ARN of one role or user: no wildcard, and no whole account."
  }
}

variable "deleter" {
  description = "Who may run `sweeper apply` on what was approved: the ARNs of roles or users, people or a pipeline, that enter the deleter's role. Off unless enabled. No schedule ever applies, so this is no function. Only a session that carries a source identity enters, so that CloudTrail names somebody for each deletion; with an empty list none is asked for."
  type = object({
    enabled           = optional(bool, false)
    principals        = optional(list(string), [])
    source_identities = optional(list(string), ["*"])
  })
  default = {}

  validation {
    condition     = !var.deleter.enabled || length(var.deleter.principals) > 0
    error_message = "A deleter that is enabled needs principals."
  }

  validation {
    condition     = alltrue([for arn in var.deleter.principals : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "A principal is the ARN of one role or user: no wildcard, and no whole account."
  }
}

variable "organization" {
  description = "Whether the accounts of the organization are listed and each is entered by its role (aws-member-role). False: this account alone."
  type        = bool
  default     = false
}

variable "role_names" {
  description = "What the roles in the member accounts are called: as in aws-member-role."
  type = object({
    scanner = optional(string, "sweeper-read")
    marker  = optional(string, "sweeper-mark")
    deleter = optional(string, "sweeper-delete")
  })
  default = {}

  validation {
    condition     = alltrue([for name in values(var.role_names) : can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", name))])
    error_message = "A role's name has 1 to 64 letters, digits and characters of + = , . @ _ -, and no wildcard."
  }

  validation {
    condition     = length(distinct(values(var.role_names))) == 3
    error_message = "The three roles have three names."
  }
}

variable "regions" {
  description = "Regions that the deleter works in; in any other it is denied. Empty: in all."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region))])
    error_message = "A region is written as eu-west-1."
  }
}

variable "spare_cloudformation" {
  description = "Whether the deleter is denied what a CloudFormation stack made."
  type        = bool
  default     = true
}

variable "config_file" {
  description = "The config within the function: what lies in the zip is below /var/task."
  type        = string
  default     = "/var/task/sweeper.toml"

  validation {
    condition     = startswith(var.config_file, "/")
    error_message = "The config's path is absolute."
  }
}

variable "environment" {
  description = "More environment variables, none of them secret."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : !contains(["SWEEPER_STATE", "SWEEPER_CONFIG"], name) && !startswith(name, "AWS_")])
    error_message = "SWEEPER_STATE and SWEEPER_CONFIG are set by this module, and AWS_ variables by Lambda."
  }
}

variable "secrets" {
  description = "Environment variables that are secret, as SLACK_WEBHOOK_URL, read from a secret store. Lambda keeps them encrypted; Terraform's own state has them too, so encrypt that as well."
  type        = map(string)
  default     = {}
  sensitive   = true

  validation {
    condition     = alltrue([for name, value in var.secrets : can(regex("^[A-Z][A-Z0-9_]*$", name)) && value != ""])
    error_message = "A secret is an environment variable with a value."
  }
}

variable "architecture" {
  description = "What the zip's `bootstrap` was built for."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "Lambda has x86_64 and arm64."
  }
}

variable "memory" {
  description = "Memory of a function, MiB; processor time comes in proportion."
  type        = number
  default     = 1024

  validation {
    condition     = var.memory >= 256 && var.memory <= 10240
    error_message = "A function has 256 to 10240 MiB."
  }
}

variable "scratch" {
  description = "Space below /tmp, MiB."
  type        = number
  default     = 512

  validation {
    condition     = var.scratch >= 512 && var.scratch <= 10240
    error_message = "A function has 512 to 10240 MiB below /tmp."
  }
}

variable "timeout" {
  description = "How long a run may take, seconds. What is not read by then is read by the next run."
  type        = number
  default     = 900

  validation {
    condition     = var.timeout >= 60 && var.timeout <= 900
    error_message = "A run takes 60 to 900 seconds: Lambda ends it after that."
  }
}

variable "reserved_concurrency" {
  description = "How many runs there are at a time: 1, or -1 where the account has too little concurrency to reserve any. The lease in the state holds either way."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, -1], var.reserved_concurrency)
    error_message = "One run at a time is reserved (1), or none (-1)."
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

variable "alarm_topic_arn" {
  description = "The topic of SNS that is told when a run failed or a trigger became no run. Null: nobody is."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_topic_arn == null || can(regex("^arn:[a-z-]+:sns:", var.alarm_topic_arn))
    error_message = "A topic is named by its ARN: arn:aws:sns:…"
  }
}

variable "kms_key_arn" {
  description = "A key of your own for environment, logs and dead letters. Null: AWS's keys."
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
