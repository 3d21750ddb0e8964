variable "external_id" {
  description = "What whoever enters these roles must say: `external_id` of `[aws]` in sweeper.toml. It keeps the sweeper of somebody else from being talked into entering your accounts."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@:/_-]+$", var.external_id)) && length(var.external_id) >= 8 && length(var.external_id) <= 1224
    error_message = "An external id has 8 to 1224 letters, digits and characters of + = , . @ : / _ -"
  }
}

variable "scanner" {
  description = "Who may look: the ARNs of the roles that enter the scanner's role. Marker and deleter enter it as well."
  type        = object({ principals = list(string) })

  validation {
    condition     = length(var.scanner.principals) > 0
    error_message = "Name at least one role that enters the scanner's."
  }

  validation {
    condition     = alltrue([for arn in var.scanner.principals : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "A principal is the ARN of one role or user: no wildcard, and no whole account."
  }
}

variable "marker" {
  description = "Who may put tags on what is found. Off unless enabled. With `source_identities`, only a session that carries a source identity like one of these enters."
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
  description = "Who may stop and delete what was approved. Off unless enabled. Only a session that carries a source identity enters (`source_identities`, with wildcards), so that CloudTrail names a person or a pipeline for each deletion; with an empty list none is asked for, as a Lambda function has none."
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

  validation {
    condition     = length(setintersection(var.deleter.principals, var.scanner.principals)) == 0
    error_message = "The deleter is another identity than the scanner: whoever looks every night must not be able to delete."
  }
}

variable "role_names" {
  description = "What the roles are called, the same in every account: `role` and `delete_role` of `[aws]` in sweeper.toml."
  type = object({
    scanner = optional(string, "sweeper-read")
    marker  = optional(string, "sweeper-mark")
    deleter = optional(string, "sweeper-delete")
  })
  default = {}

  validation {
    condition     = alltrue([for name in values(var.role_names) : can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", name))])
    error_message = "A role's name has 1 to 64 letters, digits and characters of + = , . @ _ -"
  }

  validation {
    condition     = length(distinct(values(var.role_names))) == 3
    error_message = "The three roles have three names."
  }
}

variable "create" {
  description = "Whether the roles are made in this account. False: only the templates are wanted (see aws-member-stackset)."
  type        = bool
  default     = true
}

variable "organization_id" {
  description = "The organization (`o-…`) that whoever enters must belong to. Null: any."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "An organization is `o-` and 10 to 32 letters and digits."
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
  description = "Whether the deleter is denied what a CloudFormation stack made: it would come back, or break the stack."
  type        = bool
  default     = true
}

variable "max_session_duration" {
  description = "How long a session in one of these roles may last, seconds. Sweeper takes an hour to look, and 15 minutes for each deed."
  type        = number
  default     = 3600

  validation {
    condition     = var.max_session_duration >= 3600 && var.max_session_duration <= 43200
    error_message = "A session lasts 3600 to 43200 seconds."
  }
}

variable "permissions_boundary" {
  description = "The ARN of a policy that bounds the roles, where the organization demands one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the roles."
  type        = map(string)
  default     = {}
}
