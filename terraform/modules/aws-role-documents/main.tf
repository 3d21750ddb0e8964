# The policies of the three identities, as the binary wrote them into terraform/permissions. No resource is made here,
# and no action of theirs is written here: the modules that make roles ask this one what the roles may do.

locals {
  folder = "${path.module}/../../permissions"
  files = {
    read   = var.organization ? "aws-read-all.json" : "aws-read.json"
    mark   = "aws-mark.json"
    delete = "aws-delete.json"
  }
  # A file has one document or several, one after another. Only the brace that ends a document begins a line.
  generated = {
    for what, file in local.files : what => [
      for text in split("\n}\n", file("${local.folder}/${file}")) : jsondecode("${text}\n}") if trimspace(text) != ""
    ]
  }

  # Which roles may be entered is not the binary's to know: it says "*". The scanner that could enter any role that
  # lets it in would be as strong as the strongest of them.
  enter = "sts:AssumeRole"
  documents = {
    for what, documents in local.generated : what => [
      for document in documents : merge(document, {
        Statement = concat(
          [
            for statement in document.Statement : merge(statement, {
              Action = [for action in statement.Action : action if action != local.enter]
            })
          ],
          [
            for statement in document.Statement : merge(statement, {
              Sid      = "${statement.Sid}Enter"
              Action   = concat([local.enter], var.source_identity ? ["sts:SetSourceIdentity"] : [])
              Resource = var.enter
            }) if contains(statement.Action, local.enter) && length(var.enter) > 0
          ],
        )
      })
    ]
  }

  statements = flatten([for document in local.documents.delete : document.Statement])
  fences = concat(
    length(var.regions) == 0 ? [] : [{
      Sid       = "SweeperElsewhere"
      Effect    = "Deny"
      Action    = sort(distinct(flatten([for one in local.statements : one.Action if one.Effect == "Allow"])))
      Resource  = "*"
      Condition = { StringNotEquals = { "aws:RequestedRegion" = var.regions } }
    }],
    var.spare_cloudformation ? [{
      Sid       = "SweeperManaged"
      Effect    = "Deny"
      Action    = sort(distinct(flatten([for one in local.statements : one.Action if one.Effect == "Deny"])))
      Resource  = "*"
      Condition = { Null = { "aws:ResourceTag/aws:cloudformation:stack-name" = "false" } }
    }] : [],
  )

  # Whoever marks or deletes looks first: each of them reads, and none of them does what another does.
  parts = {
    scanner = { read = local.documents.read }
    marker  = { read = local.documents.read, mark = local.documents.mark }
    deleter = { read = local.documents.read, delete = local.documents.delete }
  }
}
