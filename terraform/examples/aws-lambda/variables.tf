variable "region" {
  description = "Where the function runs."
  type        = string
  default     = "eu-west-1"
}

variable "bucket" {
  description = "What the bucket of state is to be called, unique in the world."
  type        = string
}

variable "slack_secret" {
  description = "The name of the secret in Secrets Manager that holds the URL of Slack's webhook."
  type        = string
  default     = "sweeper-slack-webhook"
}
