mock_provider "google" {
  mock_resource "google_project_iam_custom_role" {
    defaults = { id = "projects/mocked/roles/mocked" }
  }
  mock_resource "google_organization_iam_custom_role" {
    defaults = { id = "organizations/1/roles/mocked" }
  }
  mock_resource "google_service_account" {
    defaults = { email = "mocked@acme-finops.iam.gserviceaccount.com", name = "projects/acme-finops/serviceAccounts/mocked" }
  }
}

variables {
  project = "acme-finops"
  region  = "europe-west1"
  image   = "europe-west1-docker.pkg.dev/acme-finops/tools/sweeper:1.0.0"
  config  = "deployment = \"prod\"\n"
  state   = { bucket = "acme-sweeper" }
}

run "default_cannot_delete" {
  command = apply

  assert {
    condition     = keys(google_service_account.this) == ["scanner"]
    error_message = "by default there is the scanner, and nobody else"
  }

  assert {
    condition = alltrue([
      keys(google_project_iam_custom_role.this) == ["read/acme-finops"],
      google_project_iam_custom_role.this["read/acme-finops"].permissions == toset(jsondecode(file("../../permissions/gcp-read.json")).includedPermissions),
    ])
    error_message = "the scanner has exactly what the binary says"
  }

  assert {
    condition = length(setintersection(
      flatten([for role in concat(values(google_project_iam_custom_role.this), values(google_organization_iam_custom_role.this)) : role.permissions]),
      setsubtract(
        flatten([for file in ["gcp-delete.json", "gcp-mark.json"] : jsondecode(file("../../permissions/${file}")).includedPermissions]),
        jsondecode(file("../../permissions/gcp-read.json")).includedPermissions,
      ),
    )) == 0
    error_message = "the default deployment holds a permission of the deleter's or the marker's"
  }

  assert {
    condition     = length(google_service_account_iam_member.this) == 0
    error_message = "nobody acts as anybody"
  }
}

run "default_runs_once" {
  command = apply

  variables {
    secrets = { SLACK_WEBHOOK_URL = "sweeper-slack-webhook" }
  }

  assert {
    condition = alltrue([
      google_cloud_run_v2_job.this["nightly"].template[0].template[0].max_retries == 0,
      google_cloud_run_v2_job.this["nightly"].template[0].task_count == 1,
      google_cloud_scheduler_job.this["nightly"].retry_config[0].retry_count == 0,
      google_cloud_run_v2_job.this["nightly"].template[0].template[0].containers[0].args == tolist(["job", "nightly"]),
      endswith(google_cloud_scheduler_job.this["nightly"].http_target[0].uri, "/projects/acme-finops/locations/europe-west1/jobs/sweeper-nightly:run"),
    ])
    error_message = "one run at a time, and no blind retries"
  }

  assert {
    condition = {
      for one in google_cloud_run_v2_job.this["nightly"].template[0].template[0].containers[0].env : one.name => one.value if length(one.value_source) == 0
      } == {
      SWEEPER_STATE        = "gs://acme-sweeper"
      SWEEPER_CONFIG       = "/etc/sweeper/config/sweeper.toml"
      SWEEPER_DEADLINE     = "7140"
      GOOGLE_CLOUD_PROJECT = "acme-finops"
    }
    error_message = "the job knows its state and config"
  }

  # The secret's name is in the plan, and its value nowhere.
  assert {
    condition = {
      for one in google_cloud_run_v2_job.this["nightly"].template[0].template[0].containers[0].env :
      one.name => one.value_source[0].secret_key_ref[0].secret if length(one.value_source) > 0
    } == { SLACK_WEBHOOK_URL = "sweeper-slack-webhook" }
    error_message = "the webhook comes from Secret Manager"
  }

  assert {
    condition     = keys(google_secret_manager_secret_iam_member.this) == ["SLACK_WEBHOOK_URL", "config"]
    error_message = "the scanner reads these secrets and no others"
  }

  assert {
    condition = (
      google_storage_bucket_iam_member.replace["scanner"].condition[0].expression ==
      "resource.name.startsWith(\"projects/_/buckets/acme-sweeper/objects/\") && (!resource.name.startsWith(\"projects/_/buckets/acme-sweeper/objects/audit/\") || resource.name.endsWith(\"/latest\"))"
    )
    error_message = "what writes the log cannot take it back"
  }
}

run "default_with_policies" {
  command = apply

  variables {
    policies = "[[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\n"
  }

  assert {
    condition = alltrue([
      google_cloud_run_v2_job.this["nightly"].template[0].template[0].containers[0].args == tolist(["job", "nightly", "--policies", "/etc/sweeper/policies/policies.toml"]),
      {
        for one in google_cloud_run_v2_job.this["nightly"].template[0].template[0].containers[0].volume_mounts : one.name => one.mount_path
      } == { config = "/etc/sweeper/config", policies = "/etc/sweeper/policies" },
      google_secret_manager_secret_version.file["policies"].secret_data == var.policies,
    ])
    error_message = "the job has the policies as a file"
  }
}

run "default_of_a_folder" {
  command = apply

  variables {
    parent = { organization = "123456789012", folder = "42" }
  }

  assert {
    condition = alltrue([
      keys(google_organization_iam_custom_role.this) == ["read"],
      google_organization_iam_custom_role.this["read"].permissions == toset(jsondecode(file("../../permissions/gcp-read-all.json")).includedPermissions),
      keys(google_folder_iam_member.this) == ["scanner/read"],
      google_folder_iam_member.this["scanner/read"].folder == "folders/42",
      length(google_organization_iam_member.this) == 0,
      length(google_project_iam_custom_role.this) == 0,
    ])
    error_message = "the scanner reads the folder, and not the organization"
  }
}

run "default_of_projects" {
  command = apply

  variables {
    projects = ["shop-prod", "shop-dev"]
  }

  assert {
    condition     = keys(google_project_iam_member.this) == ["scanner/read/shop-dev", "scanner/read/shop-prod"]
    error_message = "the scanner reads these projects, and not its own"
  }
}

run "deleter_when_enabled_has_the_generated_permissions" {
  command = apply

  variables {
    projects = ["shop-dev"]
    deleter  = { enabled = true, principals = ["group:platform@example.com"], until = "2027-01-31T00:00:00Z" }
  }

  assert {
    condition     = google_project_iam_custom_role.this["delete/shop-dev"].permissions == toset(jsondecode(file("../../permissions/gcp-delete.json")).includedPermissions)
    error_message = "the deleter has exactly what the binary says"
  }

  assert {
    condition     = keys(google_project_iam_member.this) == ["deleter/delete/shop-dev", "deleter/read/shop-dev", "scanner/read/shop-dev"]
    error_message = "the deleter reads and deletes, and the scanner gains nothing"
  }

  assert {
    condition = alltrue([
      google_project_iam_member.this["deleter/delete/shop-dev"].condition[0].expression == "request.time < timestamp(\"2027-01-31T00:00:00Z\")",
      length(google_project_iam_member.this["scanner/read/shop-dev"].condition) == 0,
      keys(google_service_account_iam_member.this) == ["deleter/group:platform@example.com"],
    ])
    error_message = "the right ends, and one group has it"
  }
}

run "marker_when_enabled_cannot_delete" {
  command = apply

  variables {
    parent = { organization = "123456789012" }
    marker = { enabled = true, principals = ["user:ada@example.com"] }
  }

  assert {
    condition = alltrue([
      google_organization_iam_custom_role.this["mark"].permissions == toset(jsondecode(file("../../permissions/gcp-mark.json")).includedPermissions),
      keys(google_organization_iam_member.this) == ["marker/mark", "marker/read", "scanner/read"],
    ])
    error_message = "the marker has exactly what the binary says, and does not delete"
  }
}

run "latest_is_no_image" {
  command = plan
  variables { image = "europe-west1-docker.pkg.dev/acme-finops/tools/sweeper:latest" }
  expect_failures = [var.image]
}

run "a_schedule_has_five_fields" {
  command = plan
  variables { schedules = { nightly = { cron = "cron(0 4 * * ? *)" } } }
  expect_failures = [var.schedules]
}

run "all_users_are_no_principal" {
  command = plan
  variables { deleter = { enabled = true, principals = ["allUsers"] } }
  expect_failures = [var.deleter]
}

run "a_deleter_needs_principals" {
  command = plan
  variables { deleter = { enabled = true } }
  expect_failures = [var.deleter]
}

run "until_is_an_instant" {
  command = plan
  variables { deleter = { enabled = true, principals = ["user:ada@example.com"], until = "next year" } }
  expect_failures = [var.deleter]
}

run "a_secret_is_named_and_not_given" {
  command = plan
  variables { secrets = { SLACK_WEBHOOK_URL = "https://hooks.slack.com/services/T/B/x" } }
  expect_failures = [var.secrets]
}

run "an_organization_is_a_number" {
  command = plan
  variables { parent = { organization = "example.com" } }
  expect_failures = [var.parent]
}

run "a_config_is_a_text" {
  command = plan
  variables { config = "  " }
  expect_failures = [var.config]
}
