//! Usage by Azure Monitor.
