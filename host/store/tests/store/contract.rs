//! The contract of every store, on memory, on SQLite and on PostgreSQL, plain, encrypted and with objects
//! outside, and behind a pooler.

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

mod pooled_postgres {
    fusebox_engine::store_contract!(crate::subjects::pooled_postgres);
}

mod sqlite_with_objects {
    fusebox_engine::store_contract!(crate::subjects::sqlite_with_objects);
}

mod postgres_with_objects {
    fusebox_engine::store_contract!(crate::subjects::postgres_with_objects);
}
