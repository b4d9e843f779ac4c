//! Moves money between accounts through an HTTP API that recognises repetitions by their key.
//! The guest just posts: the host adds the key to every request, the same one to every repetition.

use http_client::{Client, Response, encode};
use serde::{Deserialize, Serialize};

wit_bindgen::generate!({ path: "wit", world: "tool" });

use exports::example::ledger::ledger::{Error, Guest, Receipt};

struct Ledger;

impl Guest for Ledger {
    fn transfer(from_account: String, to_account: String, amount: u64) -> Result<Receipt, Error> {
        if amount == 0 {
            return Err(Error::InvalidTransfer("the amount is zero".to_owned()));
        }
        if from_account == to_account {
            return Err(Error::InvalidTransfer("both accounts are the same".to_owned()));
        }
        let order = Order {
            from: from_account,
            to: to_account,
            amount,
        };
        let done: Done = success(client()?.post("/v1/transfers", &order)?)?.json()?;
        Ok(Receipt {
            id: done.id,
            balance_from: done.balance_from,
            balance_to: done.balance_to,
        })
    }

    fn balance(account: String) -> Result<u64, Error> {
        let answer = client()?.get(&format!("/v1/accounts/{}", encode(&account)))?;
        let account: Account = success(answer)?.json()?;
        Ok(account.balance)
    }
}

export!(Ledger);

#[derive(Serialize)]
struct Order {
    from: String,
    to: String,
    amount: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Done {
    id: String,
    balance_from: u64,
    balance_to: u64,
}

#[derive(Deserialize)]
struct Account {
    balance: u64,
}

fn client() -> Result<Client, Error> {
    Ok(Client::from_env("LEDGER_URL")?)
}

fn success(answer: Response) -> Result<Response, Error> {
    match answer.status() {
        200..=299 => Ok(answer),
        404 => Err(Error::UnknownAccount(answer.summary())),
        409 => Err(Error::InsufficientFunds(answer.summary())),
        429 => Err(Error::RateLimited(answer.retry_after())),
        500.. => Err(Error::Unavailable(answer.summary())),
        _ => Err(Error::Rejected(answer.summary())),
    }
}

impl From<http_client::Error> for Error {
    fn from(error: http_client::Error) -> Self {
        use http_client::Error::{BadAnswer, BadRequest, NoAnswer, NotConfigured};
        match error {
            NoAnswer(_) => Self::Unavailable(error.to_string()),
            BadAnswer(_) => Self::Unconfirmed(error.to_string()),
            NotConfigured(_) | BadRequest(_) => Self::Rejected(error.to_string()),
        }
    }
}
