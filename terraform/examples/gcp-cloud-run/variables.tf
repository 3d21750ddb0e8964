variable "project" {
  description = "The project that the job runs in."
  type        = string
}

variable "region" {
  description = "Where the job runs."
  type        = string
  default     = "europe-west1"
}

variable "bucket" {
  description = "What the bucket of state is to be called, unique in the world."
  type        = string
}

variable "image" {
  description = "Sweeper's image."
  type        = string
}

variable "projects" {
  description = "The projects to look at: those of sweeper.toml."
  type        = list(string)
}

variable "slack_secret" {
  description = "The name of the secret in Secret Manager that holds the URL of Slack's webhook."
  type        = string
  default     = "sweeper-slack-webhook"
}
