//! Roles of whoever asks, and what each may do. Rules decide further by argument; without the role nothing is asked of them.

use std::fmt;

/// What somebody may be to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Calls tools, and sees the runs that it made itself.
    Caller,
    /// Decides what waits for a person.
    Approver,
    /// Looks after runs, dead letters, breakers, keys.
    Operator,
    /// Deploys, switches and removes tools.
    Deployer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Caller, Self::Approver, Self::Operator, Self::Deployer];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Approver => "approver",
            Self::Operator => "operator",
            Self::Deployer => "deployer",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// Every role: whoever has the files of a host has them.
    pub const ALL: Self = Self(Role::Caller.bit() | Role::Approver.bit() | Role::Operator.bit() | Role::Deployer.bit());

    /// A caller's alone.
    pub const CALLER: Self = Self(Role::Caller.bit());

    /// Whether the role is among them.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of those are among these: nobody grants what they do not have.
    #[must_use]
    pub const fn covers(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Those that are among them, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | role.bit()))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Role::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_its_name_alone() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
            assert!(Roles::ALL.has(role));
        }
        assert_eq!(Role::from_name("Caller"), None);
    }

    #[test]
    fn nobody_covers_what_they_do_not_have() {
        let caller: Roles = [Role::Caller].into_iter().collect();
        assert!(Roles::ALL.covers(caller) && caller.covers(Roles::default()));
        assert!(!caller.covers(Roles::ALL) && Roles::default().is_empty());
        assert_eq!(caller.iter().collect::<Vec<_>>(), [Role::Caller]);
    }
}
