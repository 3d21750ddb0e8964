//! The organisation of the demo, with the faults that it is served with and a config for it.

/// The texts of the demo, as files of their sorts.
#[derive(Debug, Clone, Copy)]
pub struct Demo {
    /// An organisation, for [`crate::Org::parse`].
    pub organisation: &'static str,
    /// Its standing faults, for [`crate::parse_faults`].
    pub faults: &'static str,
    /// The sweeper's config that a deployer of it has written.
    pub config: &'static str,
}

/// The demo.
pub fn demo() -> Demo {
    Demo {
        organisation: concat!(
            include_str!("../demo.toml"),
            include_str!("../demo-azure.toml"),
            include_str!("../demo-gcp.toml")
        ),
        faults: include_str!("../demo-faults.toml"),
        config: include_str!("../demo-config.toml"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn it_is_an_organisation_with_much_to_find() {
        let demo = super::demo();
        let org = crate::Org::parse(demo.organisation).unwrap();
        assert_eq!(crate::parse_faults(demo.faults).unwrap().len(), 1);
        let resources: usize = org.resources.iter().map(|resource| resource.numbers().len()).sum();
        assert!((300..1000).contains(&resources), "{resources} resources");
        let truth = org.truth();
        let detectors: BTreeSet<&str> = truth.iter().map(|one| one.detector.as_str()).collect();
        // Every detector there is, and a condition without one.
        assert_eq!(detectors.len(), 32, "{detectors:?}");
        assert!(truth.iter().any(|one| one.verdict == "unknown"));
        let mut ids = BTreeSet::new();
        for resource in &org.resources {
            for number in resource.numbers() {
                let id = (&resource.kind, &resource.account, &resource.region, resource.id_of(number));
                assert!(ids.insert(id.clone()), "{id:?} is there twice");
            }
        }
    }
}
