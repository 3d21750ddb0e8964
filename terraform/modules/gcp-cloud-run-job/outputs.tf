output "jobs" {
  description = "The Cloud Run job of each schedule."
  value       = { for name, job in google_cloud_run_v2_job.this : name => job.name }
}

output "service_accounts" {
  description = "The service account of each identity that there is."
  value       = { for identity, account in google_service_account.this : identity => account.email }
}

output "state_url" {
  description = "SWEEPER_STATE, for whoever runs sweeper by hand."
  value       = local.url
}
