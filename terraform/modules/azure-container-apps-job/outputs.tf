output "jobs" {
  description = "The job of each schedule."
  value       = { for name, job in azurerm_container_app_job.this : name => job.name }
}

output "scanner" {
  description = "The scanner's identity: its client id and its object id."
  value = {
    client_id    = azurerm_user_assigned_identity.scanner.client_id
    principal_id = azurerm_user_assigned_identity.scanner.principal_id
  }
}

output "state_url" {
  description = "SWEEPER_STATE, for whoever runs sweeper by hand."
  value       = local.url
}
