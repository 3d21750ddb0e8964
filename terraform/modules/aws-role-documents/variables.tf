variable "organization" {
  description = "Whether the identity lists the accounts of the organization and enters each by a role."
  type        = bool
  default     = false
}

variable "enter" {
  description = "ARNs, with wildcards, of the roles that the identity may enter. Without any, it enters none."
  type        = list(string)
  default     = []
}

variable "source_identity" {
  description = "Whether sessions of the identity carry a source identity, which is taken along into the roles that are entered."
  type        = bool
  default     = false
}

variable "regions" {
  description = "Regions that the deleter works in; in any other it is denied. Empty: in all."
  type        = list(string)
  default     = []
}

variable "spare_cloudformation" {
  description = "Whether the deleter is denied what a CloudFormation stack made."
  type        = bool
  default     = true
}
