variable "resource_group_name" {
  description = "The resource group of the storage account."
  type        = string
}

variable "location" {
  description = "Where the storage account is."
  type        = string
}

variable "name" {
  description = "The storage account's name, unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.name))
    error_message = "A storage account's name has 3 to 24 small letters and digits."
  }
}

variable "container" {
  description = "The container that state and the audit log lie in."
  type        = string
  default     = "sweeper"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{1,61})[a-z0-9]$", var.container))
    error_message = "A container's name has 3 to 63 small letters, digits and -"
  }
}

variable "prefix" {
  description = "Where in the container this deployment keeps its state; several may share it. Empty: all of it."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", var.prefix))
    error_message = "A prefix neither begins nor ends with a slash."
  }
}

variable "lock" {
  description = "How long no version of a blob can be destroyed, days. Unlocked: an administrator can shorten it; Locked: nobody can any more, this cannot be undone. Azure locks all blobs of the account alike: what state replaces is kept as long, and paid for."
  type = object({
    days  = optional(number, 365)
    state = optional(string, "Unlocked")
  })
  default = {}

  validation {
    condition     = contains(["Unlocked", "Locked"], var.lock.state)
    error_message = "A lock is Unlocked or Locked."
  }

  validation {
    condition     = var.lock.days >= 1 && var.lock.days <= 3650 && floor(var.lock.days) == var.lock.days
    error_message = "A lock lasts 1 to 3650 whole days."
  }
}

variable "replication" {
  description = "How many copies there are, and where."
  type        = string
  default     = "ZRS"

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"], var.replication)
    error_message = "Replication is LRS, ZRS, GRS, RAGRS, GZRS or RAGZRS."
  }
}

variable "tags" {
  description = "Tags of the storage account."
  type        = map(string)
  default     = {}
}
