//! What a daemon goes by: the config and the policies, read anew when they change, and the old ones kept where the new
//! ones are wrong.

use super::checkout;
use crate::{
    commands::{LookArgs, Settings},
    config::{self, Config},
    exit::Failure,
    policies,
};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};
use sweeper_core::audit;

/// How often files that change while they are read are read again.
const TRIES: usize = 3;

/// A config with its policies, checked, and where they are from.
pub struct Rules {
    pub config: Config,
    pub settings: Settings,
    /// Of everything that was read.
    pub digest: String,
    /// Of the checkout that the policies lie in.
    pub commit: Option<String>,
    /// Where the policies lie; `None`: in the binary.
    path: Option<PathBuf>,
}

impl Rules {
    /// Reads everything, and checks it. What changes meanwhile is read again, so that no half of a change is taken.
    pub fn read(look: &LookArgs) -> Result<Self, Failure> {
        for _ in 0..TRIES {
            let config = Config::find(look.config.as_deref())?;
            let path = look.policies.clone().or_else(|| config.policies.clone());
            let digest = digest(look, path.as_deref());
            let settings = Settings::new(look, &config)?;
            if digest == self::digest(look, path.as_deref()) {
                let commit = path.as_deref().and_then(checkout::commit);
                return Ok(Self { config, settings, digest, commit, path });
            }
        }
        Err(Failure::usage("the config and the policies change while they are read"))
    }

    /// The digest of what is there now.
    pub fn digest_now(&self, look: &LookArgs) -> String {
        digest(look, self.path.as_deref())
    }

    /// What they are, for people: `12 policies of /etc/sweeper/policies at commit 0123456789ab`.
    pub fn name(&self) -> String {
        let count = self.settings.set.policies.len() + self.settings.set.watches.len();
        let noun = if count == 1 { "policy" } else { "policies" };
        let of = self.path.as_ref().map_or_else(|| "this release".to_owned(), |path| path.display().to_string());
        let at = self.commit.as_ref().map_or_else(String::new, |commit| format!(" at commit {}", &commit[..12]));
        format!("{count} {noun} of {of}{at}")
    }
}

/// A digest of the config's text and the policies' names and texts, or of why they cannot be read.
fn digest(look: &LookArgs, path: Option<&Path>) -> String {
    let config = look.config.as_deref().unwrap_or(Path::new(config::NAME));
    let text = std::fs::read_to_string(config).unwrap_or_else(|error| error.to_string());
    let mut whole = format!("{} {text}", text.len());
    match policies::sources(path) {
        Ok(sources) => {
            for source in sources {
                // A string takes any text.
                let _ = write!(whole, "\n{} {} {}", source.path, source.text.len(), source.text);
            }
        }
        Err(failure) => whole.push_str(&failure.message),
    }
    audit::digest(&whole)
}

/// Why something was refused, a line each: every problem with its place.
pub fn whys(failure: &Failure) -> Vec<String> {
    if failure.problems.is_empty() {
        return vec![failure.message.clone()];
    }
    let words = |problem: &String| problem.lines().take(2).map(str::trim).collect::<Vec<_>>().join(" ");
    failure.problems.iter().map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const POLICY: &str = "[[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\n";

    #[test]
    fn what_changes_is_another_digest_and_what_is_wrong_is_refused() {
        let place = std::env::temp_dir().join(format!("sweeper-rules-{}", std::process::id()));
        let rules = place.join("rules");
        fs::create_dir_all(&rules).unwrap();
        let write = |path: &str, text: &str| fs::write(place.join(path), text).unwrap();
        write("rules/a.toml", POLICY);
        write("sweeper.toml", "policies = \"rules\"\nstate = \"memory:\"\n");
        let look = LookArgs { config: Some(place.join("sweeper.toml")), ..LookArgs::default() };
        let first = Rules::read(&look).unwrap_or_else(|failure| panic!("{failure:?}"));
        assert_eq!(first.name(), format!("1 policy of {}", rules.display()));
        assert_eq!(first.digest_now(&look), first.digest);
        let mut seen = vec![first.digest.clone()];
        let mut changed = |what: &str| {
            let now = first.digest_now(&look);
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        write("sweeper.toml", "policies = \"rules\"\nstate = \"memory:\"\n\n");
        changed("the config");
        write("rules/a.toml", &format!("{POLICY}\n"));
        changed("a policy");
        fs::rename(rules.join("a.toml"), rules.join("b.toml")).unwrap();
        changed("a name");
        write("rules/c.toml", "[[policy]\n");
        changed("one more");
        let refused = Rules::read(&look).err().unwrap();
        assert!(whys(&refused)[0].contains("c.toml:1:"), "{:?}", whys(&refused));
        fs::remove_dir_all(&rules).unwrap();
        changed("nothing left");
        assert!(Rules::read(&look).is_err());
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_refusal_names_every_place() {
        let failure = Failure::usage("2 problems").problems(vec![
            "error: unknown key `x`\n --> a.toml:3:1\n  |\n".to_owned(),
            "error: y\n --> b.toml:1:1\n".to_owned(),
        ]);
        assert_eq!(whys(&failure), ["error: unknown key `x` --> a.toml:3:1", "error: y --> b.toml:1:1"]);
        assert_eq!(whys(&Failure::usage("no such file")), ["no such file"]);
    }
}
