//! The contract of every store, on memory and on SQLite.

mod memory {
    fusebox_engine::store_contract!(crate::subjects::memory);
}

mod sqlite {
    fusebox_engine::store_contract!(crate::subjects::sqlite);
}
