//! Sites of App Service: web apps, function apps and their deployment slots, and the images they run.

use crate::{
    arm::Azure,
    entity::{Entity, Sort},
    image_uri::{self, Stack},
    shared,
};
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::Site,
    inventory::Listing,
    kind::{CloudError, Fault},
};

pub(crate) const SITES: &str = "Microsoft.Web/sites/read";
pub(crate) const CONFIG: &str = "Microsoft.Web/sites/config/read";
pub(crate) const SIDECARS: &str = "Microsoft.Web/sites/sitecontainers/read";
pub(crate) const SLOTS: &str = "Microsoft.Web/sites/slots/read";

const API: &str = "2023-12-01";

static SITE: Sort =
    Sort { op: SITES, table: "resources", of: "Microsoft.Web/sites", columns: "kind", filter: "", api: API };
static SLOT: Sort =
    Sort { op: SLOTS, table: "resources", of: "Microsoft.Web/sites/slots", columns: "kind", filter: "", api: API };

/// Of a site. Neither settings nor connection strings are among the fields, so none is ever kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Properties {
    pub(crate) last_modified_time_utc: Option<String>,
    /// The tier of its plan: `Dynamic`, `ElasticPremium`, `Standard`.
    pub(crate) sku: Option<String>,
    /// It runs on Linux.
    pub(crate) reserved: Option<bool>,
    site_config: Option<Config>,
    #[serde(rename = "siteProperties")]
    pairs: Option<Pairs>,
    function_app_config: Option<FunctionConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Config {
    linux_fx_version: Option<String>,
    windows_fx_version: Option<String>,
}

/// Resource Graph's and the list's second way to tell some of the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pairs {
    properties: Option<Vec<Pair>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pair {
    name: Option<String>,
    value: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FunctionConfig {
    runtime: Option<Runtime>,
    #[serde(rename = "scaleAndConcurrency")]
    scale: Option<Scale>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Scale {
    always_ready: Option<Vec<Ready>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Ready {
    instance_count: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Runtime {
    name: Option<String>,
    version: Option<String>,
}

/// Whether a site is a function app. The standard logic apps are function apps too by their kind, and run workflows.
pub(crate) fn is_function_app(site: &Entity<Properties>) -> bool {
    let kind = site.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
    kind.contains("functionapp") && !kind.contains("workflowapp")
}

/// Instances that are kept running for it and billed as its own, which only flex consumption has.
pub(crate) fn always_ready(site: &Entity<Properties>) -> u32 {
    let scale = site.properties.function_app_config.as_ref().and_then(|config| config.scale.as_ref());
    let ready = scale.and_then(|scale| scale.always_ready.as_ref()).into_iter().flatten();
    ready.filter_map(|ready| ready.instance_count).fold(0, u32::saturating_add)
}

/// What it runs, as the list tells it; `None` where that does not.
fn fx(properties: &Properties) -> Option<&str> {
    let said = |text: &'_ Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let config = properties.site_config.as_ref();
    let of_config = config.and_then(|config| {
        [&config.linux_fx_version, &config.windows_fx_version].into_iter().find(|text| said(text))?.as_deref()
    });
    let pairs = properties.pairs.as_ref().and_then(|pairs| pairs.properties.as_ref());
    let of_pairs = || {
        let named = |pair: &&Pair| {
            ["LinuxFxVersion", "WindowsFxVersion"].iter().any(|name| pair.name.as_deref() == Some(name))
                && said(&pair.value)
        };
        pairs?.iter().find(named)?.value.as_deref()
    };
    // A list that has the field and leaves it empty has said that there is nothing.
    let empty = config.is_some_and(|config| config.linux_fx_version.is_some()).then_some("");
    of_config.or_else(of_pairs).or(empty)
}

/// The stack of a site for people: `DOTNET-ISOLATED|8.0`.
pub(crate) fn runtime(site: &Entity<Properties>) -> String {
    let of_flex = site.properties.function_app_config.as_ref().and_then(|config| config.runtime.as_ref());
    match (of_flex, fx(&site.properties).filter(|fx| !fx.is_empty())) {
        (Some(Runtime { name: Some(name), version }), _) => {
            format!("{name} {}", version.as_deref().unwrap_or_default()).trim_end().to_owned()
        }
        // Of a container the image is said elsewhere.
        (_, Some(fx)) if image_uri::stack(fx) == Stack::BuiltIn => fx.to_owned(),
        (_, Some(_)) => "container".to_owned(),
        _ => String::new(),
    }
}

/// Every site of the subscription, listed once for all kinds.
pub(crate) async fn sites(
    azure: &Azure,
    site: &Site,
    out: Option<&mut Listing>,
) -> Result<Arc<Vec<Entity<Properties>>>, CloudError> {
    shared::of_subscription(azure, site, &SITE, out).await
}

/// Every deployment slot of the subscription.
pub(crate) async fn slots(
    azure: &Azure,
    site: &Site,
    out: Option<&mut Listing>,
) -> Result<Arc<Vec<Entity<Properties>>>, CloudError> {
    let each = Box::pin(async move {
        let sites = sites(azure, site, None).await?;
        let work = sites.iter().map(|app| async move {
            match azure.list(site, SLOTS, &format!("{}/slots", app.id), API).await {
                // Gone by now.
                Err(error) if error.fault == Fault::NotFound => Ok(Vec::new()),
                slots => slots,
            }
        });
        Ok(shared::all(work.collect()).await?.into_iter().flatten().collect())
    });
    shared::entities(azure, site, &SLOT, each, out).await
}

/// The images that a site or slot runs. Asks for them where the list does not tell.
pub(crate) async fn images(
    azure: &Azure,
    site: &Site,
    app: &Entity<Properties>,
) -> Result<BTreeSet<String>, CloudError> {
    let kind = app.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
    let told = fx(&app.properties).map(str::to_owned);
    let fx = match told {
        Some(fx) if !fx.is_empty() || !kind.contains("container") => fx,
        None if !kind.contains("container") && app.properties.reserved != Some(true) => return Ok(BTreeSet::new()),
        _ => {
            #[derive(Deserialize)]
            struct Answer {
                properties: Config,
            }
            let answer: Option<Answer> = azure.maybe(site, CONFIG, &format!("{}/config/web", app.id), API).await?;
            let config = answer.map(|answer| answer.properties).unwrap_or_default();
            [config.linux_fx_version, config.windows_fx_version]
                .into_iter()
                .flatten()
                .find(|fx| !fx.is_empty())
                .unwrap_or_default()
        }
    };
    match image_uri::stack(&fx) {
        Stack::Images(images) => Ok(images.into_iter().collect()),
        Stack::BuiltIn => Ok(BTreeSet::new()),
        Stack::Unread => Err(CloudError::new(Fault::Malformed, CONFIG, "a compose file that cannot be read")),
        Stack::Sidecars => {
            #[derive(Deserialize)]
            struct Sidecar {
                properties: Image,
            }
            #[derive(Deserialize)]
            struct Image {
                image: Option<String>,
            }
            match azure.list::<Sidecar>(site, SIDECARS, &format!("{}/sitecontainers", app.id), "2024-04-01").await {
                Ok(listed) => {
                    Ok(listed.iter().filter_map(|one| image_uri::known(one.properties.image.as_deref()?)).collect())
                }
                Err(error) if error.fault == Fault::NotFound => Ok(BTreeSet::new()),
                Err(error) => Err(error),
            }
        }
    }
}

/// `2026-11-20T13:00:00.1234567`, which App Service writes without a zone and means as UTC.
pub(crate) fn instant(text: Option<&str>) -> Option<sweeper_core::model::Timestamp> {
    let text = text?;
    crate::entity::at(Some(text)).or_else(|| crate::entity::at(Some(&format!("{text}Z"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::entity;
    use sweeper_core::model::Timestamp;

    fn site(kind: &str, properties: &str) -> Entity<Properties> {
        entity(&format!(r#"{{"id":"/s","kind":"{kind}","properties":{properties}}}"#))
    }

    #[test]
    fn function_apps_are_told_by_their_kind() {
        for function in ["functionapp", "functionapp,linux", "functionapp,linux,container", "FunctionApp"] {
            assert!(is_function_app(&site(function, "{}")), "{function}");
        }
        for other in ["app", "app,linux", "functionapp,workflowapp", "functionapp,linux,workflowapp", "api"] {
            assert!(!is_function_app(&site(other, "{}")), "{other}");
        }
    }

    #[test]
    fn what_it_runs_is_told_in_two_ways_or_not_at_all() {
        let of = |properties: &str| fx(&site("app,linux", properties).properties).map(str::to_owned);
        assert_eq!(of(r#"{"siteConfig":{"linuxFxVersion":"DOCKER|a.io/b:1"}}"#).as_deref(), Some("DOCKER|a.io/b:1"));
        assert_eq!(of(r#"{"siteConfig":{"linuxFxVersion":""}}"#).as_deref(), Some(""));
        let pairs = r#"{"siteConfig":null,"siteProperties":{"properties":[{"name":"LinuxFxVersion","value":"NODE|20"},
            {"name":"WindowsFxVersion","value":null}]}}"#;
        assert_eq!(of(pairs).as_deref(), Some("NODE|20"));
        assert_eq!(of(r#"{"siteConfig":null}"#), None);
        assert_eq!(of("{}"), None);
    }

    #[test]
    fn nothing_of_the_settings_is_kept() {
        let app = site(
            "functionapp",
            r#"{"siteConfig":{"linuxFxVersion":"","appSettings":[{"name":"PASSWORD","value":"canary-4711"}],
                "connectionStrings":[{"connectionString":"canary-4711"}]},
                "siteProperties":{"appSettings":[{"name":"X","value":"canary-4711"}],"properties":null}}"#,
        );
        assert!(!format!("{app:?}").contains("canary"));
    }

    #[test]
    fn runtimes_are_for_people() {
        assert_eq!(
            runtime(&site("functionapp,linux", r#"{"siteConfig":{"linuxFxVersion":"PYTHON|3.11"}}"#)),
            "PYTHON|3.11"
        );
        let flex = r#"{"functionAppConfig":{"runtime":{"name":"node","version":"20"}}}"#;
        assert_eq!(runtime(&site("functionapp,linux", flex)), "node 20");
        assert_eq!(
            runtime(&site("functionapp", r#"{"siteConfig":{"linuxFxVersion":"DOCKER|a.io/b:1"}}"#)),
            "container"
        );
    }

    #[test]
    fn instants_have_no_zone() {
        assert_eq!(instant(Some("2026-11-20T13:00:00.91")), Timestamp::parse("2026-11-20T13:00:00Z"));
        assert_eq!(instant(Some("2026-11-20T13:00:00Z")), Timestamp::parse("2026-11-20T13:00:00Z"));
        assert_eq!(instant(Some("soon")), None);
    }
}
