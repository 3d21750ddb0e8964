//! The REST paths of the read operations and of the changes that are served, as in AWS's service models.

use std::collections::BTreeMap;

/// Service, method, path template, action.
type Route = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    ("backup", "GET", "/backup-jobs/{backupJobId}", "DescribeBackupJob"),
    ("backup", "GET", "/backup-vaults/{backupVaultName}", "DescribeBackupVault"),
    ("backup", "GET", "/copy-jobs/{copyJobId}", "DescribeCopyJob"),
    ("backup", "GET", "/audit/frameworks/{frameworkName}", "DescribeFramework"),
    ("backup", "GET", "/global-settings", "DescribeGlobalSettings"),
    ("backup", "GET", "/resources/{resourceArn}", "DescribeProtectedResource"),
    ("backup", "GET", "/backup-vaults/{backupVaultName}/recovery-points/{recoveryPointArn}", "DescribeRecoveryPoint"),
    ("backup", "GET", "/account-settings", "DescribeRegionSettings"),
    ("backup", "GET", "/audit/report-jobs/{reportJobId}", "DescribeReportJob"),
    ("backup", "GET", "/audit/report-plans/{reportPlanName}", "DescribeReportPlan"),
    ("backup", "GET", "/restore-jobs/{restoreJobId}", "DescribeRestoreJob"),
    ("backup", "GET", "/scan/jobs/{ScanJobId}", "DescribeScanJob"),
    ("backup", "GET", "/backup/plans/{backupPlanId}/", "GetBackupPlan"),
    ("backup", "POST", "/backup/template/json/toPlan", "GetBackupPlanFromJSON"),
    ("backup", "GET", "/backup/template/plans/{templateId}/toPlan", "GetBackupPlanFromTemplate"),
    ("backup", "GET", "/backup/plans/{backupPlanId}/selections/{selectionId}", "GetBackupSelection"),
    ("backup", "GET", "/backup-vaults/{backupVaultName}/access-policy", "GetBackupVaultAccessPolicy"),
    ("backup", "GET", "/backup-vaults/{backupVaultName}/notification-configuration", "GetBackupVaultNotifications"),
    ("backup", "GET", "/legal-holds/{legalHoldId}/", "GetLegalHold"),
    ("backup", "GET", "/backup-vaults/{backupVaultName}/recovery-points/{recoveryPointArn}/index", "GetRecoveryPointIndexDetails"),
    ("backup", "GET", "/backup-vaults/{backupVaultName}/recovery-points/{recoveryPointArn}/restore-metadata", "GetRecoveryPointRestoreMetadata"),
    ("backup", "GET", "/restore-jobs/{restoreJobId}/metadata", "GetRestoreJobMetadata"),
    ("backup", "GET", "/restore-testing/inferred-metadata", "GetRestoreTestingInferredMetadata"),
    ("backup", "GET", "/restore-testing/plans/{RestoreTestingPlanName}", "GetRestoreTestingPlan"),
    ("backup", "GET", "/restore-testing/plans/{RestoreTestingPlanName}/selections/{RestoreTestingSelectionName}", "GetRestoreTestingSelection"),
    ("backup", "GET", "/supported-resource-types", "GetSupportedResourceTypes"),
    ("backup", "GET", "/tiering-configurations/{tieringConfigurationName}", "GetTieringConfiguration"),
    ("backup", "GET", "/audit/backup-job-summaries", "ListBackupJobSummaries"),
    ("backup", "GET", "/backup-jobs/", "ListBackupJobs"),
    ("backup", "GET", "/backup/template/plans", "ListBackupPlanTemplates"),
    ("backup", "GET", "/backup/plans/{backupPlanId}/versions/", "ListBackupPlanVersions"),
    ("backup", "GET", "/backup/plans/", "ListBackupPlans"),
    ("backup", "GET", "/backup/plans/{backupPlanId}/selections/", "ListBackupSelections"),
    ("backup", "GET", "/backup-vaults/", "ListBackupVaults"),
    ("backup", "GET", "/audit/copy-job-summaries", "ListCopyJobSummaries"),
    ("backup", "GET", "/copy-jobs/", "ListCopyJobs"),
    ("backup", "GET", "/audit/frameworks", "ListFrameworks"),
    ("backup", "GET", "/indexes/recovery-point/", "ListIndexedRecoveryPoints"),
    ("backup", "GET", "/legal-holds/", "ListLegalHolds"),
    ("backup", "GET", "/resources/", "ListProtectedResources"),
    ("backup", "GET", "/backup-vaults/{backupVaultName}/resources/", "ListProtectedResourcesByBackupVault"),
    ("backup", "GET", "/backup-vaults/{backupVaultName}/recovery-points/", "ListRecoveryPointsByBackupVault"),
    ("backup", "GET", "/legal-holds/{legalHoldId}/recovery-points", "ListRecoveryPointsByLegalHold"),
    ("backup", "GET", "/resources/{resourceArn}/recovery-points/", "ListRecoveryPointsByResource"),
    ("backup", "GET", "/audit/report-jobs", "ListReportJobs"),
    ("backup", "GET", "/audit/report-plans", "ListReportPlans"),
    ("backup", "GET", "/logically-air-gapped-backup-vaults/{backupVaultName}/restore-access-backup-vaults/", "ListRestoreAccessBackupVaults"),
    ("backup", "GET", "/audit/restore-job-summaries", "ListRestoreJobSummaries"),
    ("backup", "GET", "/restore-jobs/", "ListRestoreJobs"),
    ("backup", "GET", "/resources/{resourceArn}/restore-jobs/", "ListRestoreJobsByProtectedResource"),
    ("backup", "GET", "/restore-testing/plans", "ListRestoreTestingPlans"),
    ("backup", "GET", "/restore-testing/plans/{RestoreTestingPlanName}/selections", "ListRestoreTestingSelections"),
    ("backup", "GET", "/audit/scan-job-summaries", "ListScanJobSummaries"),
    ("backup", "GET", "/scan/jobs", "ListScanJobs"),
    ("backup", "GET", "/tags/{resourceArn}/", "ListTags"),
    ("backup", "GET", "/tiering-configurations/", "ListTieringConfigurations"),
    ("batch", "POST", "/v1/describecomputeenvironments", "DescribeComputeEnvironments"),
    ("batch", "POST", "/v1/describeconsumableresource", "DescribeConsumableResource"),
    ("batch", "POST", "/v1/describejobdefinitions", "DescribeJobDefinitions"),
    ("batch", "POST", "/v1/describejobqueues", "DescribeJobQueues"),
    ("batch", "POST", "/v1/describejobs", "DescribeJobs"),
    ("batch", "POST", "/v1/describequotashare", "DescribeQuotaShare"),
    ("batch", "POST", "/v1/describeschedulingpolicies", "DescribeSchedulingPolicies"),
    ("batch", "POST", "/v1/describeserviceenvironments", "DescribeServiceEnvironments"),
    ("batch", "POST", "/v1/describeservicejob", "DescribeServiceJob"),
    ("batch", "POST", "/v1/getjobqueuesnapshot", "GetJobQueueSnapshot"),
    ("batch", "POST", "/v1/listconsumableresources", "ListConsumableResources"),
    ("batch", "POST", "/v1/listjobs", "ListJobs"),
    ("batch", "POST", "/v1/listjobsbyconsumableresource", "ListJobsByConsumableResource"),
    ("batch", "POST", "/v1/listquotashares", "ListQuotaShares"),
    ("batch", "POST", "/v1/listschedulingpolicies", "ListSchedulingPolicies"),
    ("batch", "POST", "/v1/listservicejobs", "ListServiceJobs"),
    ("batch", "GET", "/v1/tags/{resourceArn}", "ListTagsForResource"),
    ("eks", "GET", "/clusters/{name}/access-entries/{principalArn}", "DescribeAccessEntry"),
    ("eks", "GET", "/clusters/{name}/addons/{addonName}", "DescribeAddon"),
    ("eks", "GET", "/addons/configuration-schemas", "DescribeAddonConfiguration"),
    ("eks", "GET", "/addons/supported-versions", "DescribeAddonVersions"),
    ("eks", "GET", "/clusters/{name}/capabilities/{capabilityName}", "DescribeCapability"),
    ("eks", "GET", "/clusters/{name}", "DescribeCluster"),
    ("eks", "GET", "/cluster-versions", "DescribeClusterVersions"),
    ("eks", "GET", "/eks-anywhere-subscriptions/{id}", "DescribeEksAnywhereSubscription"),
    ("eks", "GET", "/clusters/{name}/fargate-profiles/{fargateProfileName}", "DescribeFargateProfile"),
    ("eks", "POST", "/clusters/{name}/identity-provider-configs/describe", "DescribeIdentityProviderConfig"),
    ("eks", "GET", "/clusters/{name}/insights/{id}", "DescribeInsight"),
    ("eks", "GET", "/clusters/{name}/insights-refresh", "DescribeInsightsRefresh"),
    ("eks", "GET", "/clusters/{name}/node-groups/{nodegroupName}", "DescribeNodegroup"),
    ("eks", "GET", "/clusters/{name}/pod-identity-associations/{associationId}", "DescribePodIdentityAssociation"),
    ("eks", "GET", "/clusters/{name}/updates/{updateId}", "DescribeUpdate"),
    ("eks", "GET", "/clusters/{name}/access-entries", "ListAccessEntries"),
    ("eks", "GET", "/access-policies", "ListAccessPolicies"),
    ("eks", "GET", "/clusters/{name}/addons", "ListAddons"),
    ("eks", "GET", "/clusters/{name}/access-entries/{principalArn}/access-policies", "ListAssociatedAccessPolicies"),
    ("eks", "GET", "/clusters/{name}/capabilities", "ListCapabilities"),
    ("eks", "GET", "/clusters", "ListClusters"),
    ("eks", "GET", "/eks-anywhere-subscriptions", "ListEksAnywhereSubscriptions"),
    ("eks", "GET", "/clusters/{name}/fargate-profiles", "ListFargateProfiles"),
    ("eks", "GET", "/clusters/{name}/identity-provider-configs", "ListIdentityProviderConfigs"),
    ("eks", "POST", "/clusters/{name}/insights", "ListInsights"),
    ("eks", "GET", "/clusters/{name}/node-groups", "ListNodegroups"),
    ("eks", "GET", "/clusters/{name}/pod-identity-associations", "ListPodIdentityAssociations"),
    ("eks", "GET", "/tags/{resourceArn}", "ListTagsForResource"),
    ("eks", "GET", "/clusters/{name}/updates", "ListUpdates"),
    ("imagebuilder", "GET", "/GetComponent", "GetComponent"),
    ("imagebuilder", "GET", "/GetComponentPolicy", "GetComponentPolicy"),
    ("imagebuilder", "GET", "/GetContainerRecipe", "GetContainerRecipe"),
    ("imagebuilder", "GET", "/GetContainerRecipePolicy", "GetContainerRecipePolicy"),
    ("imagebuilder", "GET", "/GetDistributionConfiguration", "GetDistributionConfiguration"),
    ("imagebuilder", "GET", "/GetImage", "GetImage"),
    ("imagebuilder", "GET", "/GetImagePipeline", "GetImagePipeline"),
    ("imagebuilder", "GET", "/GetImagePolicy", "GetImagePolicy"),
    ("imagebuilder", "GET", "/GetImageRecipe", "GetImageRecipe"),
    ("imagebuilder", "GET", "/GetImageRecipePolicy", "GetImageRecipePolicy"),
    ("imagebuilder", "GET", "/GetInfrastructureConfiguration", "GetInfrastructureConfiguration"),
    ("imagebuilder", "GET", "/GetLifecycleExecution", "GetLifecycleExecution"),
    ("imagebuilder", "GET", "/GetLifecyclePolicy", "GetLifecyclePolicy"),
    ("imagebuilder", "POST", "/GetMarketplaceResource", "GetMarketplaceResource"),
    ("imagebuilder", "GET", "/GetWorkflow", "GetWorkflow"),
    ("imagebuilder", "GET", "/GetWorkflowExecution", "GetWorkflowExecution"),
    ("imagebuilder", "GET", "/GetWorkflowStepExecution", "GetWorkflowStepExecution"),
    ("imagebuilder", "POST", "/ListComponentBuildVersions", "ListComponentBuildVersions"),
    ("imagebuilder", "POST", "/ListComponents", "ListComponents"),
    ("imagebuilder", "POST", "/ListContainerRecipes", "ListContainerRecipes"),
    ("imagebuilder", "POST", "/ListDistributionConfigurations", "ListDistributionConfigurations"),
    ("imagebuilder", "POST", "/ListImageBuildVersions", "ListImageBuildVersions"),
    ("imagebuilder", "POST", "/ListImagePackages", "ListImagePackages"),
    ("imagebuilder", "POST", "/ListImagePipelineImages", "ListImagePipelineImages"),
    ("imagebuilder", "POST", "/ListImagePipelines", "ListImagePipelines"),
    ("imagebuilder", "POST", "/ListImageRecipes", "ListImageRecipes"),
    ("imagebuilder", "POST", "/ListImageScanFindingAggregations", "ListImageScanFindingAggregations"),
    ("imagebuilder", "POST", "/ListImageScanFindings", "ListImageScanFindings"),
    ("imagebuilder", "POST", "/ListImages", "ListImages"),
    ("imagebuilder", "POST", "/ListInfrastructureConfigurations", "ListInfrastructureConfigurations"),
    ("imagebuilder", "POST", "/ListLifecycleExecutionResources", "ListLifecycleExecutionResources"),
    ("imagebuilder", "POST", "/ListLifecycleExecutions", "ListLifecycleExecutions"),
    ("imagebuilder", "POST", "/ListLifecyclePolicies", "ListLifecyclePolicies"),
    ("imagebuilder", "GET", "/tags/{resourceArn}", "ListTagsForResource"),
    ("imagebuilder", "POST", "/ListWaitingWorkflowSteps", "ListWaitingWorkflowSteps"),
    ("imagebuilder", "POST", "/ListWorkflowBuildVersions", "ListWorkflowBuildVersions"),
    ("imagebuilder", "POST", "/ListWorkflowExecutions", "ListWorkflowExecutions"),
    ("imagebuilder", "POST", "/ListWorkflowStepExecutions", "ListWorkflowStepExecutions"),
    ("imagebuilder", "POST", "/ListWorkflows", "ListWorkflows"),
    ("lambda", "DELETE", "/2015-03-31/functions/{FunctionName}", "DeleteFunction"),
    ("lambda", "GET", "/2016-08-19/account-settings", "GetAccountSettings"),
    ("lambda", "GET", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", "GetAlias"),
    ("lambda", "GET", "/2025-11-30/capacity-providers/{CapacityProviderName}", "GetCapacityProvider"),
    ("lambda", "GET", "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}", "GetCodeSigningConfig"),
    ("lambda", "GET", "/2025-12-01/durable-executions/{DurableExecutionArn}", "GetDurableExecution"),
    ("lambda", "GET", "/2025-12-01/durable-executions/{DurableExecutionArn}/history", "GetDurableExecutionHistory"),
    ("lambda", "GET", "/2025-12-01/durable-executions/{DurableExecutionArn}/state", "GetDurableExecutionState"),
    ("lambda", "GET", "/2015-03-31/event-source-mappings/{UUID}", "GetEventSourceMapping"),
    ("lambda", "GET", "/2015-03-31/functions/{FunctionName}", "GetFunction"),
    ("lambda", "GET", "/2020-06-30/functions/{FunctionName}/code-signing-config", "GetFunctionCodeSigningConfig"),
    ("lambda", "GET", "/2019-09-30/functions/{FunctionName}/concurrency", "GetFunctionConcurrency"),
    ("lambda", "GET", "/2015-03-31/functions/{FunctionName}/configuration", "GetFunctionConfiguration"),
    ("lambda", "GET", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "GetFunctionEventInvokeConfig"),
    ("lambda", "GET", "/2024-08-31/functions/{FunctionName}/recursion-config", "GetFunctionRecursionConfig"),
    ("lambda", "GET", "/2025-11-30/functions/{FunctionName}/function-scaling-config", "GetFunctionScalingConfig"),
    ("lambda", "GET", "/2021-10-31/functions/{FunctionName}/url", "GetFunctionUrlConfig"),
    ("lambda", "GET", "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}", "GetLayerVersion"),
    ("lambda", "GET", "/2018-10-31/layers", "GetLayerVersionByArn"),
    ("lambda", "GET", "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy", "GetLayerVersionPolicy"),
    ("lambda", "GET", "/2015-03-31/functions/{FunctionName}/policy", "GetPolicy"),
    ("lambda", "GET", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "GetProvisionedConcurrencyConfig"),
    ("lambda", "GET", "/2021-07-20/functions/{FunctionName}/runtime-management-config", "GetRuntimeManagementConfig"),
    ("lambda", "GET", "/2015-03-31/functions/{FunctionName}/aliases", "ListAliases"),
    ("lambda", "GET", "/2025-11-30/capacity-providers", "ListCapacityProviders"),
    ("lambda", "GET", "/2020-04-22/code-signing-configs", "ListCodeSigningConfigs"),
    ("lambda", "GET", "/2025-12-01/functions/{FunctionName}/durable-executions", "ListDurableExecutionsByFunction"),
    ("lambda", "GET", "/2015-03-31/event-source-mappings", "ListEventSourceMappings"),
    ("lambda", "GET", "/2019-09-25/functions/{FunctionName}/event-invoke-config/list", "ListFunctionEventInvokeConfigs"),
    ("lambda", "GET", "/2021-10-31/functions/{FunctionName}/urls", "ListFunctionUrlConfigs"),
    ("lambda", "GET", "/2025-11-30/capacity-providers/{CapacityProviderName}/function-versions", "ListFunctionVersionsByCapacityProvider"),
    ("lambda", "GET", "/2015-03-31/functions", "ListFunctions"),
    ("lambda", "GET", "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions", "ListFunctionsByCodeSigningConfig"),
    ("lambda", "GET", "/2018-10-31/layers/{LayerName}/versions", "ListLayerVersions"),
    ("lambda", "GET", "/2018-10-31/layers", "ListLayers"),
    ("lambda", "GET", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "ListProvisionedConcurrencyConfigs"),
    ("lambda", "GET", "/2017-03-31/tags/{Resource}", "ListTags"),
    ("lambda", "POST", "/2017-03-31/tags/{Resource}", "TagResource"),
    ("lambda", "DELETE", "/2017-03-31/tags/{Resource}", "UntagResource"),
    ("lambda", "GET", "/2015-03-31/functions/{FunctionName}/versions", "ListVersionsByFunction"),
];

/// The action that a REST request asks for, and the values of the labels in its path.
pub(crate) fn find(
    service: &str,
    method: &str,
    path: &[String],
    query: &BTreeMap<String, String>,
) -> Option<(&'static str, BTreeMap<String, String>)> {
    let mut best: Option<(&'static str, BTreeMap<String, String>)> = None;
    for (_, _, template, action) in
        ROUTES.iter().filter(|route| route.0 == service && route.1 == method).filter(|route| told_apart(route.3, query))
    {
        let Some(labels) = labels(template, path) else {
            continue;
        };
        // A literal segment is a better match than a label: "/functions/versions" is no function.
        if best.as_ref().is_none_or(|(_, known)| labels.len() < known.len()) {
            best = Some((action, labels));
        }
    }
    best
}

/// Whether the query string is that of the action, for the actions that share a path with another.
fn told_apart(action: &str, query: &BTreeMap<String, String>) -> bool {
    let says = |name: &str, value: &str| query.get(name).is_some_and(|given| given == value);
    match action {
        "GetLayerVersionByArn" => says("find", "LayerVersion"),
        "ListLayers" => !says("find", "LayerVersion"),
        "GetProvisionedConcurrencyConfig" => !says("List", "ALL"),
        "ListProvisionedConcurrencyConfigs" => says("List", "ALL"),
        _ => true,
    }
}

fn labels(template: &str, path: &[String]) -> Option<BTreeMap<String, String>> {
    let parts: Vec<&str> = template.split('/').filter(|part| !part.is_empty()).collect();
    if parts.len() != path.len() {
        return None;
    }
    let mut labels = BTreeMap::new();
    for (part, given) in parts.iter().zip(path) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(label) => {
                labels.insert(label.trim_end_matches('+').to_owned(), given.clone());
            }
            None if part == given => {}
            None => return None,
        }
    }
    Some(labels)
}

/// The S3 action of a path-style request.
pub(crate) fn s3(method: &str, bucket: bool, key: bool, query: &BTreeMap<String, String>) -> Option<&'static str> {
    let has = |name: &str| query.contains_key(name);
    Some(match (method, bucket, key) {
        ("GET", false, _) => "ListBuckets",
        ("DELETE", true, true) if has("uploadId") => "AbortMultipartUpload",
        ("HEAD", true, false) => "HeadBucket",
        ("HEAD", true, true) => "HeadObject",
        ("GET", true, true) => {
            if has("uploadId") {
                "ListParts"
            } else if has("tagging") {
                "GetObjectTagging"
            } else if has("acl") {
                "GetObjectAcl"
            } else if has("retention") {
                "GetObjectRetention"
            } else if has("legal-hold") {
                "GetObjectLegalHold"
            } else if has("attributes") {
                "GetObjectAttributes"
            } else {
                "GetObject"
            }
        }
        ("GET", true, false) => {
            if query.get("list-type").map(String::as_str) == Some("2") {
                return Some("ListObjectsV2");
            }
            BUCKET.iter().find(|(name, _)| has(name)).map_or("ListObjects", |(_, action)| action)
        }
        _ => return None,
    })
}

const BUCKET: &[(&str, &str)] = &[
    ("accelerate", "GetBucketAccelerateConfiguration"),
    ("acl", "GetBucketAcl"),
    ("cors", "GetBucketCors"),
    ("encryption", "GetBucketEncryption"),
    ("intelligent-tiering", "ListBucketIntelligentTieringConfigurations"),
    ("inventory", "ListBucketInventoryConfigurations"),
    ("lifecycle", "GetBucketLifecycleConfiguration"),
    ("location", "GetBucketLocation"),
    ("logging", "GetBucketLogging"),
    ("notification", "GetBucketNotificationConfiguration"),
    ("object-lock", "GetObjectLockConfiguration"),
    ("ownershipControls", "GetBucketOwnershipControls"),
    ("policy", "GetBucketPolicy"),
    ("policyStatus", "GetBucketPolicyStatus"),
    ("publicAccessBlock", "GetPublicAccessBlock"),
    ("replication", "GetBucketReplication"),
    ("tagging", "GetBucketTagging"),
    ("uploads", "ListMultipartUploads"),
    ("versioning", "GetBucketVersioning"),
    ("versions", "ListObjectVersions"),
    ("website", "GetBucketWebsite"),
];
