//! The services' names and ports.

use serde::{Deserialize, Serialize};

/// One of the simulated upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// A search API.
    Search,
    /// An OpenAI-compatible chat API.
    Llm,
    /// An API that sends mails.
    Mail,
    /// An API that moves money.
    Ledger,
}

impl Service {
    /// All of them, in the order of their ports.
    pub const ALL: [Self; 4] = [Self::Search, Self::Llm, Self::Mail, Self::Ledger];

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Search => 0,
            Self::Llm => 1,
            Self::Mail => 2,
            Self::Ledger => 3,
        }
    }
}

/// Where everything listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The admin API.
    pub admin: u16,
    /// The search API.
    pub search: u16,
    /// The chat API.
    pub llm: u16,
    /// The mail API.
    pub mail: u16,
    /// The ledger API.
    pub ledger: u16,
}

impl Ports {
    /// The port of one service.
    #[must_use]
    pub fn of(&self, service: Service) -> u16 {
        match service {
            Service::Search => self.search,
            Service::Llm => self.llm,
            Service::Mail => self.mail,
            Service::Ledger => self.ledger,
        }
    }
}
