//! Which facts are texts, so that a column can move from one inventory to another.

use super::{
    Address, Appliance, Artifact, Bucket, Cluster, Database, DbSnapshot, Disk, Endpoint, FactColumn, Function,
    FunctionVersion, Gateway, Image, Interface, LoadBalancer, LogGroup, Plan, RecoveryPoint, Referrer, Registry,
    SecurityGroup, Snapshot, Sym, TargetGroup, Upload, Vm,
};

macro_rules! symbols {
    ($($variant:ident [$($field:ident),*]),* $(,)?) => {
        impl FactColumn {
            /// Replaces every symbol by the one that stands for the same text elsewhere.
            pub(crate) fn renumber(&mut self, mut other: impl FnMut(Sym) -> Sym) {
                match self {
                    $(Self::$variant(column) => for facts in column {
                        let $variant { $($field,)* .. } = facts;
                        $(*$field = other(*$field);)*
                    })*
                }
            }
        }

        /// By class, as it is declared above.
        #[cfg(test)]
        const FIELDS: &[(&str, &[&str])] = &[$((stringify!($variant), &[$(stringify!($field)),*])),*];
    };
}

symbols! {
    Vm [vm_type, image],
    Disk [tier, source_snapshot],
    Snapshot [source],
    Image [],
    Artifact [container],
    Registry [],
    Bucket [],
    Upload [container, key],
    Function [runtime],
    FunctionVersion [function],
    Address [ip],
    Interface [state, requester, description],
    Gateway [state],
    Endpoint [service, state],
    LoadBalancer [state],
    TargetGroup [target_type],
    Database [engine, db_class, cluster, storage_type],
    DbSnapshot [source, engine],
    RecoveryPoint [source, source_type, vault],
    LogGroup [],
    Plan [tier],
    Appliance [sort, tier, state],
    SecurityGroup [],
    Cluster [version, state],
    Referrer [],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text that is not in the list would become another one when its column moves.
    #[test]
    fn every_text_of_every_class_is_listed() {
        let source = include_str!("../facts.rs");
        let mut seen = 0;
        for (class, fields) in FIELDS {
            let (_, after) = source.split_once(&format!("pub struct {class} {{")).unwrap();
            let body = after.split('}').next().unwrap();
            let lines = body.lines().filter_map(|line| line.trim().strip_suffix(": Sym,"));
            let texts: Vec<&str> = lines.filter_map(|line| line.strip_prefix("pub ")).collect();
            assert_eq!(texts, *fields, "{class}");
            seen += texts.len();
        }
        assert_eq!(source.matches(": Sym").count(), seen, "a symbol stands in another place of the facts");
    }
}
