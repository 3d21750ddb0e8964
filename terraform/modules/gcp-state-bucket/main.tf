# The bucket of state and of the audit log, <prefix>/ and <prefix>/audit/. Cloud Storage locks whole buckets, and state
# must be replaced; so the log is copied every day into a bucket that is locked, where nothing is ever replaced. What
# writes the log may not replace or delete it here either: gcp-cloud-run-job binds it so.

locals {
  audit = var.prefix == "" ? "audit/" : "${var.prefix}/audit/"
  day   = 24 * 60 * 60
}

resource "google_storage_bucket" "state" {
  project                     = var.project
  name                        = var.name
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = var.labels

  versioning {
    enabled = true
  }

  # Whoever may delete, may delete versions as well; not these.
  soft_delete_policy {
    retention_duration_seconds = var.keep_versions_days * local.day
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.keep_versions_days
      with_state                 = "ARCHIVED"
    }
  }

  dynamic "encryption" {
    for_each = compact([var.kms_key_name])
    content {
      default_kms_key_name = encryption.value
    }
  }
}

resource "google_storage_bucket" "audit" {
  project                     = var.project
  name                        = "${var.name}-audit"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = var.labels

  retention_policy {
    retention_period = var.lock.days * local.day
    is_locked        = var.lock.locked
  }

  dynamic "encryption" {
    for_each = compact([var.kms_key_name])
    content {
      default_kms_key_name = encryption.value
    }
  }
}

data "google_storage_transfer_project_service_account" "this" {
  project = var.project
}

resource "google_storage_bucket_iam_member" "source" {
  for_each = toset(["roles/storage.objectViewer", "roles/storage.legacyBucketReader"])

  bucket = google_storage_bucket.state.name
  role   = each.value
  member = "serviceAccount:${data.google_storage_transfer_project_service_account.this.email}"
}

resource "google_storage_bucket_iam_member" "sink" {
  for_each = toset(["roles/storage.objectViewer", "roles/storage.legacyBucketWriter"])

  bucket = google_storage_bucket.audit.name
  role   = each.value
  member = "serviceAccount:${data.google_storage_transfer_project_service_account.this.email}"
}

resource "google_storage_transfer_job" "audit" {
  project     = var.project
  description = "sweeper: the audit log of ${var.name}, to where it is locked"

  transfer_spec {
    gcs_data_source {
      bucket_name = google_storage_bucket.state.name
    }
    gcs_data_sink {
      bucket_name = google_storage_bucket.audit.name
    }
    object_conditions {
      include_prefixes = [local.audit]
    }
    transfer_options {
      overwrite_when                            = "NEVER"
      delete_objects_unique_in_sink             = false
      delete_objects_from_source_after_transfer = false
    }
  }

  # A date that has passed means from now on.
  schedule {
    schedule_start_date {
      year  = 2026
      month = 1
      day   = 1
    }
    start_time_of_day {
      hours   = 23
      minutes = 30
      seconds = 0
      nanos   = 0
    }
  }

  depends_on = [google_storage_bucket_iam_member.source, google_storage_bucket_iam_member.sink]
}
