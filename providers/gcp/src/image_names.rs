//! How workloads name container images.

/// The names a registry's listing knows the image of a URI by: `project/repository/image@sha256:…`,
/// `project/repository/image:tag`, or both. The host is dropped: it only says where the registry is, and a name that
/// matches by chance only keeps an image.
pub(crate) fn names(uri: &str) -> Vec<String> {
    let uri = uri.trim();
    let path = match uri.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => uri,
    };
    let (named, digest) = match path.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (path, None),
    };
    // A colon before the last slash is none of a tag: projects may be called `example.com:web`.
    let (image, tag) = match named.rsplit_once(':') {
        Some((image, tag)) if !tag.contains('/') => (image, Some(tag)),
        _ => (named, None),
    };
    if image.is_empty() {
        return Vec::new();
    }
    // What neither a tag nor a digest names is the tag `latest`.
    let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
    let by_digest = digest.map(|digest| format!("{image}@{digest}"));
    by_digest.into_iter().chain(tag.map(|tag| format!("{image}:{tag}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_without_its_host() {
        assert_eq!(names("us-docker.pkg.dev/p/r/web@sha256:ab"), ["p/r/web@sha256:ab"]);
        assert_eq!(names("us-docker.pkg.dev/p/r/team/web:1.2"), ["p/r/team/web:1.2"]);
        assert_eq!(names("us-docker.pkg.dev/p/r/web:1@sha256:ab"), ["p/r/web@sha256:ab", "p/r/web:1"]);
        assert_eq!(names("gcr.io/p/web"), ["p/web:latest"]);
        assert_eq!(names("gcr.io/example.com/p/web:2"), ["example.com/p/web:2"]);
        assert_eq!(names("us-docker.pkg.dev/example.com:p/r/web"), ["example.com:p/r/web:latest"]);
        assert_eq!(names("nginx"), ["nginx:latest"]);
        assert!(names("").is_empty());
        assert!(names("host.example/").is_empty());
    }
}
