mock_provider "google" {
  mock_data "google_storage_transfer_project_service_account" {
    defaults = { email = "project-1@storage-transfer-service.iam.gserviceaccount.com" }
  }
}

variables {
  project  = "acme-finops"
  name     = "acme-sweeper"
  location = "europe-west1"
}

run "default_is_closed_versioned_and_locked" {
  command = apply

  assert {
    condition = alltrue([
      for bucket in [google_storage_bucket.state, google_storage_bucket.audit] :
      bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access && !bucket.force_destroy
    ])
    error_message = "nothing of them is public, and neither goes while something is in it"
  }

  assert {
    condition     = google_storage_bucket.state.versioning[0].enabled && google_storage_bucket.state.soft_delete_policy[0].retention_duration_seconds == 7776000
    error_message = "what state replaces can be had again"
  }

  # State is replaced again and again: a bucket that locks would stop it.
  assert {
    condition     = length(google_storage_bucket.state.retention_policy) == 0
    error_message = "state can be replaced"
  }

  assert {
    condition = alltrue([
      google_storage_bucket.audit.retention_policy[0].retention_period == 365 * 86400,
      !google_storage_bucket.audit.retention_policy[0].is_locked,
    ])
    error_message = "nothing of the log's copy goes for a year"
  }

  assert {
    condition = alltrue([
      google_storage_transfer_job.audit.transfer_spec[0].object_conditions[0].include_prefixes == tolist(["audit/"]),
      google_storage_transfer_job.audit.transfer_spec[0].transfer_options[0].overwrite_when == "NEVER",
      !google_storage_transfer_job.audit.transfer_spec[0].transfer_options[0].delete_objects_from_source_after_transfer,
      google_storage_transfer_job.audit.transfer_spec[0].gcs_data_sink[0].bucket_name == "acme-sweeper-audit",
    ])
    error_message = "the log is copied, and nothing else is touched"
  }
}

run "default_below_a_prefix" {
  command = apply

  variables { prefix = "prod/eu" }

  assert {
    condition     = output.url == "gs://acme-sweeper/prod/eu" && google_storage_transfer_job.audit.transfer_spec[0].object_conditions[0].include_prefixes == tolist(["prod/eu/audit/"])
    error_message = "the log is below the prefix"
  }
}

run "a_prefix_has_no_slash_at_its_end" {
  command = plan
  variables { prefix = "prod/" }
  expect_failures = [var.prefix]
}

run "a_lock_lasts" {
  command = plan
  variables { lock = { days = 0.5 } }
  expect_failures = [var.lock]
}

run "versions_are_kept_as_long_as_google_can" {
  command = plan
  variables { keep_versions_days = 365 }
  expect_failures = [var.keep_versions_days]
}

run "capitals_are_no_bucket" {
  command = plan
  variables { name = "Acme" }
  expect_failures = [var.name]
}
