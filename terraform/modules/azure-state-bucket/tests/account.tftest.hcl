mock_provider "azurerm" {}

variables {
  resource_group_name = "sweeper"
  location            = "westeurope"
  name                = "acmesweeper"
}

run "default_is_closed_versioned_and_locked" {
  command = apply

  assert {
    condition = alltrue([
      azurerm_storage_account.this.https_traffic_only_enabled,
      azurerm_storage_account.this.min_tls_version == "TLS1_2",
      !azurerm_storage_account.this.shared_access_key_enabled,
      !azurerm_storage_account.this.allow_nested_items_to_be_public,
      azurerm_storage_container.this.container_access_type == "private",
    ])
    error_message = "nothing of it is public, and nobody has a key"
  }

  assert {
    condition = alltrue([
      azurerm_storage_account.this.blob_properties[0].versioning_enabled,
      azurerm_storage_account.this.immutability_policy[0].period_since_creation_in_days == 365,
      azurerm_storage_account.this.immutability_policy[0].state == "Unlocked",
      azurerm_storage_management_policy.this.rule[0].actions[0].version[0].delete_after_days_since_creation > 365,
    ])
    error_message = "every version is kept, and locked"
  }

  assert {
    condition     = output.url == "az://acmesweeper/sweeper"
    error_message = "the state is the container"
  }
}

run "capitals_are_no_account" {
  command = plan
  variables { name = "Acme-Sweeper" }
  expect_failures = [var.name]
}

run "a_lock_is_one_of_two" {
  command = plan
  variables { lock = { state = "Disabled" } }
  expect_failures = [var.lock]
}

run "a_prefix_has_no_slash_at_its_end" {
  command = plan
  variables { prefix = "prod/" }
  expect_failures = [var.prefix]
}
