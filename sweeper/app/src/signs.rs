//! Which clouds the environment speaks of: variables and files that only somebody who works in a cloud has. Cheap,
//! and asks nobody: whether what they lead to is any good shows when the cloud is looked at.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use sweeper_core::model::CloudId;

/// Variables that lead to credentials or name an account. A `*` at the end stands for any text.
const VARIABLES: &[(CloudId, &[&str])] = &[
    (
        CloudId::Aws,
        &[
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_ENDPOINT_URL*",
        ],
    ),
    (
        CloudId::Azure,
        &[
            "SWEEPER_AZURE_ENDPOINT*",
            "AZURE_CLIENT_ID",
            "AZURE_TENANT_ID",
            "AZURE_SUBSCRIPTION_ID",
            "AZURE_FEDERATED_TOKEN_FILE",
            "ARM_CLIENT_ID",
            "ARM_TENANT_ID",
            "ARM_SUBSCRIPTION_ID",
            "IDENTITY_ENDPOINT",
        ],
    ),
    (
        CloudId::Gcp,
        &[
            "SWEEPER_GCP_ENDPOINT*",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_PROJECT",
            "GCLOUD_PROJECT",
            "CLOUDSDK_CORE_*",
            "CLOUDSDK_AUTH_*",
            "CLOUDSDK_ACTIVE_CONFIG_NAME",
        ],
    ),
];

/// The first sign of each cloud, in words: `AWS_PROFILE`, `/home/me/.azure/azureProfile.json`.
pub fn of_environment() -> BTreeMap<CloudId, String> {
    let variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect();
    of(&variables, &Path::is_file)
}

fn of(variables: &BTreeMap<String, String>, is_file: &dyn Fn(&Path) -> bool) -> BTreeMap<CloudId, String> {
    // A variable that is set to nothing says nothing.
    let said = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let mut signs = BTreeMap::new();
    for (cloud, patterns) in VARIABLES {
        let sign = variables.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).find(|name| {
            patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => *pattern == name.as_str(),
            })
        });
        if let Some(name) = sign {
            signs.insert(*cloud, name.clone());
        }
    }
    let home = said("HOME").or_else(|| said("USERPROFILE")).map(PathBuf::from);
    // A file named by a variable, or its place in the home directory.
    let named = |variable: &str, file: Option<&str>, path: &str| {
        let named = said(variable).map(PathBuf::from).map(|named| file.map_or(named.clone(), |file| named.join(file)));
        named.or_else(|| home.as_ref().map(|home| home.join(path)))
    };
    let files = [
        (CloudId::Aws, named("AWS_SHARED_CREDENTIALS_FILE", None, ".aws/credentials")),
        (CloudId::Aws, named("AWS_CONFIG_FILE", None, ".aws/config")),
        (CloudId::Azure, named("AZURE_CONFIG_DIR", Some("azureProfile.json"), ".azure/azureProfile.json")),
        (
            CloudId::Gcp,
            named(
                "CLOUDSDK_CONFIG",
                Some("application_default_credentials.json"),
                ".config/gcloud/application_default_credentials.json",
            ),
        ),
    ];
    for (cloud, path) in files {
        if let Some(path) = path.filter(|path| is_file(path)) {
            signs.entry(cloud).or_insert_with(|| path.display().to_string());
        }
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(variables: &[(&str, &str)], files: &[&str]) -> Vec<(CloudId, String)> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        of(&variables, &|path| files.iter().any(|file| Path::new(file) == path)).into_iter().collect()
    }

    #[test]
    fn variables_and_files_are_signs() {
        assert_eq!(signs(&[("HOME", "/h"), ("AWS_REGION", "eu-west-1"), ("AWS_PROFILE", "")], &[]), []);
        assert_eq!(
            signs(&[("HOME", "/h")], &["/h/.aws/config", "/h/.azure/azureProfile.json"]),
            [(CloudId::Aws, "/h/.aws/config".to_owned()), (CloudId::Azure, "/h/.azure/azureProfile.json".to_owned())]
        );
        assert_eq!(
            signs(&[("SWEEPER_GCP_ENDPOINT_COMPUTE", "x"), ("AWS_ENDPOINT_URL_EC2", "y")], &[]),
            [
                (CloudId::Aws, "AWS_ENDPOINT_URL_EC2".to_owned()),
                (CloudId::Gcp, "SWEEPER_GCP_ENDPOINT_COMPUTE".to_owned())
            ]
        );
        let elsewhere = [("HOME", "/h"), ("CLOUDSDK_CONFIG", "/c")];
        assert_eq!(signs(&elsewhere, &["/h/.config/gcloud/application_default_credentials.json"]), []);
        assert_eq!(signs(&elsewhere, &["/c/application_default_credentials.json"]).len(), 1);
    }
}
