variable "project" {
  description = "The project of the buckets."
  type        = string
}

variable "name" {
  description = "The bucket's name, unique in the world; the bucket of the log's copy is `<name>-audit`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{1,55}[a-z0-9]$", var.name))
    error_message = "A bucket's name has 3 to 57 small letters, digits, _ and -"
  }
}

variable "location" {
  description = "Where the buckets are: a region, or EU, US, ASIA."
  type        = string
}

variable "prefix" {
  description = "Where in the bucket this deployment keeps its state; several may share a bucket. Empty: all of it."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", var.prefix))
    error_message = "A prefix neither begins nor ends with a slash."
  }
}

variable "lock" {
  description = "How long nothing of the audit log's copy can be deleted or replaced, days. `locked`: nobody can shorten or lift it any more, this cannot be undone, and the bucket cannot be destroyed before."
  type = object({
    days   = optional(number, 365)
    locked = optional(bool, false)
  })
  default = {}

  validation {
    condition     = var.lock.days >= 1 && var.lock.days <= 3650 && floor(var.lock.days) == var.lock.days
    error_message = "A lock lasts 1 to 3650 whole days."
  }
}

variable "keep_versions_days" {
  description = "How long what state has replaced, and what was deleted, can be had again."
  type        = number
  default     = 90

  validation {
    condition     = var.keep_versions_days >= 7 && var.keep_versions_days <= 90
    error_message = "Cloud Storage keeps what was deleted for 7 to 90 days."
  }
}

variable "kms_key_name" {
  description = "A key of your own to encrypt with. Null: Google's."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the buckets."
  type        = map(string)
  default     = {}
}
