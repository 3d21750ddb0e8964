//! Paging with opaque tokens.

use crate::http::WireError;

/// One page of `items`: the smaller of what the request and the options allow, from where the token
/// points, with the token of the next page if there is one.
pub(crate) fn page<T: Clone>(
    items: &[T],
    request_max: Option<usize>,
    token: Option<&str>,
    options_cap: Option<usize>,
) -> Result<(Vec<T>, Option<String>), WireError> {
    let start = match token {
        None | Some("") => 0,
        Some(token) => {
            decode(token).ok_or_else(|| WireError::new(400, "InvalidNextToken", "The token provided is invalid."))?
        }
    };
    let size = request_max.unwrap_or(usize::MAX).min(options_cap.unwrap_or(usize::MAX)).max(1);
    let start = start.min(items.len());
    let end = start.saturating_add(size).min(items.len());
    let next = (end < items.len()).then(|| encode(end));
    Ok((items[start..end].to_vec(), next))
}

// The tokens carry an offset and a checksum, scrambled so that no client takes one for a number.
const KEY: u64 = 0x9e37_79b9_7f4a_7c15;

fn checksum(offset: u64) -> u32 {
    let mixed = (offset ^ KEY).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 32) as u32
}

fn encode(offset: usize) -> String {
    let offset = offset as u64;
    format!("eyJ{:016x}{:08x}", offset ^ KEY, checksum(offset))
}

fn decode(token: &str) -> Option<usize> {
    let rest = token.strip_prefix("eyJ")?;
    if rest.len() != 24 || !rest.is_ascii() {
        return None;
    }
    let offset = u64::from_str_radix(&rest[..16], 16).ok()? ^ KEY;
    let sum = u32::from_str_radix(&rest[16..], 16).ok()?;
    (sum == checksum(offset)).then(|| usize::try_from(offset).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_once_whatever_the_page() {
        let items: Vec<u32> = (0..23).collect();
        for cap in [None, Some(1), Some(5), Some(22), Some(23), Some(24)] {
            let (mut seen, mut token, mut turns) = (Vec::new(), None, 0);
            loop {
                let (part, next) = page(&items, Some(10), token.as_deref(), cap).unwrap();
                seen.extend(part);
                turns += 1;
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(seen, items);
            assert_eq!(turns, 23_usize.div_ceil(cap.unwrap_or(10).min(10)));
        }
    }

    #[test]
    fn unknown_tokens_are_refused() {
        for token in ["x", "eyJ", "5", "eyJ00000000000000000000000g", "eyJé"] {
            assert_eq!(page(&[1], None, Some(token), None).unwrap_err().code, "InvalidNextToken");
        }
        let good = encode(7);
        let bad = good.replace(good.chars().last().unwrap(), "z");
        assert_eq!(decode(&good), Some(7));
        assert_eq!(decode(&bad), None);
    }
}
