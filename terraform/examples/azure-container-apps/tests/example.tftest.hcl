mock_provider "azurerm" {}

variables {
  subscription    = "00000000-0000-0000-0000-000000000001"
  storage_account = "acmesweeper"
  image           = "acme.azurecr.io/sweeper:1.0.0"
  registry        = { server = "acme.azurecr.io", id = "registry" }
  subscriptions   = ["11111111-1111-1111-1111-111111111111"]
  key_vault_id    = "vault"
  slack_secret    = "https://acme.vault.azure.net/secrets/sweeper-slack-webhook"
}

run "default_reports_every_night" {
  command = apply

  assert {
    condition     = output.jobs == { nightly = "sweeper-nightly" } && output.state_url == "az://acmesweeper/sweeper"
    error_message = "the job has its state"
  }
}
