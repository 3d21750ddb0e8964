variable "name" {
  description = "The bucket's name, unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.name))
    error_message = "A bucket's name has 3 to 63 small letters, digits, . and -"
  }
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
  description = "How long no version of an object can be destroyed: GOVERNANCE, which an administrator of this account can lift, or COMPLIANCE, which nobody can, nor shorten it. S3 locks all objects of a bucket alike: what state replaces is kept as long, and paid for."
  type = object({
    mode = optional(string, "GOVERNANCE")
    days = optional(number, 365)
  })
  default = {}

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.lock.mode)
    error_message = "A lock is GOVERNANCE or COMPLIANCE."
  }

  validation {
    condition     = var.lock.days >= 1 && var.lock.days <= 3650 && floor(var.lock.days) == var.lock.days
    error_message = "A lock lasts 1 to 3650 whole days."
  }
}

variable "kms_key_arn" {
  description = "A key of your own to encrypt with. Null: S3's."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
}
