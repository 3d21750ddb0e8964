//! XML answers that end early.
//!
//! The SDK reads XML as a stream of elements and takes the end of the text for the end of each of them, so a
//! document that was cut off in a proxy, with a length to match, reads as a shorter list. Here it is an error.

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::AfterDeserializationInterceptorContextRef},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use sweeper_core::{clocks::Clocks, model::CloudId};

/// Refuses successful answers whose document does not end, and hears what every answer says of the time.
#[derive(Clone, Debug)]
pub(crate) struct Whole(pub(crate) Clocks);

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if let Some(date) = response.headers().get("date") {
            self.0.told(CloudId::Aws, date);
        }
        match response.body().bytes() {
            Some(text) if response.status().is_success() && !ends(text) => Err("the XML document does not end".into()),
            _ => Ok(()),
        }
    }
}

/// Whether a text is no XML document, or one whose root element is closed at its end.
fn ends(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
    if !text.starts_with(b"<") {
        return true;
    }
    let mut rest = text;
    // Declarations, comments and the like before the root.
    while rest.starts_with(b"<?") || rest.starts_with(b"<!") {
        let close: &[u8] = if rest.starts_with(b"<!--") { b"-->" } else { b">" };
        let Some(at) = rest.windows(close.len()).position(|window| window == close) else { return false };
        rest = rest[at + close.len()..].trim_ascii_start();
    }
    let Some(root) = rest.strip_prefix(b"<") else { return false };
    let name = root.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/')).next().unwrap_or_default();
    if name.is_empty() {
        return false;
    }
    // The whole document is one empty element.
    if root.iter().position(|byte| *byte == b'>') == Some(root.len() - 1) && root.ends_with(b"/>") {
        return true;
    }
    let last = text.strip_suffix(b">").map(<[u8]>::trim_ascii_end);
    last.and_then(|last| last.strip_suffix(name)).is_some_and(|last| last.ends_with(b"</"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_ends_with_its_root() {
        let whole = "<?xml version=\"1.0\"?>\n<!-- a > b -->\n<List xmlns=\"x\"><item>a</item></List>\n";
        assert!(ends(whole.as_bytes()));
        for cut in 1..whole.trim_end().len() {
            assert!(!ends(&whole.as_bytes()[..cut]), "{}", &whole[..cut]);
        }
        for good in ["", "{}", "  \n", "<a/>", "<a b=\"c\" />", "\u{feff}<a></a >"] {
            assert!(ends(good.as_bytes()), "{good}");
        }
        for bad in ["<a", "<a>", "<a/", "<a><b/>", "<a></b>", "<!", "<", "< a>"] {
            assert!(!ends(bad.as_bytes()), "{bad}");
        }
    }
}
