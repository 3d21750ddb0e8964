# The storage account of state and of the audit log, <prefix>/ and <prefix>/audit/ of one container. State is replaced
# again and again; every version of every blob is locked for a time, so what was there can be shown whatever is done to
# it. Keys and anonymous access are off: whoever reads or writes has a role.

resource "azurerm_storage_account" "this" {
  name                     = var.name
  resource_group_name      = var.resource_group_name
  location                 = var.location
  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = var.replication
  tags                     = var.tags

  https_traffic_only_enabled      = true
  min_tls_version                 = "TLS1_2"
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  allow_nested_items_to_be_public = false
  local_user_enabled              = false

  blob_properties {
    versioning_enabled = true

    container_delete_retention_policy {
      days = 90
    }
  }

  # Of each version, so that the newest can be replaced by another.
  immutability_policy {
    period_since_creation_in_days = var.lock.days
    state                         = var.lock.state
    allow_protected_append_writes = false
  }
}

resource "azurerm_storage_container" "this" {
  name                  = var.container
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

# What state has replaced goes when its lock has ended.
resource "azurerm_storage_management_policy" "this" {
  storage_account_id = azurerm_storage_account.this.id

  rule {
    name    = "replaced"
    enabled = true

    filters {
      blob_types = ["blockBlob"]
    }

    actions {
      version {
        delete_after_days_since_creation = var.lock.days + 1
      }
    }
  }
}
