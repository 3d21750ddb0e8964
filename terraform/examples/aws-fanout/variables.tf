variable "region" {
  description = "Where the tasks run."
  type        = string
  default     = "eu-west-1"
}

variable "bucket" {
  description = "What the bucket of state is to be called, unique in the world."
  type        = string
}

variable "image" {
  description = "Sweeper's image with sweeper.toml and policies in it."
  type        = string
}

variable "shards" {
  description = "How many tasks share the work."
  type        = number
  default     = 8
}

variable "subnets" {
  description = "Subnets from which the APIs of AWS are reached."
  type        = list(string)
}

variable "vpc" {
  description = "The network of the subnets."
  type        = string
}
