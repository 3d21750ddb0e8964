output "state" {
  description = "What aws-lambda and aws-fanout want to know: their variable `state`."
  value = {
    bucket      = aws_s3_bucket.this.bucket
    arn         = aws_s3_bucket.this.arn
    prefix      = var.prefix
    kms_key_arn = var.kms_key_arn
  }
}

output "url" {
  description = "SWEEPER_STATE, or `state` in sweeper.toml."
  value       = "s3://${aws_s3_bucket.this.bucket}${var.prefix == "" ? "" : "/${var.prefix}"}"
}
