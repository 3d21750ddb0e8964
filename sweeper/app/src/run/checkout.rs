//! Which commit a directory is at, where it is in a checkout of git: read from its files, without git.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

/// No file read here is longer.
const LARGEST: u64 = 1 << 20;

/// The commit that is checked out where this lies. `None` where it lies in none, or its files cannot be read.
pub fn commit(path: &Path) -> Option<String> {
    let path = std::fs::canonicalize(path).ok()?;
    let git = path.ancestors().map(|above| above.join(".git")).find(|git| git.exists())?;
    // A second work tree, or a submodule, has a file that says where the rest is.
    let git = if git.is_dir() {
        git
    } else {
        let said = read(&git)?;
        git.parent()?.join(said.trim().strip_prefix("gitdir:")?.trim())
    };
    let head = read(&git.join("HEAD"))?;
    let Some(name) = head.trim().strip_prefix("ref:").map(str::trim) else { return hash(&head) };
    if name.split('/').any(|part| part.is_empty() || part == "..") {
        return None;
    }
    let shared = read(&git.join("commondir")).map(|said| git.join(said.trim()));
    let places: Vec<PathBuf> = std::iter::once(git).chain(shared).collect();
    let loose = places.iter().find_map(|place| hash(&read(&place.join(name))?));
    loose.or_else(|| {
        places.iter().find_map(|place| {
            let packed = read(&place.join("packed-refs"))?;
            let line = packed.lines().find(|line| line.split_once(' ').is_some_and(|(_, own)| own == name))?;
            hash(line.split(' ').next()?)
        })
    })
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(LARGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A hash, of either kind that git has.
fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let is_one = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    #[test]
    fn the_commit_is_told_however_git_keeps_it() {
        let place = std::env::temp_dir().join(format!("sweeper-checkout-{}", std::process::id()));
        let rules = place.join("main/rules");
        let git = place.join("main/.git");
        fs::create_dir_all(&rules).unwrap();
        assert_eq!(commit(&place.join("none")), None);
        fs::create_dir_all(git.join("refs/heads/team")).unwrap();
        let write = |path: &str, text: &str| fs::write(git.join(path), text).unwrap();
        write("HEAD", &format!("{ONE}\n"));
        assert_eq!(commit(&rules).as_deref(), Some(ONE));
        write("HEAD", "ref: refs/heads/team/main\n");
        assert_eq!(commit(&rules), None, "a branch without a commit");
        write("packed-refs", &format!("# pack-refs with: peeled\n{ONE} refs/heads/team/main\n{TWO} refs/tags/x\n"));
        assert_eq!(commit(&rules).as_deref(), Some(ONE));
        write("refs/heads/team/main", &format!("{TWO}\n"));
        assert_eq!(commit(&rules).as_deref(), Some(TWO));
        // A work tree of its own.
        let tree = place.join("tree");
        let own = git.join("worktrees/tree");
        fs::create_dir_all(&tree).unwrap();
        fs::create_dir_all(&own).unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        fs::write(own.join("HEAD"), "ref: refs/heads/team/main\n").unwrap();
        fs::write(own.join("commondir"), "../..\n").unwrap();
        assert_eq!(commit(&tree).as_deref(), Some(TWO));
        for hostile in ["ref: ../../../etc/passwd", "ref: refs/heads/\u{1b}[2J", "not a hash", ""] {
            write("HEAD", hostile);
            assert_eq!(commit(&rules), None, "{hostile}");
        }
        fs::remove_dir_all(&place).unwrap();
    }
}
