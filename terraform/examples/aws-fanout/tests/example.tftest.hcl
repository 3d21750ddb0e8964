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
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-0a1b2c3d" }
  }
}

variables {
  bucket  = "acme-sweeper"
  image   = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/sweeper:1.0.0"
  subnets = ["subnet-0a1b2c3d"]
  vpc     = "vpc-0a1b2c3d"
}

run "default_surveys_every_night" {
  command = apply

  assert {
    condition     = output.state_machine.name == "sweeper-fanout"
    error_message = "there is a state machine"
  }
}
