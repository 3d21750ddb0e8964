mock_provider "google" {
  mock_resource "google_project_iam_custom_role" {
    defaults = { id = "projects/mocked/roles/mocked" }
  }
}

variables {
  project  = "acme-finops"
  bucket   = "acme-sweeper"
  image    = "europe-west1-docker.pkg.dev/acme-finops/tools/sweeper:1.0.0"
  projects = ["acme-finops"]
}

run "default_reports_every_night" {
  command = apply

  assert {
    condition     = output.jobs == { nightly = "sweeper-nightly" } && output.state_url == "gs://acme-sweeper"
    error_message = "the job has its state"
  }
}
