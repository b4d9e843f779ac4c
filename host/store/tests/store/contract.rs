//! The contract of every store, on memory, on SQLite and on PostgreSQL, plain and encrypted.

mod memory {
    fusebox_engine::store_contract!(crate::subjects::memory);
}

mod sqlite {
    fusebox_engine::store_contract!(crate::subjects::sqlite);
}

mod sealed {
    fusebox_engine::store_contract!(crate::subjects::sealed);
}

mod postgres {
    fusebox_engine::store_contract!(crate::subjects::postgres);
}

mod sealed_postgres {
    fusebox_engine::store_contract!(crate::subjects::sealed_postgres);
}
