//! What a run needs beside what its kinds declare.

use crate::{graph, locks, rights, universe};
use sweeper_core::kind::{Held, Need};

/// Permissions that no kind declares, or that hold for all of them.
pub const NEEDS: &[Need] = &[
    Need {
        permission: universe::TENANTS,
        why: "to know the tenant, whose root group has its name",
        held: Held::Nowhere,
    },
    Need { permission: universe::DESCENDANTS, why: "to list what is below the management group", held: Held::Parent },
    Need { permission: universe::SUBSCRIPTIONS, why: "to name the subscriptions", held: Held::Account },
    Need { permission: rights::OP, why: "to be sure that nothing is left out of a list", held: Held::Account },
    Need { permission: graph::OP, why: "to list with one query for all subscriptions", held: Held::Account },
    Need { permission: locks::OP, why: "to know what locks protect", held: Held::Account },
];
