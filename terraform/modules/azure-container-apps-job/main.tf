# Sweeper as a job of Container Apps with a schedule. The job is the scanner. The marker and the deleter are roles that
# people or a pipeline are given to run `sweeper apply`, and are there only where they are enabled: otherwise nothing here
# could change a thing.

locals {
  folder = "${path.module}/../../permissions"
  files = {
    read   = var.management_group == null ? "azure-read.json" : "azure-read-all.json"
    mark   = "azure-mark.json"
    delete = "azure-delete.json"
  }
  # What the binary wrote; nothing of it is written here. A file has one role or several, one after another: what reads
  # data has a role of its own where Azure takes it only in subscriptions. Only the brace that ends a role begins a line.
  generated = merge([
    for what, file in local.files : {
      for number, text in [for text in split("\n}\n", file("${local.folder}/${file}")) : text if trimspace(text) != ""] :
      number == 0 ? what : "${what}-data" => jsondecode("${text}\n}")
    }
  ]...)

  people     = { for identity, wanted in { marker = var.marker, deleter = var.deleter } : identity => wanted.principals if wanted.enabled }
  identities = toset(concat(["scanner"], keys(local.people)))
  # Whoever marks or deletes looks first.
  reads = [for what in keys(local.generated) : what if startswith(what, "read") && length(local.scopes[what]) > 0]
  holds = {
    scanner = local.reads
    marker  = concat(local.reads, ["mark"])
    deleter = concat(local.reads, ["delete"])
  }
  whats = toset(flatten([for identity in local.identities : local.holds[identity]]))

  everywhere = (
    var.management_group == null
    ? [for id in var.subscriptions : "/subscriptions/${id}"]
    : ["/providers/Microsoft.Management/managementGroups/${var.management_group}"]
  )
  scopes = {
    for what in keys(local.generated) : what => (
      endswith(what, "-data") ? [for id in var.data_subscriptions : "/subscriptions/${id}"] : local.everywhere
    )
  }

  # Who they are, besides the scanner's own identity: that is known only when it is made.
  assignments = merge(flatten([
    for identity in local.identities : [
      for what in local.holds[identity] : {
        for pair in setproduct(local.scopes[what], identity == "scanner" ? [""] : local.people[identity]) :
        join("|", compact([identity, what, pair[0], pair[1]])) => { what = what, scope = pair[0], principal = pair[1] }
      }
    ]
  ])...)
  state_users = merge(
    { scanner = "" },
    [for identity, principals in local.people : { for id in principals : id => id }]...
  )

  # Files are called as their secrets are, and all lie in one directory.
  mounted  = merge({ "sweeper-config" = var.config }, var.policies == null ? {} : { "sweeper-policies" = var.policies })
  policies = var.policies == null ? [] : ["--policies", "/etc/sweeper/sweeper-policies"]
  url      = "az://${var.state.account}/${var.state.container}${var.state.prefix == "" ? "" : "/${var.state.prefix}"}"
  secrets  = { for name, id in var.secrets : name => { id = id, secret = lower(replace(name, "_", "-")) } }
}

resource "azurerm_user_assigned_identity" "scanner" {
  name                = "${var.name}-scanner"
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags
}

# What sweeper may do to the cloud.
resource "azurerm_role_definition" "this" {
  for_each = local.whats

  name              = "${var.name}: ${local.generated[each.key].Name}"
  description       = local.generated[each.key].Description
  scope             = local.scopes[each.key][0]
  assignable_scopes = local.scopes[each.key]

  permissions {
    actions          = local.generated[each.key].Actions
    not_actions      = local.generated[each.key].NotActions
    data_actions     = local.generated[each.key].DataActions
    not_data_actions = local.generated[each.key].NotDataActions
  }
}

resource "azurerm_role_assignment" "this" {
  for_each = local.assignments

  scope              = each.value.scope
  role_definition_id = azurerm_role_definition.this[each.value.what].role_definition_resource_id
  principal_id       = each.value.principal == "" ? azurerm_user_assigned_identity.scanner.principal_id : each.value.principal
  description        = "sweeper: ${each.value.what}"
}

# What each needs of the deployment's own things.
resource "azurerm_role_assignment" "state" {
  for_each = local.state_users

  scope                = var.state.container_id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = each.value == "" ? azurerm_user_assigned_identity.scanner.principal_id : each.value
  description          = "sweeper: state"
}

resource "azurerm_role_assignment" "secrets" {
  for_each = length(var.secrets) == 0 ? {} : { vault = var.key_vault_id }

  scope                = each.value
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.scanner.principal_id
  description          = "sweeper: the secrets of its environment"
}

resource "azurerm_role_assignment" "image" {
  for_each = var.registry == null ? {} : { registry = var.registry.id }

  scope                = each.value
  role_definition_name = "AcrPull"
  principal_id         = azurerm_user_assigned_identity.scanner.principal_id
  description          = "sweeper: its image"
}

resource "azurerm_container_app_job" "this" {
  for_each = var.schedules

  name                         = "${var.name}-${each.key}"
  resource_group_name          = var.resource_group_name
  location                     = var.location
  container_app_environment_id = var.environment_id
  replica_timeout_in_seconds   = var.timeout
  tags                         = var.tags

  # A run that failed is not run again: the next one of the schedule is the retry.
  replica_retry_limit = 0

  schedule_trigger_config {
    cron_expression          = each.value.cron
    parallelism              = 1
    replica_completion_count = 1
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.scanner.id]
  }

  dynamic "registry" {
    for_each = var.registry == null ? [] : [var.registry.server]
    content {
      server   = registry.value
      identity = azurerm_user_assigned_identity.scanner.id
    }
  }

  # Config and policies are no secrets: this is how a job has files.
  dynamic "secret" {
    for_each = local.mounted
    content {
      name  = secret.key
      value = secret.value
    }
  }

  dynamic "secret" {
    for_each = local.secrets
    content {
      name                = secret.value.secret
      key_vault_secret_id = secret.value.id
      identity            = azurerm_user_assigned_identity.scanner.id
    }
  }

  template {
    container {
      name   = "sweeper"
      image  = var.image
      args   = concat(["job", each.key], local.policies)
      cpu    = var.cpu
      memory = "${var.cpu * 2}Gi"

      env {
        name  = "SWEEPER_STATE"
        value = local.url
      }
      env {
        name  = "SWEEPER_CONFIG"
        value = "/etc/sweeper/sweeper-config"
      }
      env {
        name  = "SWEEPER_DEADLINE"
        value = tostring(var.timeout - 60)
      }
      # Which of the job's identities is meant.
      env {
        name  = "AZURE_CLIENT_ID"
        value = azurerm_user_assigned_identity.scanner.client_id
      }
      dynamic "env" {
        for_each = var.environment
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = local.secrets
        content {
          name        = env.key
          secret_name = env.value.secret
        }
      }

      volume_mounts {
        name = "config"
        path = "/etc/sweeper"
      }
    }

    volume {
      name         = "config"
      storage_type = "Secret"
    }
  }

  depends_on = [
    azurerm_role_assignment.this,
    azurerm_role_assignment.state,
    azurerm_role_assignment.secrets,
    azurerm_role_assignment.image,
  ]
}
