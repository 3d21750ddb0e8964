//! Web apps, and the deployment slots of web and function apps: listed for the images they run.

use crate::{
    arm::Azure,
    entity::{Common, Entity},
    graph, locks, rights, shared,
    web::{self, CONFIG, Properties, SIDECARS, SITES, SLOTS},
};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::Site,
    facts::Referrer,
    inventory::Listing,
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.web-app",
    cloud: CloudId::Azure,
    class: Class::Referrer,
    title: "web app or deployment slot",
    places: Places::Account,
    reads: &[SITES, SLOTS, CONFIG, SIDECARS, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "listed for the images it runs",
    acts: &[],
};

pub(super) struct WebApp(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for WebApp {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let sites = web::sites(&self.0, site, Some(&mut *out)).await?;
        let slots = web::slots(&self.0, site, Some(&mut *out)).await?;
        let around = self.0.around(site, SITES, out).await;
        if let Err(why) = rights::held(&self.0, site, SLOTS).await {
            out.blind_in(sweeper_core::model::Scope::GLOBAL, why);
        }
        let apps: Vec<_> = sites.iter().filter(|app| !web::is_function_app(app)).chain(slots.iter()).collect();
        let work: Vec<_> = apps.iter().map(|app| web::images(&self.0, site, app)).collect();
        let mut results = stream::iter(work).buffered(shared::AT_ONCE);
        let mut at = apps.iter();
        while let Some(images) = results.next().await {
            let Some(app) = at.next() else { break };
            let common = around.common(app);
            match images {
                Ok(images) => push(app, &common, &images, out),
                Err(error) if shared::stops(&error) => return Err(error),
                Err(error) => {
                    out.blind_in(&common.region, error.cause());
                    push(app, &common, &BTreeSet::new(), out);
                }
            }
        }
        Ok(())
    }
}

fn push(app: &Entity<Properties>, common: &Common, images: &BTreeSet<String>, out: &mut Listing) {
    let mut draft = common.draft(app, Referrer {});
    draft.uses = images.iter().map(|image| (Relation::Referenced, image.as_str())).collect();
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, error, lists};
    use sweeper_core::inventory::Status;

    const APPS: &[(&str, &str)] = &[
        (
            "Microsoft.Web/sites",
            r#"{"id":"/s/front","kind":"app,linux,container","location":"West Europe","properties":{"siteConfig":{"linuxFxVersion":"DOCKER|shop.azurecr.io/web:1"}}},
               {"id":"/s/quiet","kind":"app,linux,container","location":"West Europe","properties":{"siteConfig":null}},
               {"id":"/s/calls","kind":"functionapp,linux","location":"West Europe","properties":{"siteConfig":{"linuxFxVersion":"NODE|20"}}}"#,
        ),
        (
            "/s/front/slots",
            r#"{"id":"/s/front/slots/next","kind":"app,linux","location":"West Europe","properties":{"siteConfig":{"linuxFxVersion":"DOCKER|shop.azurecr.io/web:2"}}}"#,
        ),
        ("/s/calls/slots", ""),
    ];

    fn images(inventory: &sweeper_core::inventory::Inventory) -> Vec<(&str, Vec<&str>)> {
        inventory.resources().map(|app| (app.native_id(), app.uses().map(|(_, image)| image).collect())).collect()
    }

    #[tokio::test]
    async fn what_a_list_does_not_tell_is_asked() {
        let answer = lists(APPS);
        let server = Server::start(move |asked| {
            let told = r#"{"properties":{"linuxFxVersion":"DOCKER|shop.azurecr.io/web:3","appSettings":null}}"#;
            if asked.path.contains("/s/quiet/config/web") {
                (200, String::new(), told.to_owned())
            } else {
                answer(asked)
            }
        })
        .await;
        let inventory = server.inventory(|azure| vec![Arc::new(WebApp(Arc::clone(azure)))]).await.unwrap();
        assert_eq!(
            images(&inventory),
            [
                ("/s/front", vec!["shop.azurecr.io/web:1"]),
                ("/s/quiet", vec!["shop.azurecr.io/web:3"]),
                ("/s/front/slots/next", vec!["shop.azurecr.io/web:2"]),
            ]
        );
    }

    #[tokio::test]
    async fn what_may_not_be_asked_is_blind_where_it_is() {
        let answer = lists(APPS);
        let server = Server::start(move |asked| {
            if asked.path.contains("/config/web") { error(403, "AuthorizationFailed") } else { answer(asked) }
        })
        .await;
        let inventory = server.inventory(|azure| vec![Arc::new(WebApp(Arc::clone(azure)))]).await.unwrap();
        assert_eq!(images(&inventory).len(), 3, "what was listed is kept");
        let blind = inventory.coverage().into_iter().find(|(_, scope, _)| scope.region == "westeurope").unwrap();
        assert_eq!(blind.2.status, Status::Blind { why: format!("denied {CONFIG}") });
    }
}
