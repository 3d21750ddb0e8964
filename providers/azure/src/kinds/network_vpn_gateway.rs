//! Gateways between a network and others: VPN gateways, and those of ExpressRoute circuits.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Ref, Sku, Sort, part},
    graph, locks, rights, shared,
};
use async_trait::async_trait;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    calls::Site,
    facts::Appliance,
    inventory::Listing,
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-vpn-gateway",
    cloud: CloudId::Azure,
    class: Class::Appliance,
    title: "virtual network gateway",
    places: Places::Account,
    reads: &[LIST, CONNECTIONS, RESOURCES, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "traffic of a whole network may hang on it",
    acts: &[],
};

const LIST: &str = "Microsoft.Network/virtualNetworkGateways/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/virtualNetworkGateways",
    columns: "",
    filter: "",
    api: "2024-05-01",
};

const CONNECTIONS: &str = "Microsoft.Network/connections/read";

static CONNECTION: Sort = Sort {
    op: CONNECTIONS,
    table: "resources",
    of: "Microsoft.Network/connections",
    columns: "",
    filter: "",
    api: "2024-05-01",
};

/// Resource Manager lists gateways and connections by resource group only: the groups are told by the list of all.
const RESOURCES: &str = "Microsoft.Resources/subscriptions/resources/read";

/// Of a gateway between a network and others.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    gateway_type: Option<String>,
    sku: Option<Sku>,
    provisioning_state: Option<String>,
    vpn_client_configuration: Option<Clients>,
}

/// Point to site.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Clients {
    vpn_client_address_pool: Option<Space>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Space {
    address_prefixes: Option<Vec<serde::de::IgnoredAny>>,
}

/// Of a connection: the gateways at its ends.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Connection {
    virtual_network_gateway1: Option<Ref>,
    virtual_network_gateway2: Option<Ref>,
}

/// How many connections each gateway has, by its id in lower case.
fn connected(connections: &[Entity<Connection>]) -> BTreeMap<String, u32> {
    let mut connected = BTreeMap::new();
    for connection in connections {
        let ends = [&connection.properties.virtual_network_gateway1, &connection.properties.virtual_network_gateway2];
        for end in ends.into_iter().filter_map(|end| end.as_ref()?.id.as_deref()) {
            *connected.entry(end.to_ascii_lowercase()).or_default() += 1;
        }
    }
    connected
}

pub(super) struct NetworkVpnGateway(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for NetworkVpnGateway {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let azure = &self.0;
        let list = Box::pin(by_group(azure, site, &SORT));
        let gateways = shared::entities(azure, site, &SORT, list, Some(&mut *out)).await?;
        let list = Box::pin(by_group(azure, site, &CONNECTION));
        let connected = match shared::entities(azure, site, &CONNECTION, list, None).await {
            Ok(connections) => rights::held(azure, site, CONNECTIONS).await.map(|()| connected(&connections)),
            Err(error) if shared::stops(&error) => return Err(error),
            Err(error) => Err(error.cause()),
        };
        let connected = connected.map_err(|why| out.hides(why)).ok();
        let around = azure.around(site, LIST, out).await;
        for gateway in gateways.iter() {
            push(gateway, &around.common(gateway), connected.as_ref(), out);
        }
        Ok(())
    }
}

async fn by_group<P>(azure: &Azure, site: &Site, sort: &'static Sort) -> Result<Vec<Entity<P>>, CloudError>
where
    P: DeserializeOwned + Send,
{
    let subscription = &site.scope().account;
    let path = format!("/subscriptions/{subscription}/resources?$filter=resourceType eq '{}'", sort.of);
    let listed: Vec<Ref> = azure.list(site, RESOURCES, &path, "2021-04-01").await?;
    let groups: BTreeSet<String> =
        listed.iter().filter_map(|listed| part(listed.id.as_deref()?, "resourceGroups")).map(str::to_owned).collect();
    let work = groups.iter().map(|group| async move {
        let path = format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{}", sort.of);
        match azure.list(site, sort.op, &path, sort.api).await {
            // Gone by now.
            Err(error) if error.fault == Fault::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    });
    Ok(shared::all(work.collect()).await?.into_iter().flatten().collect())
}

/// `connected` is `None` where the connections could not be listed.
fn push(entity: &Entity<Properties>, common: &Common, connected: Option<&BTreeMap<String, u32>>, out: &mut Listing) {
    let properties = &entity.properties;
    let pool =
        properties.vpn_client_configuration.as_ref().and_then(|clients| clients.vpn_client_address_pool.as_ref());
    let clients = pool.and_then(|pool| pool.address_prefixes.as_ref()).is_some_and(|prefixes| !prefixes.is_empty());
    let connections = connected.map(|connected| connected.get(&entity.id.to_ascii_lowercase()).copied().unwrap_or(0));
    let state = properties.provisioning_state.as_deref().unwrap_or_default();
    let sku = properties.sku.clone().unwrap_or_default();
    let circuits = properties.gateway_type.as_deref().is_some_and(|sort| sort.eq_ignore_ascii_case("ExpressRoute"));
    let facts = Appliance {
        sort: out.sym(if circuits { "ExpressRoute gateway" } else { "VPN gateway" }),
        tier: out.sym(sku.name.as_deref().unwrap_or_default()),
        state: out.sym(state),
        active: !state.eq_ignore_ascii_case("Deleting"),
        serves: if clients { Some(connections.unwrap_or(0).saturating_add(1)) } else { connections },
    };
    out.push(common.draft(entity, facts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::{appliance, entity, rows};
    use crate::testing::{Server, lists, page};

    #[test]
    fn connections_at_either_end_and_clients_are_served() {
        let connections = [entity(
            r#"{"id":"/c","properties":{"virtualNetworkGateway1":{"id":"/ROW"},
            "virtualNetworkGateway2":{"id":"/far"}}}"#,
        )];
        let (ends, none) = (connected(&connections), BTreeMap::new());
        let of = |properties: &str, ends| {
            appliance(&SPEC, properties, |entity, common, out| push(entity, common, ends, out)).serves
        };
        let vpn = r#"{"gatewayType":"Vpn"}"#;
        assert_eq!(of(vpn, Some(&ends)), Some(1));
        assert_eq!(of(vpn, Some(&none)), Some(0));
        assert_eq!(of(vpn, None), None);
        let clients = r#"{"gatewayType":"Vpn","vpnClientConfiguration":{"vpnClientAddressPool":{"addressPrefixes":["10.0.0.0/24"]}}}"#;
        assert_eq!(of(clients, Some(&none)), Some(1));
        assert_eq!(of(clients, None), Some(1));
        let protocols = r#"{"gatewayType":"Vpn","vpnClientConfiguration":{"vpnClientProtocols":["OpenVPN"]}}"#;
        assert_eq!(of(protocols, Some(&none)), Some(0));
    }

    #[test]
    fn a_gateway_of_circuits_says_so() {
        let row = r#"{"id":"/row","properties":{"gatewayType":"ExpressRoute"}}"#;
        let inventory = rows(&SPEC, row, |entity, common, out| push(entity, common, None, out));
        assert!(inventory.find("ExpressRoute gateway").is_some());
    }

    #[tokio::test]
    async fn without_resource_graph_each_group_is_asked() {
        let group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/Net";
        let answer = lists(&[
            (
                "resourceGroups/Net/providers/Microsoft.Network/virtualNetworkGateways",
                r#"{"id":"/g/used","properties":{"gatewayType":"Vpn"}},{"id":"/g/idle","properties":{"gatewayType":"Vpn"}}"#,
            ),
            (
                "resourceGroups/Net/providers/Microsoft.Network/connections",
                r#"{"id":"/c","properties":{"virtualNetworkGateway1":{"id":"/G/used"}}}"#,
            ),
        ]);
        let server = Server::start(move |asked| {
            if !asked.path.contains("/resources?") {
                return answer(asked);
            }
            let of = if asked.path.contains("connections") { "connections/c" } else { "virtualNetworkGateways/g" };
            page(&format!(r#"{{"id":"{group}/providers/Microsoft.Network/{of}"}}"#))
        })
        .await;
        let inventory = server.inventory(|azure| vec![Arc::new(NetworkVpnGateway(Arc::clone(azure)))]).await.unwrap();
        let serves: Vec<_> = inventory
            .resources()
            .map(|one| match one.facts() {
                sweeper_core::facts::FactsRef::Appliance(facts) => (one.native_id(), facts.serves),
                _ => panic!(),
            })
            .collect();
        assert_eq!(serves, [("/g/used", Some(1)), ("/g/idle", Some(0))]);
    }
}
