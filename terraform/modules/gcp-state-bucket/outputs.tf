output "state" {
  description = "What gcp-cloud-run-job wants to know: its variable `state`."
  value       = { bucket = google_storage_bucket.state.name, prefix = var.prefix }
}

output "url" {
  description = "SWEEPER_STATE, or `state` in sweeper.toml."
  value       = "gs://${google_storage_bucket.state.name}${var.prefix == "" ? "" : "/${var.prefix}"}"
}

output "audit_bucket" {
  description = "Where the copy of the audit log is locked."
  value       = google_storage_bucket.audit.name
}
