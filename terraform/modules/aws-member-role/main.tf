# The roles by which sweeper enters this account: one to look, and where enabled one to mark and one to delete.

module "documents" {
  source = "../aws-role-documents"

  regions              = var.regions
  spare_cloudformation = var.spare_cloudformation
}

locals {
  wanted = {
    # Whoever marks or deletes looks first.
    scanner = {
      enabled = true
      principals = distinct(concat(
        var.scanner.principals,
        var.marker.enabled ? var.marker.principals : [],
        var.deleter.enabled ? var.deleter.principals : [],
      ))
      source_identities = []
    }
    marker  = var.marker
    deleter = var.deleter
  }
  roles = {
    for identity, wanted in local.wanted : identity => {
      name     = var.role_names[identity]
      policies = module.documents.policies[identity]
      trust = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid       = "Enter"
            Effect    = "Allow"
            Principal = { AWS = sort(wanted.principals) }
            Action    = "sts:AssumeRole"
            Condition = merge(
              {
                StringEquals = merge(
                  { "sts:ExternalId" = var.external_id },
                  { for id in compact([var.organization_id]) : "aws:PrincipalOrgID" => id },
                )
              },
              {
                for operator in ["StringLike"] : operator => { "sts:SourceIdentity" = wanted.source_identities }
                if length(wanted.source_identities) > 0
              },
            )
          },
          # A session that carries a source identity takes it along, and may not enter where it is not allowed to.
          # STS knows no external id for this action.
          {
            Sid       = "KeepSourceIdentity"
            Effect    = "Allow"
            Principal = { AWS = sort(wanted.principals) }
            Action    = "sts:SetSourceIdentity"
            Condition = {
              StringLike = {
                "sts:SourceIdentity" = length(wanted.source_identities) > 0 ? wanted.source_identities : ["*"]
              }
            }
          },
        ]
      })
    } if wanted.enabled
  }
  # The same as a CloudFormation template, for StackSets.
  templates = {
    for identity, role in local.roles : identity => jsonencode({
      AWSTemplateFormatVersion = "2010-09-09"
      Description              = "sweeper: ${identity}"
      Resources = {
        Role = {
          Type = "AWS::IAM::Role"
          Properties = merge(
            {
              RoleName                 = role.name
              Description              = "sweeper: ${identity}"
              AssumeRolePolicyDocument = jsondecode(role.trust)
              MaxSessionDuration       = var.max_session_duration
              Policies = [
                for name, document in role.policies : {
                  PolicyName     = "sweeper-${name}"
                  PolicyDocument = jsondecode(document)
                }
              ]
              Tags = [for key, value in var.tags : { Key = key, Value = value }]
            },
            { for arn in compact([var.permissions_boundary]) : "PermissionsBoundary" => arn },
          )
        }
      }
      Outputs = { RoleArn = { Value = { "Fn::GetAtt" = ["Role", "Arn"] } } }
    })
  }
  policies = merge([
    for identity, role in local.roles : {
      for name, document in role.policies : "${identity}/${name}" => { identity = identity, name = name, document = document }
    }
  ]...)
}

resource "aws_iam_role" "this" {
  for_each = { for identity, role in local.roles : identity => role if var.create }

  name                 = each.value.name
  description          = "sweeper: ${each.key}"
  assume_role_policy   = each.value.trust
  max_session_duration = var.max_session_duration
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_role_policy" "this" {
  for_each = { for name, policy in local.policies : name => policy if var.create }

  name   = "sweeper-${each.value.name}"
  role   = aws_iam_role.this[each.value.identity].name
  policy = each.value.document
}
