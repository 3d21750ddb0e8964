output "state" {
  description = "What azure-container-apps-job wants to know: its variable `state`."
  value = {
    account      = azurerm_storage_account.this.name
    container    = azurerm_storage_container.this.name
    container_id = azurerm_storage_container.this.id
    prefix       = var.prefix
  }
}

output "url" {
  description = "SWEEPER_STATE, or `state` in sweeper.toml."
  value       = "az://${azurerm_storage_account.this.name}/${azurerm_storage_container.this.name}${var.prefix == "" ? "" : "/${var.prefix}"}"
}
