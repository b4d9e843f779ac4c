//! Secrets: read when a request is sent, never stored, never shown, never seen by a guest.

use fusebox_core::policy::Origin;

/// Why a secret is not to be had. Never carries a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No source has it.
    #[error("secret `{name}` is not set: type `fusebox secrets set {name} --host {host}`")]
    Missing {
        /// Its name.
        name: String,
        /// The host that it was to be sent to.
        host: String,
    },
    /// It may not go to that host.
    #[error("secret `{name}` may not be sent to `{host}`: allow it with `fusebox secrets set {name} --host {host}`")]
    WrongHost {
        /// Its name.
        name: String,
        /// The host that it was to be sent to.
        host: String,
    },
    /// The source failed.
    #[error("secret `{name}` cannot be read: {reason}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What the source said, without any value.
        reason: String,
    },
}

/// Gives secrets to the hosts that they were meant for.
pub trait Secrets: Send + Sync {
    /// The value of `name`, to be sent to `origin`.
    ///
    /// # Errors
    /// [`SecretError`], which never carries a value.
    fn reveal(&self, name: &str, origin: &Origin) -> Result<String, SecretError>;
}
