//! Names of container images as workloads write them, in the form that images are known by here.

/// The most bytes of a compose file that are read.
const LARGEST_COMPOSE: usize = 256 * 1024;

/// `shop.azurecr.io/web:1` or `shop.azurecr.io/web@sha256:…`, from any way of writing it; `None` for what names no
/// image of a registry with a host. Without tag or digest it is `latest` (OCI reference grammar; the host has no
/// case). A digest beside a tag decides.
pub(crate) fn known(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['"', '\'']);
    let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let (host, rest) = text.split_once('/')?;
    if !host.contains('.') || rest.is_empty() || text.len() > 1024 || text.contains(char::is_whitespace) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let (name, digest) = rest.split_once('@').map_or((rest, None), |(name, digest)| (name, Some(digest)));
    let (start, last) = name.rsplit_once('/').map_or(("", name), |(start, last)| (start, last));
    let (last, tag) = last.split_once(':').map_or((last, None), |(last, tag)| (last, Some(tag)));
    let repository = if start.is_empty() { last.to_owned() } else { format!("{start}/{last}") };
    Some(match (digest, tag) {
        (Some(digest), _) => format!("{host}/{repository}@{digest}"),
        (None, Some(tag)) => format!("{host}/{repository}:{tag}"),
        (None, None) => format!("{host}/{repository}:latest"),
    })
}

/// What App Service runs: `DOCKER|shop.azurecr.io/web:1`, `COMPOSE|` and a compose file in base64, or a built-in stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// These images.
    Images(Vec<String>),
    /// Images in containers of their own, which another call lists.
    Sidecars,
    /// None.
    BuiltIn,
    /// Images that could not be read.
    Unread,
}

/// Reads `linuxFxVersion` or `windowsFxVersion`.
pub(crate) fn stack(text: &str) -> Stack {
    use base64::Engine as _;
    let (sort, what) = text.split_once('|').unwrap_or((text, ""));
    match sort.to_ascii_uppercase().as_str() {
        "DOCKER" => Stack::Images(known(what).into_iter().collect()),
        "COMPOSE" | "KUBE" => {
            let file = base64::engine::general_purpose::STANDARD.decode(what.trim()).ok();
            let file = file.filter(|file| file.len() <= LARGEST_COMPOSE).and_then(|file| String::from_utf8(file).ok());
            let Some(file) = file else { return Stack::Unread };
            let images = file.lines().filter_map(|line| {
                let line = line.trim_start().trim_start_matches("- ");
                known(line.strip_prefix("image:")?.split(" #").next()?)
            });
            Stack::Images(images.collect())
        }
        "SITECONTAINERS" => Stack::Sidecars,
        _ => Stack::BuiltIn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_however_it_is_written() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (written, known_as) in [
            ("Shop.azurecr.io/web:1", "shop.azurecr.io/web:1".to_owned()),
            ("https://shop.azurecr.io/team/web", "shop.azurecr.io/team/web:latest".to_owned()),
            (&format!("shop.azurecr.io/team/web:1@{digest}"), format!("shop.azurecr.io/team/web@{digest}")),
            ("\"shop.azurecr.io/web:1\"", "shop.azurecr.io/web:1".to_owned()),
        ] {
            assert_eq!(known(written), Some(known_as), "{written}");
        }
        for none in ["nginx", "library/nginx:1", "", "shop.azurecr.io/", "a b.c/d", "/x"] {
            assert_eq!(known(none), None, "{none}");
        }
    }

    #[test]
    fn app_service_names_its_images() {
        assert_eq!(stack("DOCKER|shop.azurecr.io/web:1"), Stack::Images(vec!["shop.azurecr.io/web:1".to_owned()]));
        assert_eq!(stack("Docker|nginx"), Stack::Images(Vec::new()));
        assert_eq!(stack("DOTNET|8.0"), Stack::BuiltIn);
        assert_eq!(stack(""), Stack::BuiltIn);
        assert_eq!(stack("sitecontainers"), Stack::Sidecars);
        assert_eq!(stack("COMPOSE|%%%"), Stack::Unread);
        // services:\n  web:\n    image: shop.azurecr.io/web:2 # new\n  db:\n    image: postgres
        let file = "c2VydmljZXM6CiAgd2ViOgogICAgaW1hZ2U6IHNob3AuYXp1cmVjci5pby93ZWI6MiAjIG5ldwogIGRiOgogICAgaW1hZ2U6IHBvc3RncmVzCg==";
        assert_eq!(stack(&format!("COMPOSE|{file}")), Stack::Images(vec!["shop.azurecr.io/web:2".to_owned()]));
    }
}
