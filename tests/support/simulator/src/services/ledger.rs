//! The ledger: moves money between accounts, once for each idempotency key, and counts what it really did.

use super::decoded;
use crate::http::{Reply, Request};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// Balances at the start.
const ACCOUNTS: [(&str, u64); 4] = [("alice", 1000), ("bob", 500), ("carol", 0), ("treasury", 1_000_000_000)];

/// A transfer that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Its id.
    pub id: String,
    /// The number of the request that executed it.
    pub request: u64,
    /// The account that paid.
    pub from: String,
    /// The account that was paid.
    pub to: String,
    /// How much.
    pub amount: u64,
    /// The idempotency key that it was ordered under.
    pub key: Option<String>,
}

/// What happened under one idempotency key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCount {
    /// Orders that came with it.
    pub requests: u64,
    /// Transfers that were executed.
    pub executed: u64,
}

/// What the ledger did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LedgerView {
    /// Transfers that were executed, in order.
    pub transfers: Vec<Transfer>,
    /// Per idempotency key.
    pub per_key: BTreeMap<String, KeyCount>,
    /// What each account has.
    pub balances: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    from: String,
    to: String,
    amount: u64,
}

/// What an order with a key was answered.
struct Remembered {
    order: Order,
    reply: Reply,
    count: KeyCount,
}

/// Accounts, and what was done to them.
pub(crate) struct Ledger {
    balances: BTreeMap<String, u64>,
    transfers: Vec<Transfer>,
    keys: BTreeMap<String, Remembered>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            balances: ACCOUNTS
                .into_iter()
                .map(|(name, balance)| (name.to_owned(), balance))
                .collect(),
            transfers: Vec::new(),
            keys: BTreeMap::new(),
        }
    }
}

impl Ledger {
    pub(crate) fn serve(&mut self, n: u64, request: &Request) -> Reply {
        match (request.method.as_str(), request.route()) {
            ("POST", "/v1/transfers") => self.transfer(n, request),
            ("GET", path) if path.starts_with("/v1/accounts/") => self.account(&path["/v1/accounts/".len()..]),
            _ => Reply::error(404, "there are POST /v1/transfers and GET /v1/accounts/NAME"),
        }
    }

    fn account(&self, name: &str) -> Reply {
        match self.balances.get(name) {
            Some(balance) => Reply::json(200, &json!({"name": name, "balance": balance})),
            None => Reply::error(404, format!("no account `{name}`")),
        }
    }

    /// A key's answer is stored whatever it says, but that of an order that was not understood.
    fn transfer(&mut self, n: u64, request: &Request) -> Reply {
        let order: Order = match decoded(request) {
            Ok(order) => order,
            Err(refusal) => return refusal,
        };
        let Some(key) = request.header("idempotency-key") else {
            return self.execute(n, &order, None);
        };
        if let Some(remembered) = self.keys.get_mut(key) {
            remembered.count.requests += 1;
            return if remembered.order == order {
                remembered.reply.clone().with("idempotent-replayed", "true")
            } else {
                Reply::error(422, "the idempotency key was used for another transfer")
            };
        }
        let reply = self.execute(n, &order, Some(key));
        let count = KeyCount {
            requests: 1,
            executed: u64::from(reply.succeeded()),
        };
        let remembered = Remembered {
            order,
            reply: reply.clone(),
            count,
        };
        self.keys.insert(key.to_owned(), remembered);
        reply
    }

    fn execute(&mut self, n: u64, order: &Order, key: Option<&str>) -> Reply {
        for name in [&order.from, &order.to] {
            if !self.balances.contains_key(name) {
                return Reply::error(404, format!("no account `{name}`"));
            }
        }
        if order.amount == 0 || order.from == order.to {
            return Reply::error(400, "a transfer moves at least 1, from one account to another");
        }
        let (has, gets) = (self.balances[&order.from], self.balances[&order.to]);
        let (Some(left), Some(sum)) = (has.checked_sub(order.amount), gets.checked_add(order.amount)) else {
            return Reply::error(409, format!("insufficient funds: `{}` has {has}", order.from));
        };
        self.balances.insert(order.from.clone(), left);
        self.balances.insert(order.to.clone(), sum);
        let id = format!("transfer-{}", self.transfers.len() + 1);
        let reply = Reply::json(
            201,
            &json!({
                "id": id, "from": order.from, "to": order.to, "amount": order.amount,
                "balance-from": left, "balance-to": sum,
            }),
        );
        self.transfers.push(Transfer {
            id,
            request: n,
            from: order.from.clone(),
            to: order.to.clone(),
            amount: order.amount,
            key: key.map(str::to_owned),
        });
        reply
    }

    pub(crate) fn view(&self) -> LedgerView {
        LedgerView {
            transfers: self.transfers.clone(),
            per_key: self
                .keys
                .iter()
                .map(|(key, remembered)| (key.clone(), remembered.count))
                .collect(),
            balances: self.balances.clone(),
        }
    }
}
