variable "subscription" {
  description = "The id of the subscription that the job runs in."
  type        = string
}

variable "location" {
  description = "Where the job runs."
  type        = string
  default     = "westeurope"
}

variable "storage_account" {
  description = "What the storage account of state is to be called, unique in the world."
  type        = string
}

variable "image" {
  description = "Sweeper's image."
  type        = string
}

variable "registry" {
  description = "The server and the id of the Azure Container Registry that the image lies in."
  type        = object({ server = string, id = string })
}

variable "subscriptions" {
  description = "The ids of the subscriptions to look at: those of sweeper.toml."
  type        = list(string)
}

variable "key_vault_id" {
  description = "The key vault that holds the URL of Slack's webhook."
  type        = string
}

variable "slack_secret" {
  description = "The id of that secret, without its version: https://VAULT.vault.azure.net/secrets/sweeper-slack-webhook"
  type        = string
}
