output "policies" {
  description = "For each of scanner, marker and deleter its policies: name -> JSON."
  value = {
    for identity, parts in local.parts : identity => merge(
      merge([
        for what, documents in parts : {
          for number, document in documents : "${what}-${number + 1}" => jsonencode(document)
        }
      ]...),
      {
        for name in ["fences"] : name => jsonencode({ Version = "2012-10-17", Statement = local.fences })
        if identity == "deleter" && length(local.fences) > 0
      },
    )
  }
}
