//! The rules that the protocol rests on. A test breaks each of them once, and sees what goes wrong.

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A key belongs to one run.
    KeyHasOneRun,
    /// A run or letter that is leased is given to nobody else.
    LeaseIsExclusive,
    /// What is appended to a journal is fenced by the lease's epoch.
    AppendIsFenced,
    /// The end of a run is fenced by the lease's epoch.
    FinishIsFenced,
    /// An intent is durable before an effect is sent that may not be repeated but under its key.
    IntentComesFirst,
    /// A request is sent only while the lease lasts.
    LeaseIsChecked,
    /// An intent that nobody settled is not sent again, unless its key protects it.
    LostIntentIsInDoubt,
    /// What was sent under a key and failed is sent again as it was.
    ResentKeepsItsKey,
    /// A key whose lifetime is over protects nobody.
    KeysEnd,
    /// That it could not be sent the second time says nothing of the first.
    RefusalProvesNothingOfTheFirstTime,
    /// A replay that finds its journal in doubt leaves the letter in doubt, so that a person can settle it.
    ReplayLeavesDoubt,
    /// No letter is put away whose journal is in doubt, whatever the letter says.
    PurgeLooks,
    /// Nobody settles an effect that may still be under way.
    ResolveWaits,
    /// A run that ends its hosts is given up.
    RecoveriesAreCapped,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 14] = [
        Self::KeyHasOneRun,
        Self::LeaseIsExclusive,
        Self::AppendIsFenced,
        Self::FinishIsFenced,
        Self::IntentComesFirst,
        Self::LeaseIsChecked,
        Self::LostIntentIsInDoubt,
        Self::ResentKeepsItsKey,
        Self::KeysEnd,
        Self::RefusalProvesNothingOfTheFirstTime,
        Self::ReplayLeavesDoubt,
        Self::PurgeLooks,
        Self::ResolveWaits,
        Self::RecoveriesAreCapped,
    ];
}
