//! A server of canned answers on loopback, for tests.
