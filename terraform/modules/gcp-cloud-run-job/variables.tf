variable "project" {
  description = "The project that the job runs in."
  type        = string
}

variable "region" {
  description = "Where the job runs."
  type        = string
}

variable "image" {
  description = "Sweeper's image, by its digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/sweeper@sha256:…"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9./:_-]+@sha256:[0-9a-f]{64}$", var.image)) || can(regex("^[a-z0-9./_-]+:[A-Za-z0-9._-]+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "An image has a digest, or at least a tag that is not `latest`."
  }
}

variable "config" {
  description = "The text of sweeper.toml: file(\"sweeper.toml\"). It holds no secret."
  type        = string

  validation {
    condition     = length(trimspace(var.config)) > 0 && length(var.config) <= 65536
    error_message = "The config is a text of at most 64 KiB."
  }
}

variable "policies" {
  description = "The text of your policies, one file after another. Null: those that `policies` of the config names, or the shipped ones."
  type        = string
  default     = null

  validation {
    condition     = var.policies == null || try(length(trimspace(var.policies)) > 0 && length(var.policies) <= 65536, false)
    error_message = "Policies are a text of at most 64 KiB."
  }
}

variable "state" {
  description = "Where state and the audit log lie: the output `state` of gcp-state-bucket."
  type = object({
    bucket = string
    prefix = optional(string, "")
  })

  validation {
    condition     = can(regex("^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", var.state.prefix))
    error_message = "A prefix neither begins nor ends with a slash."
  }
}

variable "name" {
  description = "What everything is called: jobs are `<name>-<schedule>`, service accounts `<name>-scanner`, `<name>-marker`, `<name>-deleter`."
  type        = string
  default     = "sweeper"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,17}[a-z0-9]$", var.name))
    error_message = "A name begins with a letter and has 2 to 19 small letters, digits and -"
  }
}

variable "schedules" {
  description = "When the scanner runs: name of a `[[schedule]]` in sweeper.toml -> a crontab line and its time zone."
  type = map(object({
    cron     = string
    timezone = optional(string, "Etc/UTC")
  }))
  default = { nightly = { cron = "0 4 * * *" } }

  validation {
    condition     = alltrue([for one in values(var.schedules) : can(regex("^\\S+ \\S+ \\S+ \\S+ \\S+$", one.cron))])
    error_message = "A crontab line has five fields."
  }

  validation {
    condition     = alltrue([for name in keys(var.schedules) : can(regex("^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", name))])
    error_message = "A schedule's name has at most 20 small letters, digits and -"
  }
}

variable "projects" {
  description = "The projects to look at, where there is no `parent`. Empty: the job's own."
  type        = list(string)
  default     = []
}

variable "parent" {
  description = "What to look at as a whole: an organization, by its number, or one folder in it. Null: single projects."
  type = object({
    organization = string
    folder       = optional(string)
  })
  default = null

  validation {
    condition     = var.parent == null || can(regex("^[0-9]+$", var.parent.organization))
    error_message = "An organization is named by its number."
  }

  validation {
    condition     = var.parent == null || try(var.parent.folder, null) == null || can(regex("^[0-9]+$", var.parent.folder))
    error_message = "A folder is named by its number."
  }
}

variable "marker" {
  description = "Who may run sweeper to put labels on what was found: members (`user:…`, `group:…`, `serviceAccount:…`) who act as the marker's service account. Off unless enabled."
  type = object({
    enabled    = optional(bool, false)
    principals = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = !var.marker.enabled || length(var.marker.principals) > 0
    error_message = "A marker that is enabled needs principals."
  }

  validation {
    condition     = alltrue([for member in var.marker.principals : can(regex("^(user|group|serviceAccount|principal|principalSet):.+$", member))])
    error_message = "A principal is user:…, group:…, serviceAccount:…, principal:… or principalSet:…: never all users."
  }
}

variable "deleter" {
  description = "Who may run `sweeper apply` on what was approved: members who act as the deleter's service account. Off unless enabled. No schedule ever applies, so this is no job. With `until` (RFC 3339) the right ends by itself."
  type = object({
    enabled    = optional(bool, false)
    principals = optional(list(string), [])
    until      = optional(string)
  })
  default = {}

  validation {
    condition     = !var.deleter.enabled || length(var.deleter.principals) > 0
    error_message = "A deleter that is enabled needs principals."
  }

  validation {
    condition     = alltrue([for member in var.deleter.principals : can(regex("^(user|group|serviceAccount|principal|principalSet):.+$", member))])
    error_message = "A principal is user:…, group:…, serviceAccount:…, principal:… or principalSet:…: never all users."
  }

  validation {
    condition     = var.deleter.until == null || can(formatdate("YYYY", var.deleter.until))
    error_message = "`until` is an instant: 2027-01-31T00:00:00Z."
  }
}

variable "environment" {
  description = "More environment variables, none of them secret."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : !contains(["SWEEPER_STATE", "SWEEPER_CONFIG", "SWEEPER_DEADLINE", "GOOGLE_CLOUD_PROJECT"], name)])
    error_message = "SWEEPER_STATE, SWEEPER_CONFIG, SWEEPER_DEADLINE and GOOGLE_CLOUD_PROJECT are set by this module."
  }
}

variable "secrets" {
  description = "Environment variables that are secret: name -> secret of Secret Manager, whose newest version is read when a run starts. As { SLACK_WEBHOOK_URL = \"sweeper-slack-webhook\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, secret in var.secrets : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "A secret is an environment variable and the name of a secret in the job's project, not its value."
  }
}

variable "cpu" {
  description = "Processors of the job."
  type        = string
  default     = "1"
}

variable "memory" {
  description = "Memory of the job."
  type        = string
  default     = "1Gi"
}

variable "timeout" {
  description = "How long a run may take, seconds. It is told to end a minute before, and says what it has not seen."
  type        = number
  default     = 7200

  validation {
    condition     = var.timeout >= 300 && var.timeout <= 86400
    error_message = "A run takes 300 to 86400 seconds."
  }
}

variable "labels" {
  description = "Labels of the jobs."
  type        = map(string)
  default     = {}
}
