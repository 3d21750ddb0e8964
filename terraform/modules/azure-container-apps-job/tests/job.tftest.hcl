mock_provider "azurerm" {}

variables {
  resource_group_name = "sweeper"
  location            = "westeurope"
  environment_id      = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/sweeper/providers/Microsoft.App/managedEnvironments/sweeper"
  image               = "acme.azurecr.io/sweeper:1.0.0"
  config              = "deployment = \"prod\"\n"
  subscriptions       = ["11111111-1111-1111-1111-111111111111"]
  state = {
    account      = "acmesweeper"
    container    = "sweeper"
    container_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/sweeper/providers/Microsoft.Storage/storageAccounts/acmesweeper/blobServices/default/containers/sweeper"
  }
}

run "default_cannot_delete" {
  command = apply

  assert {
    condition = alltrue([
      keys(azurerm_role_definition.this) == ["read"],
      azurerm_role_definition.this["read"].permissions[0].actions == tolist(jsondecode(file("../../permissions/azure-read.json")).Actions),
      azurerm_role_definition.this["read"].permissions[0].data_actions == toset(jsondecode(file("../../permissions/azure-read.json")).DataActions),
    ])
    error_message = "the scanner has exactly what the binary says"
  }

  assert {
    condition = length(setintersection(
      flatten([for role in values(azurerm_role_definition.this) : concat(role.permissions[0].actions, tolist(role.permissions[0].data_actions))]),
      flatten([for file in ["azure-delete.json", "azure-mark.json"] : [
        for action in jsondecode(file("../../permissions/${file}")).Actions : action
        if !contains(jsondecode(file("../../permissions/azure-read.json")).Actions, action)
      ]]),
    )) == 0
    error_message = "the default deployment holds an action of the deleter's or the marker's"
  }

  assert {
    condition     = alltrue([for one in values(azurerm_role_assignment.this) : one.principal_id == azurerm_user_assigned_identity.scanner.principal_id])
    error_message = "nobody but the scanner has a role"
  }

  assert {
    condition     = keys(azurerm_role_assignment.this) == ["scanner|read|/subscriptions/11111111-1111-1111-1111-111111111111"]
    error_message = "the scanner reads the subscription, and nothing else"
  }
}

run "default_runs_once" {
  command = apply

  variables {
    key_vault_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/sweeper/providers/Microsoft.KeyVault/vaults/acme"
    secrets      = { SLACK_WEBHOOK_URL = "https://acme.vault.azure.net/secrets/sweeper-slack-webhook" }
    registry     = { server = "acme.azurecr.io", id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/sweeper/providers/Microsoft.ContainerRegistry/registries/acme" }
  }

  assert {
    condition = alltrue([
      azurerm_container_app_job.this["nightly"].replica_retry_limit == 0,
      azurerm_container_app_job.this["nightly"].schedule_trigger_config[0].parallelism == 1,
      azurerm_container_app_job.this["nightly"].template[0].container[0].args == tolist(["job", "nightly"]),
    ])
    error_message = "one run at a time, and no blind retries"
  }

  assert {
    condition = {
      for one in azurerm_container_app_job.this["nightly"].template[0].container[0].env : one.name => one.secret_name == null ? one.value : one.secret_name
      } == {
      SWEEPER_STATE     = "az://acmesweeper/sweeper"
      SWEEPER_CONFIG    = "/etc/sweeper/sweeper-config"
      SWEEPER_DEADLINE  = "7140"
      AZURE_CLIENT_ID   = azurerm_user_assigned_identity.scanner.client_id
      SLACK_WEBHOOK_URL = "slack-webhook-url"
    }
    error_message = "the job knows its state, config and identity, and the webhook by its secret's name"
  }

  assert {
    condition = { for one in azurerm_container_app_job.this["nightly"].secret : one.name => one.key_vault_secret_id if one.key_vault_secret_id != null } == {
      "slack-webhook-url" = "https://acme.vault.azure.net/secrets/sweeper-slack-webhook"
    }
    error_message = "the webhook comes from the key vault"
  }

  assert {
    condition = alltrue([
      azurerm_role_assignment.image["registry"].role_definition_name == "AcrPull",
      azurerm_role_assignment.secrets["vault"].role_definition_name == "Key Vault Secrets User",
      azurerm_role_assignment.state["scanner"].scope == var.state.container_id,
    ])
    error_message = "each thing of the deployment's own by its name"
  }
}

run "default_with_policies" {
  command = apply

  variables {
    policies = "[[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\n"
  }

  assert {
    condition = alltrue([
      azurerm_container_app_job.this["nightly"].template[0].container[0].args == tolist(["job", "nightly", "--policies", "/etc/sweeper/sweeper-policies"]),
      { for one in azurerm_container_app_job.this["nightly"].secret : one.name => one.value } == { "sweeper-config" = var.config, "sweeper-policies" = var.policies },
    ])
    error_message = "the job has the policies as a file"
  }
}

run "default_of_a_management_group" {
  command = apply

  variables {
    subscriptions      = []
    management_group   = "platform"
    data_subscriptions = ["22222222-2222-2222-2222-222222222222"]
  }

  assert {
    condition = keys(azurerm_role_assignment.this) == [
      "scanner|read-data|/subscriptions/22222222-2222-2222-2222-222222222222",
      "scanner|read|/providers/Microsoft.Management/managementGroups/platform",
    ]
    error_message = "data are read where Azure takes it, all else at the group"
  }

  assert {
    condition     = length(azurerm_role_definition.this["read"].permissions[0].data_actions) == 0 && length(azurerm_role_definition.this["read-data"].permissions[0].actions) == 0
    error_message = "Azure takes no data at a management group"
  }
}

run "deleter_when_enabled_has_the_generated_permissions" {
  command = apply

  variables {
    deleter = { enabled = true, principals = ["33333333-3333-3333-3333-333333333333"] }
  }

  assert {
    condition     = azurerm_role_definition.this["delete"].permissions[0].actions == tolist(jsondecode(file("../../permissions/azure-delete.json")).Actions)
    error_message = "the deleter has exactly what the binary says"
  }

  assert {
    condition = {
      for name, one in azurerm_role_assignment.this : name => one.principal_id if one.principal_id != azurerm_user_assigned_identity.scanner.principal_id
      } == {
      "deleter|delete|/subscriptions/11111111-1111-1111-1111-111111111111|33333333-3333-3333-3333-333333333333" = "33333333-3333-3333-3333-333333333333"
      "deleter|read|/subscriptions/11111111-1111-1111-1111-111111111111|33333333-3333-3333-3333-333333333333"   = "33333333-3333-3333-3333-333333333333"
    }
    error_message = "the deleter reads and deletes"
  }

  assert {
    condition = [
      for name, one in azurerm_role_assignment.this : name if one.principal_id == azurerm_user_assigned_identity.scanner.principal_id
    ] == ["scanner|read|/subscriptions/11111111-1111-1111-1111-111111111111"]
    error_message = "the scanner gains nothing"
  }
}

run "marker_when_enabled_cannot_delete" {
  command = apply

  variables {
    marker = { enabled = true, principals = ["33333333-3333-3333-3333-333333333333"] }
  }

  assert {
    condition     = keys(azurerm_role_definition.this) == ["mark", "read"] && azurerm_role_definition.this["mark"].permissions[0].actions == tolist(jsondecode(file("../../permissions/azure-mark.json")).Actions)
    error_message = "the marker has exactly what the binary says"
  }
}

run "subscriptions_or_a_group" {
  command = plan
  variables { management_group = "platform" }
  expect_failures = [var.subscriptions]
}

run "somewhere_is_looked" {
  command = plan
  variables { subscriptions = [] }
  expect_failures = [var.subscriptions]
}

run "a_secret_is_named_and_not_given" {
  command = plan
  variables {
    key_vault_id = "vault"
    secrets      = { SLACK_WEBHOOK_URL = "https://hooks.slack.com/services/T/B/x" }
  }
  expect_failures = [var.secrets]
}

run "secrets_lie_in_a_vault" {
  command = plan
  variables { secrets = { SLACK_WEBHOOK_URL = "https://acme.vault.azure.net/secrets/sweeper-slack-webhook" } }
  expect_failures = [var.secrets]
}

run "a_mail_address_is_no_principal" {
  command = plan
  variables { deleter = { enabled = true, principals = ["ada@example.com"] } }
  expect_failures = [var.deleter]
}

run "a_deleter_needs_principals" {
  command = plan
  variables { deleter = { enabled = true } }
  expect_failures = [var.deleter]
}

run "latest_is_no_image" {
  command = plan
  variables { image = "acme.azurecr.io/sweeper:latest" }
  expect_failures = [var.image]
}

run "processors_are_what_there_is" {
  command = plan
  variables { cpu = 8 }
  expect_failures = [var.cpu]
}
