variable "region" {
  description = "Where the function runs."
  type        = string
  default     = "eu-west-1"
}

variable "bucket" {
  description = "What the bucket of state is to be called, unique in the world."
  type        = string
}

variable "external_id" {
  description = "What sweeper says when it enters an account: as in sweeper.toml."
  type        = string
}

variable "organizational_units" {
  description = "The organizational units whose accounts are looked at."
  type        = list(string)
}

variable "appliers" {
  description = "ARNs of the roles of people or of a pipeline that may run `sweeper apply`. Empty: nobody can delete."
  type        = list(string)
  default     = []
}

variable "slack_secret" {
  description = "The name of the secret in Secrets Manager that holds the URL of Slack's webhook."
  type        = string
  default     = "sweeper-slack-webhook"
}
