//! What started this process, as its environment tells.

use std::sync::OnceLock;

/// Somebody else's machine that starts containers or functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Lambda,
    CloudRun,
    ContainerApps,
    Batch,
    Kubernetes,
}

impl Platform {
    const ALL: [Self; 5] = [Self::Lambda, Self::CloudRun, Self::ContainerApps, Self::Batch, Self::Kubernetes];

    /// What is set wherever it runs something. Batch and others also run on Kubernetes, which therefore is last.
    const fn sign(self) -> &'static str {
        match self {
            // docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
            Self::Lambda => "AWS_LAMBDA_RUNTIME_API",
            // cloud.google.com/run/docs/container-contract
            Self::CloudRun => "CLOUD_RUN_JOB",
            // learn.microsoft.com/azure/container-apps/environment-variables
            Self::ContainerApps => "CONTAINER_APP_JOB_NAME",
            // docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
            Self::Batch => "AWS_BATCH_JOB_ID",
            // kubernetes.io/docs/concepts/containers/container-environment
            Self::Kubernetes => "KUBERNETES_SERVICE_HOST",
        }
    }

    /// What names one execution, and stays the same when the platform starts it again.
    const fn execution(self) -> Option<&'static str> {
        match self {
            Self::Lambda => None,
            Self::CloudRun => Some("CLOUD_RUN_EXECUTION"),
            Self::ContainerApps => Some("CONTAINER_APP_JOB_EXECUTION_NAME"),
            Self::Batch => Some("AWS_BATCH_JOB_ID"),
            // Not set by Kubernetes: our manifest takes it from the label of the pod.
            Self::Kubernetes => Some("JOB_NAME"),
        }
    }

    fn of(environment: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| environment(platform.sign()).is_some())
    }

    /// Where this process runs.
    pub fn here() -> Option<Self> {
        static HERE: OnceLock<Option<Platform>> = OnceLock::new();
        *HERE.get_or_init(|| Self::of(&set))
    }
}

/// A variable that is set to something.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The token of the execution that this process is of.
pub fn token() -> Option<String> {
    let execution = Platform::here()?.execution().and_then(set)?;
    // The jobs of an array of Batch are numbered after a colon, and all run the same.
    Some(execution.split(':').next().unwrap_or(&execution).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_told_by_their_signs() {
        let of = |set: &[&str]| Platform::of(&|name: &str| set.contains(&name).then(|| "x".to_owned()));
        assert_eq!(of(&["HOME", "PATH"]), None);
        for platform in Platform::ALL {
            assert_eq!(of(&[platform.sign()]), Some(platform));
            assert_eq!(of(&[platform.sign(), "KUBERNETES_SERVICE_HOST"]), Some(platform));
        }
    }
}
