//! gRPC by hand: the frame of a message, and the trailers of an answer that is an error.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost::Message;

use crate::http::{Reply, WireError};
use crate::rest::Req;

/// The message of a call with one request: five bytes (uncompressed, length) and what they promise.
fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (head, message) = body.split_first_chunk::<5>()?;
    let [compressed, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    (compressed == 0 && length == message.len()).then_some(message)
}

/// A call's request.
pub(super) fn request<M: Message + Default>(req: &Req) -> Result<M, WireError> {
    unframed(&req.body)
        .and_then(|message| M::decode(message).ok())
        .ok_or_else(|| WireError::new(400, "INTERNAL", "Failed to parse the request message."))
}

/// An answer.
pub(super) fn answer(message: &impl Message) -> Reply {
    Reply::Grpc(message.encode_to_vec())
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(at: jiff::Timestamp) -> Timestamp {
        Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
    }
}

/// google.protobuf.Duration, of whole seconds.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Duration {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldMask {
    #[prost(string, repeated, tag = "1")]
    pub(super) paths: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// The number of a canonical status.
fn code(status: &str) -> i32 {
    match status {
        "INVALID_ARGUMENT" => 3,
        "NOT_FOUND" => 5,
        "PERMISSION_DENIED" | "SERVICE_DISABLED" => 7,
        "RESOURCE_EXHAUSTED" => 8,
        "FAILED_PRECONDITION" => 9,
        "UNIMPLEMENTED" => 12,
        "INTERNAL" => 13,
        "UNAVAILABLE" => 14,
        "UNAUTHENTICATED" => 16,
        _ => 2,
    }
}

/// The trailers of an error, with what the error model says beside the message.
pub(super) fn trailers(
    error: &WireError,
    info: Option<(&str, &str, BTreeMap<String, String>)>,
) -> Vec<(String, String)> {
    let code = code(&error.code);
    let mut trailers =
        vec![("grpc-status".to_owned(), code.to_string()), ("grpc-message".to_owned(), percent(&error.message))];
    if let Some((reason, domain, metadata)) = info {
        let info = ErrorInfo { reason: reason.to_owned(), domain: domain.to_owned(), metadata };
        let any = Any { type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(), value: info.encode_to_vec() };
        let status = Status { code, message: error.message.clone(), details: vec![any] };
        trailers.push(("grpc-status-details-bin".to_owned(), base64(&status.encode_to_vec())));
    }
    trailers
}

/// A message as gRPC writes it in a header: all but printable ASCII as `%XX`.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (0x20..0x7f).contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Base64 without padding, as binary headers have it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let at = group >> (18 - 6 * digit) & 0x3f;
            out.extend(DIGITS.get(at as usize).map(|digit| char::from(*digit)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_or_nothing() {
        let framed = |length: u32, body: &[u8]| {
            let mut bytes = vec![0];
            bytes.extend(length.to_be_bytes());
            bytes.extend(body);
            bytes
        };
        assert_eq!(unframed(&framed(3, b"abc")), Some(&b"abc"[..]));
        assert_eq!(unframed(&framed(0, b"")), Some(&b""[..]));
        for bad in [framed(4, b"abc"), framed(2, b"abc"), b"\0\0\0".to_vec(), b"\x01\0\0\0\0".to_vec(), Vec::new()] {
            assert_eq!(unframed(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn headers_are_printable() {
        assert_eq!(percent("50% é\n"), "50%25 %C3%A9%0A");
        for (bytes, text) in [(&b""[..], ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"foob", "Zm9vYg")] {
            assert_eq!(base64(bytes), text);
        }
        let error = WireError::new(403, "SERVICE_DISABLED", "off");
        let trailers = trailers(&error, Some(("SERVICE_DISABLED", "googleapis.com", BTreeMap::new())));
        assert_eq!(trailers[0], ("grpc-status".to_owned(), "7".to_owned()));
        assert_eq!(trailers[2].0, "grpc-status-details-bin");
    }
}
