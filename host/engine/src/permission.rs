//! What each role may do: one table, asked by every method of the facade before anything else.

use crate::refusals;
use crate::requests::Caller;
use fusebox_core::failure::Failure;
use fusebox_core::role::Role;

/// What a facade can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Call tools, and see those that may be called.
    Call,
    /// See and cancel the runs that one made oneself; others' are as if they were not there.
    SeeOwnRuns,
    /// See everybody's runs.
    SeeRuns,
    /// Cancel and resume everybody's runs.
    ManageRuns,
    /// See what waits for a person.
    SeeApprovals,
    /// Decide what waits for a person.
    Decide,
    /// See dead letters and the memory that they keep.
    SeeLetters,
    /// Replay, settle, pin, close and redrive dead letters.
    ManageLetters,
    /// See and order breakers.
    Breakers,
    /// Read the error log.
    SeeErrors,
    /// Remove what is kept no longer.
    Retain,
    /// Create, list and revoke API keys.
    Keys,
    /// Read and verify the audit trail.
    Audit,
    /// Copy the whole database elsewhere.
    CopyDatabase,
    /// See every tool, whoever may call it, and its component.
    SeeTools,
    /// See and try the rules in force.
    SeeRules,
    /// Enable and disable tools.
    SwitchTools,
    /// Remove tools.
    RemoveTools,
    /// Compile components, and register versions of tools.
    Deploy,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Call,
        Self::SeeOwnRuns,
        Self::SeeRuns,
        Self::ManageRuns,
        Self::SeeApprovals,
        Self::Decide,
        Self::SeeLetters,
        Self::ManageLetters,
        Self::Breakers,
        Self::SeeErrors,
        Self::Retain,
        Self::Keys,
        Self::Audit,
        Self::CopyDatabase,
        Self::SeeTools,
        Self::SeeRules,
        Self::SwitchTools,
        Self::RemoveTools,
        Self::Deploy,
    ];

    /// Who may: any of these roles is enough.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Call | Self::SeeOwnRuns => &[Role::Caller],
            Self::Decide => &[Role::Approver],
            Self::SeeRuns | Self::SeeApprovals => &[Role::Approver, Role::Operator],
            Self::ManageRuns
            | Self::SeeLetters
            | Self::ManageLetters
            | Self::Breakers
            | Self::SeeErrors
            | Self::Retain
            | Self::Keys
            | Self::Audit
            | Self::CopyDatabase => &[Role::Operator],
            Self::SeeTools | Self::SeeRules | Self::SwitchTools => &[Role::Operator, Role::Deployer],
            Self::RemoveTools | Self::Deploy => &[Role::Deployer],
        }
    }

    /// What it is, after "to".
    pub(crate) const fn phrase(self) -> &'static str {
        match self {
            Self::Call => "call tools",
            Self::SeeOwnRuns | Self::SeeRuns => "see runs",
            Self::ManageRuns => "cancel or resume runs",
            Self::SeeApprovals => "see approvals",
            Self::Decide => "decide approvals",
            Self::SeeLetters => "see dead letters",
            Self::ManageLetters => "replay or settle dead letters",
            Self::Breakers => "see or order breakers",
            Self::SeeErrors => "read the error log",
            Self::Retain => "remove what is kept no longer",
            Self::Keys => "manage API keys",
            Self::Audit => "read the audit trail",
            Self::CopyDatabase => "copy the database",
            Self::SeeTools => "see deployed tools",
            Self::SeeRules => "see the rules",
            Self::SwitchTools => "enable or disable tools",
            Self::RemoveTools => "remove tools",
            Self::Deploy => "deploy tools",
        }
    }
}

impl Caller {
    /// Lets the caller do that, if one of their roles may.
    ///
    /// # Errors
    /// `denied`, with the role that is missing.
    pub fn may(&self, action: Action) -> Result<(), Box<Failure>> {
        if self.can(action) {
            Ok(())
        } else {
            Err(refusals::role_missing(self, action))
        }
    }

    /// Whether one of the caller's roles may do that.
    #[must_use]
    pub fn can(&self, action: Action) -> bool {
        action.roles().iter().any(|role| self.roles.has(*role))
    }

    /// The one whose runs alone the caller sees; `None` when it sees everybody's.
    ///
    /// # Errors
    /// `denied`: it sees none at all.
    pub(crate) fn sees_runs_of(&self) -> Result<Option<&str>, Box<Failure>> {
        if self.can(Action::SeeRuns) {
            return Ok(None);
        }
        self.may(Action::SeeOwnRuns)?;
        Ok(Some(&self.principal))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use fusebox_core::failure::Code;
    use fusebox_core::role::Roles;

    fn only(role: Role) -> Caller {
        Caller {
            roles: [role].into_iter().collect(),
            ..Caller::local()
        }
    }

    #[test]
    fn a_role_may_what_the_table_says_and_nothing_else() {
        let may = |role: Role| -> Vec<Action> {
            let caller = only(role);
            Action::ALL
                .into_iter()
                .filter(|action| caller.may(*action).is_ok())
                .collect()
        };
        use Action::*;
        assert_eq!(may(Role::Caller), [Call, SeeOwnRuns]);
        assert_eq!(may(Role::Approver), [SeeRuns, SeeApprovals, Decide]);
        let operator = [
            SeeRuns,
            ManageRuns,
            SeeApprovals,
            SeeLetters,
            ManageLetters,
            Breakers,
            SeeErrors,
            Retain,
            Keys,
            Audit,
            CopyDatabase,
            SeeTools,
            SeeRules,
            SwitchTools,
        ];
        assert_eq!(may(Role::Operator), operator);
        assert_eq!(
            may(Role::Deployer),
            [SeeTools, SeeRules, SwitchTools, RemoveTools, Deploy]
        );
    }

    #[test]
    fn whoever_has_every_role_may_everything_and_whoever_has_none_nothing() {
        let nobody = Caller {
            roles: Roles::default(),
            ..Caller::local()
        };
        for action in Action::ALL {
            assert!(Caller::local().may(action).is_ok(), "{action:?}");
            assert_eq!(nobody.may(action).unwrap_err().code, Code::Denied, "{action:?}");
        }
    }

    #[test]
    fn a_refusal_names_who_asked_what_for_and_the_role_that_is_missing() {
        let refused = only(Role::Caller).may(Action::SeeRuns).unwrap_err();
        assert_eq!(
            refused.message,
            "`local` may not see runs: that needs the role approver or operator, and it has caller"
        );
    }

    #[test]
    fn a_caller_sees_the_runs_of_nobody_else() {
        assert_eq!(only(Role::Caller).sees_runs_of().unwrap(), Some("local"));
        assert_eq!(Caller::local().sees_runs_of().unwrap(), None);
        assert!(only(Role::Deployer).sees_runs_of().is_err());
    }
}
