# Some subscriptions: a nightly report in Slack. It cannot change anything.

locals {
  policies = [for name in sort(fileset(path.module, "policies/*.toml")) : file("${path.module}/${name}")]
}

resource "azurerm_resource_group" "this" {
  name     = "sweeper"
  location = var.location
}

resource "azurerm_log_analytics_workspace" "this" {
  name                = "sweeper"
  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
  sku                 = "PerGB2018"
  retention_in_days   = 90
}

resource "azurerm_container_app_environment" "this" {
  name                       = "sweeper"
  resource_group_name        = azurerm_resource_group.this.name
  location                   = azurerm_resource_group.this.location
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id
  logs_destination           = "log-analytics"
}

module "state" {
  source = "../../modules/azure-state-bucket"

  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
  name                = var.storage_account
}

module "sweeper" {
  source = "../../modules/azure-container-apps-job"

  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
  environment_id      = azurerm_container_app_environment.this.id
  image               = var.image
  registry            = var.registry
  config              = file("${path.module}/sweeper.toml")
  policies            = length(local.policies) > 0 ? join("\n", local.policies) : null
  state               = module.state.state
  subscriptions       = var.subscriptions
  key_vault_id        = var.key_vault_id
  secrets             = { SLACK_WEBHOOK_URL = var.slack_secret }
}

output "jobs" {
  description = "The jobs: `az containerapp job start`."
  value       = module.sweeper.jobs
}

output "state_url" {
  description = "SWEEPER_STATE."
  value       = module.state.url
}
