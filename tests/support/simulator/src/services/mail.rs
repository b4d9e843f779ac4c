//! Mail: each accepted request is one mail, however often it is repeated.

use super::{authorized, decoded};
use crate::http::{Reply, Request};
use serde::{Deserialize, Serialize};
use serde_json::json;

const TOKEN: &str = "mail-secret";

/// A mail that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Its id.
    pub id: String,
    /// The number of the request that sent it.
    pub request: u64,
    /// To whom.
    pub to: String,
    /// About what.
    pub subject: String,
    /// Its text.
    pub body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    to: String,
    subject: String,
    body: String,
}

/// The mails that were sent.
#[derive(Default)]
pub(crate) struct Outbox(Vec<Mail>);

impl Outbox {
    pub(crate) fn serve(&mut self, n: u64, request: &Request) -> Reply {
        self.accept(n, request).unwrap_or_else(|refusal| refusal)
    }

    fn accept(&mut self, n: u64, request: &Request) -> Result<Reply, Reply> {
        if request.route() != "/v1/messages" {
            return Err(Reply::error(404, "there is only /v1/messages"));
        }
        if request.method != "POST" {
            return Err(Reply::error(405, "send with POST").with("allow", "POST"));
        }
        authorized(request, TOKEN)?;
        let message: Message = decoded(request)?;
        if !message.to.contains('@') {
            return Err(Reply::error(422, format!("`{}` is not an address", message.to)));
        }
        let id = format!("mail-{}", self.0.len() + 1);
        let answer = Reply::json(202, &json!({ "id": id }));
        self.0.push(Mail {
            id,
            request: n,
            to: message.to,
            subject: message.subject,
            body: message.body,
        });
        Ok(answer)
    }

    pub(crate) fn mails(&self) -> &[Mail] {
        &self.0
    }
}
