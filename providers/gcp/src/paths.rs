//! Resource URLs as names.
//!
//! One disk is `https://www.googleapis.com/compute/v1/projects/p/zones/z/disks/d` in a list,
//! `//compute.googleapis.com/projects/p/zones/z/disks/d` in Recommender and `projects/p/zones/z/disks/d` in a
//! template. Here it is always the last: from `projects/` on, without host and version.

use std::borrow::Cow;
use sweeper_core::model::Scope;

/// The part of a URL from `projects/` on; the whole text where there is none.
pub(crate) fn path(url: &str) -> &str {
    if url.starts_with("projects/") {
        return url;
    }
    url.find("/projects/").map_or(url, |at| &url[at + 1..])
}

/// As [`path`], with a partial URL (`zones/z/disks/d`, `global/images/i`) taken to be of `project`.
pub(crate) fn path_in<'a>(project: &str, url: &'a str) -> Cow<'a, str> {
    let path = path(url).trim_start_matches('/');
    if ["zones/", "regions/", "global/", "locations/"].iter().any(|start| path.starts_with(start)) {
        return Cow::Owned(format!("projects/{project}/{path}"));
    }
    Cow::Borrowed(path)
}

/// The last segment: a resource's name.
pub(crate) fn last(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// The segment after `collection`: `after(url, "zones")`.
pub(crate) fn after<'a>(url: &'a str, collection: &str) -> Option<&'a str> {
    let mut segments = path(url).split('/');
    segments.find(|segment| *segment == collection)?;
    segments.next().filter(|segment| !segment.is_empty())
}

/// The zone or region a URL or a scope's key (`zones/us-central1-a`, `global`) is in; global where it names none.
pub(crate) fn place(url: &str) -> &str {
    ["zones", "regions", "locations"].iter().find_map(|collection| after(url, collection)).unwrap_or(Scope::GLOBAL)
}

/// The region of a zone (`us-central1` of `us-central1-a`), or of a region itself. Zones end in a dash and one
/// letter, or in AI zones in two parts; regions end in a number ("Regions and zones", Compute Engine).
pub(crate) fn region_of(place: &str) -> &str {
    let mut region = place;
    while let Some((front, end)) = region.rsplit_once('-') {
        if end.ends_with(|letter: char| letter.is_ascii_digit()) && !end.starts_with("ai") || !front.contains('-') {
            break;
        }
        region = front;
    }
    region
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_for_all_forms() {
        for url in [
            "https://www.googleapis.com/compute/v1/projects/p/zones/z/disks/d",
            "https://compute.googleapis.com/compute/beta/projects/p/zones/z/disks/d",
            "//compute.googleapis.com/projects/p/zones/z/disks/d",
            "projects/p/zones/z/disks/d",
        ] {
            assert_eq!(path(url), "projects/p/zones/z/disks/d");
            assert_eq!(place(url), "z");
            assert_eq!(last(url), "d");
        }
        assert_eq!(path("https://x/projects/example.com:p/global/images/i"), "projects/example.com:p/global/images/i");
        assert_eq!(path_in("p", "zones/z/disks/d"), "projects/p/zones/z/disks/d");
        assert_eq!(path_in("p", "global/images/family/f"), "projects/p/global/images/family/f");
        assert_eq!(path("nonsense"), "nonsense");
        assert_eq!(path(""), "");
    }

    #[test]
    fn places() {
        assert_eq!(place("regions/europe-west1"), "europe-west1");
        assert_eq!(place("global"), "global");
        assert_eq!(place("projects/p/global/images/i"), "global");
        assert_eq!(place("projects/p/zones/"), "global");
        assert_eq!(region_of("us-central1-a"), "us-central1");
        assert_eq!(region_of("us-central1"), "us-central1");
        assert_eq!(region_of("us-central1-ai1a"), "us-central1");
        assert_eq!(region_of("northamerica-northeast2-b"), "northamerica-northeast2");
        assert_eq!(region_of("global"), "global");
        assert_eq!(region_of(""), "");
    }
}
