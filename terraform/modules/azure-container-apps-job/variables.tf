variable "resource_group_name" {
  description = "The resource group of the jobs."
  type        = string
}

variable "location" {
  description = "Where the jobs run."
  type        = string
}

variable "environment_id" {
  description = "The Container Apps environment that the jobs run in."
  type        = string
}

variable "image" {
  description = "Sweeper's image, by its digest: REGISTRY.azurecr.io/sweeper@sha256:…"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9./:_-]+@sha256:[0-9a-f]{64}$", var.image)) || can(regex("^[a-z0-9./_-]+:[A-Za-z0-9._-]+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "An image has a digest, or at least a tag that is not `latest`."
  }
}

variable "registry" {
  description = "The Azure Container Registry that the image lies in: its server and its id. The scanner may pull from it. Null: the image is public."
  type = object({
    server = string
    id     = string
  })
  default = null
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
  description = "Where state and the audit log lie: the output `state` of azure-state-bucket."
  type = object({
    account      = string
    container    = string
    container_id = string
    prefix       = optional(string, "")
  })

  validation {
    condition     = can(regex("^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", var.state.prefix))
    error_message = "A prefix neither begins nor ends with a slash."
  }
}

variable "name" {
  description = "What everything is called: jobs are `<name>-<schedule>`, the scanner's identity is `<name>-scanner`."
  type        = string
  default     = "sweeper"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,14}[a-z0-9]$", var.name))
    error_message = "A name begins with a letter and has 2 to 16 small letters, digits and -"
  }
}

variable "schedules" {
  description = "When the scanner runs: name of a `[[schedule]]` in sweeper.toml -> a crontab line, in UTC."
  type        = map(object({ cron = string }))
  default     = { nightly = { cron = "0 4 * * *" } }

  validation {
    condition     = alltrue([for one in values(var.schedules) : can(regex("^\\S+ \\S+ \\S+ \\S+ \\S+$", one.cron))])
    error_message = "A crontab line has five fields."
  }

  validation {
    condition     = alltrue([for name in keys(var.schedules) : can(regex("^[a-z0-9]([a-z0-9-]{0,12}[a-z0-9])?$", name))])
    error_message = "A schedule's name has at most 14 small letters, digits and -"
  }
}

variable "subscriptions" {
  description = "The ids of the subscriptions to look at, where there is no `management_group`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.subscriptions : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "A subscription's id is a UUID in small letters."
  }

  validation {
    condition     = (var.management_group == null) != (length(var.subscriptions) == 0)
    error_message = "Name subscriptions or a management group: one of them, and not both."
  }
}

variable "management_group" {
  description = "The name of the management group to look at, with everything below it. Null: single subscriptions."
  type        = string
  default     = null

  validation {
    condition     = var.management_group == null || can(regex("^[A-Za-z0-9_().-]{1,90}$", var.management_group))
    error_message = "A management group is named by its name, not its path."
  }
}

variable "data_subscriptions" {
  description = "With a management group: the ids of the subscriptions whose blobs may be read as well. Azure takes no role that reads data at a management group. Without any, blobs are not seen."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.data_subscriptions) == 0 || var.management_group != null
    error_message = "Single subscriptions are read with their data: this is for a management group."
  }
}

variable "marker" {
  description = "Who may run sweeper to put tags on what was found: object ids of groups, service principals or users in Entra. Off unless enabled."
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
    condition     = alltrue([for id in var.marker.principals : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "A principal is an object id: a UUID in small letters."
  }
}

variable "deleter" {
  description = "Who may run `sweeper apply` on what was approved: object ids, best of a group that Privileged Identity Management lets people into for a time. Off unless enabled. No schedule ever applies, so this is no job."
  type = object({
    enabled    = optional(bool, false)
    principals = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = !var.deleter.enabled || length(var.deleter.principals) > 0
    error_message = "A deleter that is enabled needs principals."
  }

  validation {
    condition     = alltrue([for id in var.deleter.principals : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "A principal is an object id: a UUID in small letters."
  }

  validation {
    condition     = length(setintersection(var.deleter.principals, var.marker.principals)) == 0
    error_message = "Marker and deleter are two identities."
  }
}

variable "environment" {
  description = "More environment variables, none of them secret."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : !contains(["SWEEPER_STATE", "SWEEPER_CONFIG", "SWEEPER_DEADLINE", "AZURE_CLIENT_ID"], name)])
    error_message = "SWEEPER_STATE, SWEEPER_CONFIG, SWEEPER_DEADLINE and AZURE_CLIENT_ID are set by this module."
  }
}

variable "secrets" {
  description = "Environment variables that are secret: name -> id of a secret in `key_vault_id`, without its version. As { SLACK_WEBHOOK_URL = \"https://acme.vault.azure.net/secrets/sweeper-slack-webhook\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, id in var.secrets : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^https://[a-z0-9-]+\\.vault\\.[a-z.]+/secrets/[A-Za-z0-9-]+/?$", id))])
    error_message = "A secret is an environment variable and the id of a secret in a key vault, not its value."
  }

  validation {
    condition     = length(var.secrets) == 0 || var.key_vault_id != null
    error_message = "Secrets lie in a key vault: `key_vault_id`."
  }
}

variable "key_vault_id" {
  description = "The key vault of `secrets`. The scanner may read its secrets."
  type        = string
  default     = null
}

variable "cpu" {
  description = "Processors of a job. Container Apps has 0.25 to 4, with 2 GiB of memory for each."
  type        = number
  default     = 0.5

  validation {
    condition     = contains([0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4], var.cpu)
    error_message = "Container Apps has 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5 or 4 processors."
  }
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

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
