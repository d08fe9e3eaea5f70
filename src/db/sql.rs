//! Hand-written statements with binds, prepared once per connection and cached by their text.
//!
//! Diesel never caches its own UPDATEs and batch inserts, which costs a hot statement several times its run time; these
//! are cached. They are also the way to say what the multi-connection's query builder can not.

use std::{borrow::Cow, marker::PhantomData};

use diesel::{
    PgConnection, QueryResult, RunQueryDsl, SqliteConnection,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::methods::LoadQuery,
    serialize::ToSql,
    sql_types::{BigInt, Bool, HasSqlType, Nullable, Text},
};

use super::{
    Tx, dialect,
    types::{Bind, DocSql, InstantSql, Json, UidSql},
};
use crate::{
    error::Result,
    kernel::{Id, Instant},
};

/// A statement whose `?` are places for binds, in order. `ST` are the SQL types of the columns it returns.
#[derive(Debug, Clone)]
pub struct Sql<ST = ()> {
    text: Cow<'static, str>,
    binds: Vec<Bind>,
    columns: PhantomData<fn() -> ST>,
}

/// Starts a statement. Its text must not depend on data, or the cache of prepared statements grows without end.
pub fn sql(text: impl Into<Cow<'static, str>>) -> Sql {
    Sql { text: text.into(), binds: Vec::new(), columns: PhantomData }
}

impl Sql {
    /// Binds the next `?`.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Bind>) -> Self {
        self.binds.push(value.into());
        self
    }

    /// Binds the next so many `?`.
    #[must_use]
    pub fn bind_all(mut self, values: impl IntoIterator<Item = Bind>) -> Self {
        self.binds.extend(values);
        self
    }

    /// Runs it; returns how many rows it changed.
    ///
    /// # Errors
    /// What the database says.
    pub fn execute(self, tx: &mut Tx) -> Result<usize> {
        dialect::execute(tx, self)
    }

    /// Runs it and reads its rows; `ST` are the SQL types of its columns.
    ///
    /// # Errors
    /// What the database says, or a column that does not fit.
    pub fn load<ST, Row>(self, tx: &mut Tx) -> Result<Vec<Row>>
    where
        Sql<ST>: for<'q> LoadQuery<'q, SqliteConnection, Row> + for<'q> LoadQuery<'q, PgConnection, Row>,
    {
        dialect::load(tx, Sql::<ST> { text: self.text, binds: self.binds, columns: PhantomData })
    }

    /// Runs it and reads its first row, if there is one.
    ///
    /// # Errors
    /// What the database says, or a column that does not fit.
    pub fn first<ST, Row>(self, tx: &mut Tx) -> Result<Option<Row>>
    where
        Sql<ST>: for<'q> LoadQuery<'q, SqliteConnection, Row> + for<'q> LoadQuery<'q, PgConnection, Row>,
    {
        Ok(self.load::<ST, Row>(tx)?.into_iter().next())
    }
}

impl<ST: 'static> QueryId for Sql<ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}
impl<ST> Query for Sql<ST> {
    type SqlType = ST;
}
impl<C, ST> RunQueryDsl<C> for Sql<ST> {}

// For each database by itself: through the multi-connection a statement's text would be built three times per run.
impl<ST, DB> QueryFragment<DB> for Sql<ST>
where
    DB: Backend + HasSqlType<UidSql> + HasSqlType<InstantSql> + HasSqlType<DocSql>,
    DB: HasSqlType<Text> + HasSqlType<BigInt> + HasSqlType<Bool>,
    Option<Id<()>>: ToSql<Nullable<UidSql>, DB>,
    Option<Instant>: ToSql<Nullable<InstantSql>, DB>,
    Option<Json>: ToSql<Nullable<DocSql>, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    bool: ToSql<Bool, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut parts = self.text.split('?');
        out.push_sql(parts.next().unwrap_or_default());
        let mut binds = self.binds.iter();
        for part in parts {
            match binds.next() {
                Some(Bind::Uid(value)) => out.push_bind_param::<Nullable<UidSql>, _>(value)?,
                Some(Bind::Text(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                Some(Bind::Int(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                Some(Bind::At(value)) => out.push_bind_param::<Nullable<InstantSql>, _>(value)?,
                Some(Bind::Doc(value)) => out.push_bind_param::<Nullable<DocSql>, _>(value)?,
                Some(Bind::Bool(value)) => out.push_bind_param::<Bool, _>(value)?,
                None => return Err(diesel::result::Error::QueryBuilderError("fewer binds than places".into())),
            }
            out.push_sql(part);
        }
        match binds.next() {
            Some(_) => Err(diesel::result::Error::QueryBuilderError("more binds than places".into())),
            None => Ok(()),
        }
    }
}
