# Sweeper as a Cloud Run job that Cloud Scheduler starts. The job is the scanner. The marker and the deleter are service
# accounts that people or a pipeline act as to run `sweeper apply`, and are there only where they are enabled: otherwise
# nothing here could change a thing.

locals {
  folder = "${path.module}/../../permissions"
  # What the binary wrote; nothing of it is written here.
  generated = {
    read   = jsondecode(file("${local.folder}/${var.parent == null ? "gcp-read" : "gcp-read-all"}.json"))
    mark   = jsondecode(file("${local.folder}/gcp-mark.json"))
    delete = jsondecode(file("${local.folder}/gcp-delete.json"))
  }

  people     = { for identity, wanted in { marker = var.marker, deleter = var.deleter } : identity => wanted if wanted.enabled }
  identities = toset(concat(["scanner"], keys(local.people)))
  # Whoever marks or deletes looks first.
  holds = {
    scanner = ["read"]
    marker  = ["read", "mark"]
    deleter = ["read", "delete"]
  }
  whats    = toset(flatten([for identity in local.identities : local.holds[identity]]))
  projects = var.parent != null ? toset([]) : toset(length(var.projects) > 0 ? var.projects : [var.project])

  # Identity, what it does, and the project that it does it in.
  bindings = merge([
    for identity in local.identities : {
      for pair in setproduct(local.holds[identity], local.projects) :
      "${identity}/${pair[0]}/${pair[1]}" => { identity = identity, what = pair[0], project = pair[1] }
    }
  ]...)
  bindings_above = var.parent == null ? {} : merge([
    for identity in local.identities : {
      for what in local.holds[identity] : "${identity}/${what}" => { identity = identity, what = what }
    }
  ]...)
  until = { for identity in ["deleter"] : identity => var.deleter.until if var.deleter.until != null }

  role_id = replace(var.name, "-", "_")
  url     = "gs://${var.state.bucket}${var.state.prefix == "" ? "" : "/${var.state.prefix}"}"
  # What the job finds as files, and where.
  files = merge(
    { config = { text = var.config, directory = "/etc/sweeper/config", name = "sweeper.toml" } },
    var.policies == null ? {} : { policies = { text = var.policies, directory = "/etc/sweeper/policies", name = "policies.toml" } },
  )
  policies = var.policies == null ? [] : ["--policies", "/etc/sweeper/policies/policies.toml"]
  objects  = "projects/_/buckets/${var.state.bucket}/objects/${var.state.prefix == "" ? "" : "${var.state.prefix}/"}"
}

resource "google_service_account" "this" {
  for_each = local.identities

  project      = var.project
  account_id   = "${var.name}-${each.key}"
  display_name = "sweeper: the ${each.key}"
}

# What sweeper may do to the cloud: in each project, or once above them all.
resource "google_project_iam_custom_role" "this" {
  for_each = {
    for pair in setproduct(local.whats, local.projects) : "${pair[0]}/${pair[1]}" => { what = pair[0], project = pair[1] }
  }

  project     = each.value.project
  role_id     = "${local.role_id}_${each.value.what}"
  title       = local.generated[each.value.what].title
  description = local.generated[each.value.what].description
  stage       = local.generated[each.value.what].stage
  permissions = local.generated[each.value.what].includedPermissions
}

resource "google_project_iam_member" "this" {
  for_each = local.bindings

  project = each.value.project
  role    = google_project_iam_custom_role.this["${each.value.what}/${each.value.project}"].id
  member  = "serviceAccount:${google_service_account.this[each.value.identity].email}"

  dynamic "condition" {
    for_each = compact([lookup(local.until, each.value.identity, null)])
    content {
      title      = "until"
      expression = "request.time < timestamp(\"${condition.value}\")"
    }
  }
}

resource "google_organization_iam_custom_role" "this" {
  for_each = var.parent == null ? toset([]) : local.whats

  org_id      = var.parent.organization
  role_id     = "${local.role_id}_${each.key}"
  title       = local.generated[each.key].title
  description = local.generated[each.key].description
  stage       = local.generated[each.key].stage
  permissions = local.generated[each.key].includedPermissions
}

resource "google_organization_iam_member" "this" {
  for_each = try(var.parent.folder, null) == null ? local.bindings_above : {}

  org_id = var.parent.organization
  role   = google_organization_iam_custom_role.this[each.value.what].id
  member = "serviceAccount:${google_service_account.this[each.value.identity].email}"

  dynamic "condition" {
    for_each = compact([lookup(local.until, each.value.identity, null)])
    content {
      title      = "until"
      expression = "request.time < timestamp(\"${condition.value}\")"
    }
  }
}

resource "google_folder_iam_member" "this" {
  for_each = try(var.parent.folder, null) == null ? {} : local.bindings_above

  folder = "folders/${var.parent.folder}"
  role   = google_organization_iam_custom_role.this[each.value.what].id
  member = "serviceAccount:${google_service_account.this[each.value.identity].email}"

  dynamic "condition" {
    for_each = compact([lookup(local.until, each.value.identity, null)])
    content {
      title      = "until"
      expression = "request.time < timestamp(\"${condition.value}\")"
    }
  }
}

# Who acts as the marker and the deleter.
resource "google_service_account_iam_member" "this" {
  for_each = merge([
    for identity, wanted in local.people : {
      for member in wanted.principals : "${identity}/${member}" => { identity = identity, member = member }
    }
  ]...)

  service_account_id = google_service_account.this[each.value.identity].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value.member
}

# State: everything is read and may be added to; what is there may be replaced and deleted, but for the audit log, of
# which only the newest head is replaced.
resource "google_storage_bucket_iam_member" "add" {
  for_each = {
    for pair in setproduct(local.identities, ["roles/storage.objectViewer", "roles/storage.objectCreator"]) :
    "${pair[0]}/${pair[1]}" => { identity = pair[0], role = pair[1] }
  }

  bucket = var.state.bucket
  role   = each.value.role
  member = "serviceAccount:${google_service_account.this[each.value.identity].email}"
}

resource "google_storage_bucket_iam_member" "replace" {
  for_each = local.identities

  bucket = var.state.bucket
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${google_service_account.this[each.key].email}"

  condition {
    title      = "audit_stays"
    expression = "resource.name.startsWith(\"${local.objects}\") && (!resource.name.startsWith(\"${local.objects}audit/\") || resource.name.endsWith(\"/latest\"))"
  }
}

# Config and policies are no secrets: this is how a job has files.
resource "google_secret_manager_secret" "file" {
  for_each = local.files

  project   = var.project
  secret_id = "${var.name}-${each.key}"
  labels    = var.labels

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "file" {
  for_each = local.files

  secret      = google_secret_manager_secret.file[each.key].id
  secret_data = each.value.text
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = merge({ for what, secret in google_secret_manager_secret.file : what => secret.secret_id }, var.secrets)

  project   = var.project
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${google_service_account.this["scanner"].email}"
}

resource "google_cloud_run_v2_job" "this" {
  for_each = var.schedules

  project             = var.project
  location            = var.region
  name                = "${var.name}-${each.key}"
  deletion_protection = false
  labels              = var.labels

  template {
    task_count  = 1
    parallelism = 1

    template {
      service_account = google_service_account.this["scanner"].email
      timeout         = "${var.timeout}s"
      # A run that failed is not run again: the next one of the schedule is the retry.
      max_retries = 0

      containers {
        image = var.image
        args  = concat(["job", each.key], local.policies)

        env {
          name  = "SWEEPER_STATE"
          value = local.url
        }
        env {
          name  = "SWEEPER_CONFIG"
          value = "/etc/sweeper/config/sweeper.toml"
        }
        env {
          name  = "SWEEPER_DEADLINE"
          value = tostring(var.timeout - 60)
        }
        env {
          name  = "GOOGLE_CLOUD_PROJECT"
          value = var.project
        }
        dynamic "env" {
          for_each = var.environment
          content {
            name  = env.key
            value = env.value
          }
        }
        dynamic "env" {
          for_each = var.secrets
          content {
            name = env.key
            value_source {
              secret_key_ref {
                secret  = env.value
                version = "latest"
              }
            }
          }
        }

        resources {
          limits = { cpu = var.cpu, memory = var.memory }
        }

        dynamic "volume_mounts" {
          for_each = local.files
          content {
            name       = volume_mounts.key
            mount_path = volume_mounts.value.directory
          }
        }
      }

      dynamic "volumes" {
        for_each = local.files
        content {
          name = volumes.key
          secret {
            secret = google_secret_manager_secret.file[volumes.key].secret_id
            items {
              path    = volumes.value.name
              version = google_secret_manager_secret_version.file[volumes.key].version
            }
          }
        }
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.this]
}

resource "google_service_account" "scheduler" {
  project      = var.project
  account_id   = "${var.name}-scheduler"
  display_name = "sweeper: starts the jobs"
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  for_each = google_cloud_run_v2_job.this

  project  = var.project
  location = var.region
  name     = each.value.name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${google_service_account.scheduler.email}"
}

resource "google_cloud_scheduler_job" "this" {
  for_each = var.schedules

  project     = var.project
  region      = var.region
  name        = "${var.name}-${each.key}"
  description = "sweeper: ${each.key}"
  schedule    = each.value.cron
  time_zone   = each.value.timezone

  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/projects/${var.project}/locations/${var.region}/jobs/${google_cloud_run_v2_job.this[each.key].name}:run"

    oauth_token {
      service_account_email = google_service_account.scheduler.email
    }
  }

  depends_on = [google_cloud_run_v2_job_iam_member.scheduler]
}
