//! How workloads name container images.

/// The names a registry's listing knows the image of a URI by: `repository@sha256:…`, `repository:tag`, or
/// both. The registry's host is dropped, whichever it is: a proxy or an alias may stand before a registry
/// that is listed, and a name that matches by chance only keeps an image.
pub(crate) fn names(uri: &str) -> Vec<String> {
    let (repository, tag, digest) = parts(uri);
    if repository.is_empty() {
        return Vec::new();
    }
    // What neither a tag nor a digest names is the tag `latest`.
    let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
    let by_digest = digest.map(|digest| format!("{repository}@{digest}"));
    by_digest.into_iter().chain(tag.map(|tag| format!("{repository}:{tag}"))).collect()
}

/// The name of the image that a URI was resolved to.
pub(crate) fn at_digest(uri: &str, digest: &str) -> Option<String> {
    let (repository, _, _) = parts(uri);
    (!repository.is_empty() && !digest.is_empty()).then(|| format!("{repository}@{digest}"))
}

/// Repository, tag and digest.
fn parts(uri: &str) -> (&str, Option<&str>, Option<&str>) {
    let uri = uri.trim();
    let path = match uri.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => uri,
    };
    let (named, digest) = match path.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (path, None),
    };
    match named.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag), digest),
        None => (named, None, digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_without_its_host() {
        let host = "111111111111.dkr.ecr.us-east-1.amazonaws.com";
        assert_eq!(names(&format!("{host}/team/web:1.2")), ["team/web:1.2"]);
        assert_eq!(names(&format!("{host}/web@sha256:ab")), ["web@sha256:ab"]);
        assert_eq!(names(&format!("{host}/web:1@sha256:ab")), ["web@sha256:ab", "web:1"]);
        assert_eq!(names(&format!("{host}/web")), ["web:latest"]);
        assert_eq!(names("localhost:5000/web:1"), ["web:1"]);
        assert_eq!(names("team/web:1"), ["team/web:1"]);
        assert!(names("").is_empty());
        assert!(names("host.example/").is_empty());
        assert_eq!(at_digest(&format!("{host}/web:1"), "sha256:ab").as_deref(), Some("web@sha256:ab"));
        assert_eq!(at_digest("", "sha256:ab"), None);
    }
}
