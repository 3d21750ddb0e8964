//! How a run ends: one number, and every reason for it.

use crate::report::Cause;

/// Exit codes, most important first. 130 and 143 (stopped) end the process where the signal is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// A defect of the program.
    Bug = 70,
    /// The audit log or the state is not as it was written.
    Damaged = 8,
    /// Another run holds the lock.
    Locked = 7,
    /// A cap or the kill switch refused.
    Refused = 6,
    /// Wrong arguments, config or policies.
    Usage = 2,
    /// Some actions failed.
    ActionsFailed = 5,
    /// `--fail-on` was reached.
    FailOn = 4,
    /// Something was not seen, and no waiver accepts that.
    Blind = 3,
    Done = 0,
}

impl Exit {
    /// Most important first.
    pub const ORDER: [Self; 9] = [
        Self::Bug,
        Self::Damaged,
        Self::Locked,
        Self::Refused,
        Self::Usage,
        Self::ActionsFailed,
        Self::FailOn,
        Self::Blind,
        Self::Done,
    ];

    pub const fn code(self) -> u8 {
        self as u8
    }

    /// This exit with its reason, for a report.
    pub fn cause(self, cause: impl Into<String>) -> Cause {
        Cause { code: self.code(), cause: cause.into() }
    }

    /// The most important of some causes.
    pub fn of(causes: &[Cause]) -> Self {
        let has = |exit: &Self| causes.iter().any(|cause| cause.code == exit.code());
        Self::ORDER.into_iter().find(has).unwrap_or(Self::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_important_cause_wins() {
        let causes = |exits: &[Exit]| exits.iter().map(|exit| exit.cause("x")).collect::<Vec<_>>();
        assert_eq!(Exit::of(&[]), Exit::Done);
        assert_eq!(Exit::of(&causes(&[Exit::Blind, Exit::FailOn])), Exit::FailOn);
        assert_eq!(Exit::of(&causes(&[Exit::ActionsFailed, Exit::Usage, Exit::Blind])), Exit::Usage);
        assert_eq!(Exit::of(&causes(&[Exit::Damaged, Exit::Bug, Exit::Locked])), Exit::Bug);
    }
}
