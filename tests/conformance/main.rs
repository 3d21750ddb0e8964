//! Conformance: the binary against an emulated cloud that withholds, stumbles and lies, over the real SDK.
//!
//! The scenarios say what is found in small organisations. Here one organisation, `org.toml`, is looked at
//! again and again, each time with something taken away, and the outcome is compared with that of the
//! undisturbed run. What holds: nothing is found because something was not seen; nothing is lost without a
//! word; what is out of reach of the disturbance stays the same to the byte; the exit code tells.
//!
//! | module | what it takes away |
//! |---|---|
//! | `permissions` | each declared permission in turn; a region; an account |
//! | `calls` | nothing: what is called is what is declared, and once |
//! | `weather` | good answers: throttling, errors, cuts, nonsense, silence |
//! | `outside` | credentials, the endpoint, the name service |
//! | `secrets` | nothing: what must stay in the cloud stays there |
//! | `same` | nothing: the same organisation in each cloud |
//! | `surveys` | the cloud: the same file gives the same bytes, and a damaged one an error |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[cfg(feature = "aws")]
mod calls;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod oracle;
#[cfg(feature = "aws")]
mod outside;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod permissions;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod same;
#[cfg(feature = "aws")]
mod secrets;
#[cfg(feature = "aws")]
mod surveys;
#[cfg(feature = "aws")]
mod weather;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod world;
