//! The contract of every store, on memory and on SQLite, plain and encrypted.

mod memory {
    fusebox_engine::store_contract!(crate::subjects::memory);
}

mod sqlite {
    fusebox_engine::store_contract!(crate::subjects::sqlite);
}

mod sealed {
    fusebox_engine::store_contract!(crate::subjects::sealed);
}
