//! What this process takes: the sweeper must not itself be a leak.

use super::{Measures, catalogue as of};

impl Measures {
    /// Of this process, as far as the system tells.
    pub fn process() -> Self {
        let mut measures = Self::default();
        measures.set(&of::BUILD, &[env!("CARGO_PKG_VERSION")], 1_u64);
        if let Some(bytes) = resident() {
            measures.set(&of::RESIDENT, &[], bytes);
        }
        if let Some(count) = descriptors() {
            measures.set(&of::DESCRIPTORS, &[], count);
        }
        measures
    }
}

/// `VmRSS` in proc(5) is in units of 1024 bytes.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Without the one that looks at them.
fn descriptors() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    Some((entries.count() as u64).saturating_sub(1))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn it_is_measured() {
        let open = std::fs::File::open("/proc/self/status").unwrap();
        let before = descriptors().unwrap();
        drop(open);
        assert!(before >= 1);
        assert!(resident().unwrap() > 100_000);
        assert!(Measures::process().prometheus().contains("sweeper_process_open_descriptors "));
    }
}
