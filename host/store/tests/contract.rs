//! The contract of every store, on memory and on SQLite.

#[path = "support/subjects.rs"]
mod support;

mod memory {
    fusebox_engine::store_contract!(crate::support::memory);
}

mod sqlite {
    fusebox_engine::store_contract!(crate::support::sqlite);
}
