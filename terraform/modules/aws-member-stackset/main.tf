# The roles of aws-member-role in every account of some organizational units, by StackSets of CloudFormation. Each
# identity has a stack set of its own: an organization may have the scanner everywhere and the deleter nowhere.

module "roles" {
  source = "../aws-member-role"

  create               = false
  external_id          = var.external_id
  scanner              = var.scanner
  marker               = var.marker
  deleter              = var.deleter
  role_names           = var.role_names
  organization_id      = var.organization_id
  regions              = var.regions
  spare_cloudformation = var.spare_cloudformation
  max_session_duration = var.max_session_duration
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

locals {
  call_as = var.delegated ? "DELEGATED_ADMIN" : "SELF"
}

resource "aws_cloudformation_stack_set" "this" {
  for_each = module.roles.templates

  name             = "${var.name}-${each.key}"
  description      = "sweeper: the ${each.key}'s role"
  template_body    = each.value
  permission_model = "SERVICE_MANAGED"
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  call_as          = local.call_as
  tags             = var.tags

  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }

  operation_preferences {
    failure_tolerance_percentage = 10
    max_concurrent_percentage    = 25
  }

  lifecycle {
    # AWS sets it with SERVICE_MANAGED, and the provider would take it away again.
    ignore_changes = [administration_role_arn]
  }
}

# Roles are of the whole account: one region is enough.
resource "aws_cloudformation_stack_set_instance" "this" {
  for_each = aws_cloudformation_stack_set.this

  stack_set_name = each.value.name
  call_as        = local.call_as

  deployment_targets {
    organizational_unit_ids = var.organizational_units
  }
}
