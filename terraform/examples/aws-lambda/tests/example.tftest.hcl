mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/mocked" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::acme-sweeper" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_secretsmanager_secret_version" {
    defaults = { secret_string = "https://hooks.slack.com/services/mocked" }
  }
}

variables {
  bucket = "acme-sweeper"
}

run "default_reports_every_night" {
  command = apply

  assert {
    condition     = output.function_name == "sweeper" && output.state_url == "s3://acme-sweeper"
    error_message = "the function has its state"
  }
}
