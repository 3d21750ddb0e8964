//! The deployer's trust roots: who may approve what, and the ceilings that no policy and no note can lift.

use super::{COOLING, LONGEST_STANDING, Refusal, Signed, Text};
use crate::{
    caps::Caps,
    model::Timestamp,
    note::{Note, Verifier},
    plan::sha256,
    policy::glob,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Approve what is theirs.
    Owner,
    /// Approve anything, and sign standing approvals.
    Admin,
    /// A machine that signs what people reviewed: the reviewers that its text names count, the machine does not.
    Ci,
}

impl Role {
    pub const NAMES: &'static [&'static str] = &["owner", "admin", "ci"];

    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "owner" => Some(Self::Owner),
            "admin" => Some(Self::Admin),
            "ci" => Some(Self::Ci),
            _ => None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Ci => "ci",
        }
    }
}

/// Somebody who may approve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub roles: BTreeSet<Role>,
    /// Other names under which resources call them their owner.
    pub aliases: BTreeSet<String>,
}

/// How a key signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A signed note's.
    Note(Verifier),
    /// OpenSSH's, as one line of an `authorized_keys` file; security keys too.
    Ssh(String),
}

/// A key of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub person: String,
    pub kind: KeyKind,
    pub from: Timestamp,
    pub until: Timestamp,
    pub revoked: bool,
}

/// The trust roots. The default trusts nobody and lets nothing be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    pub people: BTreeMap<String, Person>,
    pub keys: Vec<Key>,
    /// No run, policy or note goes beyond it.
    pub ceiling: Option<Caps>,
    /// Globs of resource ids that nothing is ever done to.
    pub protected: Vec<String>,
    /// One person is all there is: they may approve what they asked for, where it can be had back.
    pub solo: bool,
    /// Whether this deployment may change anything at all.
    pub may_apply: bool,
    /// When the trust roots last changed, as far as the state remembers.
    pub changed: Option<Timestamp>,
}

impl Trust {
    /// Whether a person has a role.
    pub fn has(&self, person: &str, role: Role) -> bool {
        self.people.get(person).is_some_and(|known| known.roles.contains(&role))
    }

    /// Whether an owner's name means a person.
    pub fn is_same(&self, owner: &str, person: &str) -> bool {
        let same = |name: &str| name.eq_ignore_ascii_case(owner);
        same(person) || self.people.get(person).is_some_and(|known| known.aliases.iter().any(|alias| same(alias)))
    }

    /// Whether a resource is out of bounds.
    pub fn protects(&self, resource: &str) -> bool {
        self.protected.iter().any(|pattern| glob(pattern, resource))
    }

    /// Until when everything is held because the trust roots changed, if it is.
    pub fn cooling(&self, now: Timestamp) -> Option<Timestamp> {
        self.changed.map(|changed| changed.plus(COOLING)).filter(|end| now < *end)
    }

    /// What identifies these trust roots: a change of it starts the cooling.
    pub fn digest(&self) -> String {
        let known = Self { changed: None, ..self.clone() };
        // The debug form has every field, and quotes texts.
        sha256(format!("{known:?}").as_bytes())
    }

    /// Reads a note and holds it against the keys. `bytes` is a signed note, or a text followed by an armoured SSH
    /// signature.
    pub fn read(&self, bytes: &[u8], deployment: &str, now: Timestamp) -> Result<Signed, Refusal> {
        let (text, keys) = match super::ssh::split(bytes) {
            Some((text, armour)) => (text.to_owned(), self.ssh(text, armour)?),
            None => self.note(bytes)?,
        };
        let mut signers = BTreeSet::new();
        for key in keys {
            if key.revoked {
                return Err(Refusal::Revoked(key.person.clone()));
            }
            if now < key.from || now >= key.until {
                let Key { person, from, until, .. } = key.clone();
                return Err(Refusal::OutOfPeriod { who: person, from, until, now });
            }
            signers.insert(key.person.clone());
        }
        let digest = sha256(text.as_bytes());
        let text = Text::parse(&text).map_err(|error| Refusal::Unreadable(error.to_string()))?;
        self.holds(text, signers, digest, deployment, now)
    }

    fn note(&self, bytes: &[u8]) -> Result<(String, Vec<&Key>), Refusal> {
        let note = Note::parse(bytes).map_err(|error| Refusal::Unreadable(error.to_string()))?;
        let verifiers: Vec<Verifier> = self
            .keys
            .iter()
            .filter_map(|key| match &key.kind {
                KeyKind::Note(verifier) => Some(verifier.clone()),
                KeyKind::Ssh(_) => None,
            })
            .collect();
        let known = note.signatures().iter().any(|signature| {
            verifiers.iter().any(|verifier| verifier.name() == signature.name && verifier.id() == signature.key_id)
        });
        if !known {
            return Err(Refusal::Unsigned);
        }
        let by = note.verified_by(&verifiers).map_err(|error| Refusal::Forged(error.to_string()))?;
        let keys = by.into_iter().filter_map(|verifier| {
            self.keys.iter().find(|key| matches!(&key.kind, KeyKind::Note(own) if own == verifier))
        });
        Ok((note.text().to_owned(), keys.collect()))
    }

    fn ssh(&self, text: &str, armour: &str) -> Result<Vec<&Key>, Refusal> {
        let lines: Vec<(&Key, &str)> = self
            .keys
            .iter()
            .filter_map(|key| match &key.kind {
                KeyKind::Ssh(line) => Some((key, line.as_str())),
                KeyKind::Note(_) => None,
            })
            .collect();
        super::ssh::verified(text, armour, &lines).map(|key| vec![key])
    }

    fn holds(
        &self,
        text: Text,
        signers: BTreeSet<String>,
        digest: String,
        deployment: &str,
        now: Timestamp,
    ) -> Result<Signed, Refusal> {
        if text.deployment() != deployment {
            return Err(Refusal::OtherDeployment(text.deployment().to_owned()));
        }
        let said = text.by().to_owned();
        if !signers.contains(&said) {
            let signed = signers.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Refusal::OtherName { said, signed });
        }
        let (from, until) = text.period();
        if now < from {
            return Err(Refusal::Early(from));
        }
        if now >= until {
            return Err(Refusal::Ended(until));
        }
        let mut by = signers;
        match &text {
            Text::Standing(standing) => {
                if standing.until.since(standing.from) > LONGEST_STANDING {
                    return Err(Refusal::TooLong);
                }
                if !self.has(&standing.by, Role::Admin) {
                    return Err(Refusal::NotAdmin(standing.by.clone()));
                }
            }
            Text::OneTime(text) => {
                // A machine agrees to nothing: those it names do. Of anybody else's text, nobody but who signed.
                if self.has(&text.by, Role::Ci) {
                    by.extend(text.reviewers.iter().cloned());
                    by.remove(&text.by);
                }
            }
        }
        Ok(Signed { text, by, digest })
    }
}
