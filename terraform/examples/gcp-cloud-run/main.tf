# Some projects: a nightly report in Slack. It cannot change anything.

locals {
  policies = [for name in sort(fileset(path.module, "policies/*.toml")) : file("${path.module}/${name}")]
}

resource "google_project_service" "this" {
  for_each = toset(["cloudscheduler", "run", "secretmanager", "storage", "storagetransfer"])

  project            = var.project
  service            = "${each.value}.googleapis.com"
  disable_on_destroy = false
}

module "state" {
  source = "../../modules/gcp-state-bucket"

  project  = var.project
  name     = var.bucket
  location = var.region

  depends_on = [google_project_service.this]
}

module "sweeper" {
  source = "../../modules/gcp-cloud-run-job"

  project  = var.project
  region   = var.region
  image    = var.image
  config   = file("${path.module}/sweeper.toml")
  policies = length(local.policies) > 0 ? join("\n", local.policies) : null
  state    = module.state.state
  projects = var.projects
  secrets  = { SLACK_WEBHOOK_URL = var.slack_secret }

  depends_on = [google_project_service.this]
}

output "jobs" {
  description = "The jobs: `gcloud run jobs execute`."
  value       = module.sweeper.jobs
}

output "state_url" {
  description = "SWEEPER_STATE."
  value       = module.state.url
}
