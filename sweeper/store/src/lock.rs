//! One writing process per state file of a machine: a lock that the system gives up with the process, so that
//! a run that follows one that was killed need not wait for its lease to run out.

use std::{
    fs::{self, File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};
use sweeper_core::store::StoreError;

/// File systems whose locks do not hold, or not everywhere: sqlite.org/howtocorrupt.html section 2.1.
const NETWORKS: [&str; 13] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "lustre",
    "beegfs",
    "fuse.s3fs",
];

/// The lock beside a state file. It is held until this is dropped, or the process ends however it ends.
///
/// Every process takes it before it takes the lease of a state in a file. So whoever has it knows that no
/// other holder of that lease is alive, and may [succeed](sweeper_core::lease::Lease::succeed) it.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock of the state file at `path`, without waiting.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process has it; [`StoreError::Unwritable`] where it cannot be, and on
    /// network file systems, where locks cannot be relied on: such a state belongs into a bucket.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let place = PathBuf::from(name);
        let unwritable = |error: std::io::Error| StoreError::Unwritable(format!("{}: {error}", place.display()));
        if let Some(parent) = place.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(unwritable)?;
        }
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&place).map_err(unwritable)?;
        if let Some(network) = network(&place) {
            return Err(StoreError::Unwritable(format!(
                "{} lies on a network file system ({network}), where locks cannot be relied on",
                place.display()
            )));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // For people. It may be just being written.
                let mut holder = String::new();
                let _ = file.take(20).read_to_string(&mut holder);
                let holder: String = holder.chars().filter(char::is_ascii_digit).collect();
                return Err(StoreError::Busy(format!("{} is held by process {holder}", place.display())));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(unwritable)?;
        Ok(Self { _file: file })
    }
}

/// The kind of network file system that a file is on, where that can be known (Linux).
fn network(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    network_in(&mounts, &fs::canonicalize(path).ok()?)
}

/// In the system's table of mounts: device, place, kind. The last mount of the longest place holds the file.
fn network_in(mounts: &str, path: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        // Spaces are written so; other such letters do not occur in practice.
        let place = fields.next()?.replace("\\040", " ");
        path.starts_with(&place).then_some((place.len(), fields.next()?))
    });
    let (_, kind) = mounts.max_by_key(|(length, _)| *length)?;
    NETWORKS.contains(&kind).then(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_is_dropped() {
        let place = std::env::temp_dir().join(format!("sweeper-lock-{}", std::process::id()));
        let path = place.join("state.db");
        let held = FileLock::take(&path).unwrap();
        let refused = FileLock::take(&path).unwrap_err();
        let says = format!("held by process {}", std::process::id());
        assert!(matches!(&refused, StoreError::Busy(what) if what.contains(&says)), "{refused}");
        drop(held);
        drop(FileLock::take(&path).unwrap());
        fs::write(place.join("file"), "").unwrap();
        assert!(matches!(FileLock::take(&place.join("file/state.db")), Err(StoreError::Unwritable(_))));
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn network_file_systems_are_known() {
        let mounts = "overlay / overlay rw 0 0\nproc /proc proc rw 0 0\nserver:/x /mnt/my\\040share nfs4 rw 0 0\n\
                      tmpfs /mnt/my\\040share/local tmpfs rw 0 0\n//s/x /home cifs rw 0 0\n";
        let on = |path: &str| network_in(mounts, Path::new(path));
        assert_eq!(on("/mnt/my share/state.db").as_deref(), Some("nfs4"));
        assert_eq!(on("/home/a/state.db").as_deref(), Some("cifs"));
        for local in ["/mnt/my share/local/state.db", "/mnt/my/state.db", "/homes/state.db", "/var/lib/state.db"] {
            assert_eq!(on(local), None, "{local}");
        }
    }
}
