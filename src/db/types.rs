//! How the kernel's types are kept in the two databases: three SQL types of our own, and the value types for them.
//!
//! | SQL type | PostgreSQL | SQLite |
//! |---|---|---|
//! | [`UidSql`] | `uuid` | `BLOB` of 16 bytes |
//! | [`InstantSql`] | `timestamptz` | `TEXT` with exactly six decimals and `Z`: text order is time order |
//! | [`DocSql`] | `jsonb` | `TEXT` holding JSON |

use std::io::Write;

use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromStaticSqlRow, Queryable},
    expression::AsExpression,
    internal::derives::as_expression::Bound,
    pg::{Pg, PgValue},
    query_builder::QueryId,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{BigInt, Binary, HasSqlType, Nullable, SingleValue, SqlType, Text, Timestamptz},
    sqlite::{Sqlite, SqliteValue},
};
use serde::{Serialize, de::DeserializeOwned};

use super::conn::{MultiBackend, MultiRawValue};
use crate::{
    error::Result,
    kernel::{Country, Currency, Id, Instant, Per, Quantity, ids::Kind, stored},
};

/// A UUID.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Binary"))]
pub struct UidSql;

/// A point in time.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Text"))]
pub struct InstantSql;

/// A JSON document.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 3802, array_oid = 3807), sqlite_type(name = "Text"))]
pub struct DocSql;

/// A value that is kept as one JSON document in a column of type [`DocSql`]. Fields that its type does not know are passed over
/// ([`crate::kernel::stored`]): a newer version may have written them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Doc<T>(pub T);

/// A JSON document that has been written as text already: what is only passed on need not be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// Writes a value as a document.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        Ok(Self(serde_json::to_string(value)?))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The comparison operators of our SQL types come from Diesel's own expression traits.
macro_rules! multi_backend {
    ($sql:ty) => {
        impl HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                Self::lookup_sql_type::<$sql>(lookup)
            }
        }
    };
}
multi_backend!(UidSql);
multi_backend!(InstantSql);
multi_backend!(DocSql);

/// Makes a value type usable in Diesel's expressions for one SQL type, owned and borrowed, nullable and not.
macro_rules! expression {
    ([$($generics:tt)*], $value:ty, $sql:ty) => {
        impl<$($generics)*> AsExpression<$sql> for $value {
            type Expression = Bound<$sql, Self>;
            fn as_expression(self) -> Self::Expression { Bound::new(self) }
        }
        impl<'expr, $($generics)*> AsExpression<$sql> for &'expr $value {
            type Expression = Bound<$sql, Self>;
            fn as_expression(self) -> Self::Expression { Bound::new(self) }
        }
        impl<$($generics)*> AsExpression<Nullable<$sql>> for $value {
            type Expression = Bound<Nullable<$sql>, Self>;
            fn as_expression(self) -> Self::Expression { Bound::new(self) }
        }
        impl<'expr, $($generics)*> AsExpression<Nullable<$sql>> for &'expr $value {
            type Expression = Bound<Nullable<$sql>, Self>;
            fn as_expression(self) -> Self::Expression { Bound::new(self) }
        }
        impl<DB, $($generics)*> ToSql<Nullable<$sql>, DB> for $value
        where
            DB: Backend,
            Self: ToSql<$sql, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                ToSql::<$sql, DB>::to_sql(self, out)
            }
        }
        impl<DB, ST, $($generics)*> Queryable<ST, DB> for $value
        where
            DB: Backend,
            ST: SingleValue,
            Self: FromStaticSqlRow<ST, DB>,
        {
            type Row = Self;
            fn build(row: Self) -> deserialize::Result<Self> { Ok(row) }
        }
    };
}

expression!([K: Kind], Id<K>, UidSql);
expression!([], Instant, InstantSql);
expression!([T: std::fmt::Debug], Doc<T>, DocSql);
expression!([], Json, DocSql);

impl<K: Kind> ToSql<UidSql, Pg> for Id<K> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.bytes())?;
        Ok(IsNull::No)
    }
}
impl<K: Kind> ToSql<UidSql, Sqlite> for Id<K> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.bytes().as_slice());
        Ok(IsNull::No)
    }
}
impl<K: Kind> ToSql<UidSql, MultiBackend> for Id<K> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
        out.set_value((UidSql, self));
        Ok(IsNull::No)
    }
}
impl<K: Kind> FromSql<UidSql, Pg> for Id<K> {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::from_bytes(value.as_bytes().try_into()?))
    }
}
impl<K: Kind> FromSql<UidSql, Sqlite> for Id<K> {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let bytes = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?;
        Ok(Self::from_bytes(bytes.as_slice().try_into()?))
    }
}
impl<K: Kind> FromSql<UidSql, MultiBackend> for Id<K> {
    fn from_sql(value: MultiRawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<Self, UidSql>()
    }
}

impl ToSql<InstantSql, Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Timestamptz, Pg>::to_sql(&self.utc(), &mut out.reborrow())
    }
}
impl ToSql<InstantSql, Sqlite> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.sortable());
        Ok(IsNull::No)
    }
}
impl ToSql<InstantSql, MultiBackend> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
        out.set_value((InstantSql, self));
        Ok(IsNull::No)
    }
}
impl FromSql<InstantSql, Pg> for Instant {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::from_utc(<chrono::DateTime<chrono::Utc> as FromSql<Timestamptz, Pg>>::from_sql(value)?))
    }
}
impl FromSql<InstantSql, Sqlite> for Instant {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(<String as FromSql<Text, Sqlite>>::from_sql(value)?.parse()?)
    }
}
impl FromSql<InstantSql, MultiBackend> for Instant {
    fn from_sql(value: MultiRawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<Self, InstantSql>()
    }
}

/// The first byte of PostgreSQL's binary `jsonb`: the version of the format.
const JSONB_VERSION: u8 = 1;

impl<T: Serialize + std::fmt::Debug> ToSql<DocSql, Pg> for Doc<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&[JSONB_VERSION])?;
        serde_json::to_writer(out, &self.0)?;
        Ok(IsNull::No)
    }
}
impl<T: Serialize + std::fmt::Debug> ToSql<DocSql, Sqlite> for Doc<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}
impl<T: Serialize + std::fmt::Debug + Send + Sync + 'static> ToSql<DocSql, MultiBackend> for Doc<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
        out.set_value((DocSql, self));
        Ok(IsNull::No)
    }
}
impl<T: DeserializeOwned> FromSql<DocSql, Pg> for Doc<T> {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes().split_first() {
            Some((&JSONB_VERSION, json)) => Ok(Self(stored::from_slice(json)?)),
            _ => Err("a jsonb value of an unknown format".into()),
        }
    }
}
impl<T: DeserializeOwned> FromSql<DocSql, Sqlite> for Doc<T> {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self(stored::from_slice(<String as FromSql<Text, Sqlite>>::from_sql(value)?.as_bytes())?))
    }
}
impl<T: DeserializeOwned> FromSql<DocSql, MultiBackend> for Doc<T> {
    fn from_sql(value: MultiRawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<Self, DocSql>()
    }
}

impl ToSql<DocSql, Pg> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&[JSONB_VERSION])?;
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}
impl ToSql<DocSql, Sqlite> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_str());
        Ok(IsNull::No)
    }
}
impl ToSql<DocSql, MultiBackend> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
        out.set_value((DocSql, self));
        Ok(IsNull::No)
    }
}

/// Keeps a type as text: written by `Display`-like access, read by `FromStr`.
macro_rules! as_text {
    ($value:ty, $as_str:expr) => {
        expression!([], $value, Text);
        impl<DB: Backend> ToSql<Text, DB> for $value
        where
            str: ToSql<Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                let as_str: for<'a> fn(&'a $value) -> &'a str = $as_str;
                <str as ToSql<Text, DB>>::to_sql(as_str(self), out)
            }
        }
        impl<DB: Backend> FromSql<Text, DB> for $value
        where
            String: FromSql<Text, DB>,
        {
            fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
                Ok(<String as FromSql<Text, DB>>::from_sql(value)?.parse()?)
            }
        }
    };
}
as_text!(Country, |country| country.as_str());
as_text!(Currency, |currency| currency.code());

expression!([], Quantity, BigInt);
impl<DB: Backend> FromSql<BigInt, DB> for Quantity
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::new(<i64 as FromSql<BigInt, DB>>::from_sql(value)?)?)
    }
}
impl ToSql<BigInt, MultiBackend> for Quantity {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
        out.set_value((BigInt, self));
        Ok(IsNull::No)
    }
}
impl ToSql<BigInt, Pg> for Quantity {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&self.get().to_be_bytes())?;
        Ok(IsNull::No)
    }
}
impl ToSql<BigInt, Sqlite> for Quantity {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.get());
        Ok(IsNull::No)
    }
}

expression!([], Per, BigInt);
impl<DB: Backend> FromSql<BigInt, DB> for Per
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::new(<i64 as FromSql<BigInt, DB>>::from_sql(value)?)?)
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string())
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// One bound value of a hand-written statement ([`super::sql()`]). As JSON it is what [`super::dialect::list`] takes.
#[derive(Debug, Clone)]
pub enum Bind {
    /// An id.
    Uid(Option<Id<()>>),
    /// A text.
    Text(Option<String>),
    /// A whole number.
    Int(Option<i64>),
    /// A point in time.
    At(Option<Instant>),
    /// A JSON document.
    Doc(Option<Json>),
    /// Yes or no.
    Bool(bool),
}

impl Serialize for Bind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Uid(id) => id.map(|id| id.hex()).serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Int(number) => number.serialize(serializer),
            Self::At(at) => at.map(Instant::sortable).serialize(serializer),
            Self::Doc(json) => json.serialize(serializer),
            Self::Bool(flag) => flag.serialize(serializer),
        }
    }
}

impl Kind for () {
    const PREFIX: &'static str = "any";
}

/// Lets a type, and an optional one, be bound.
macro_rules! binds {
    ([$($generics:tt)*], $value:ty, $variant:ident, $convert:expr) => {
        impl<$($generics)*> From<$value> for Bind {
            fn from(value: $value) -> Self { Self::$variant(Some(($convert)(value))) }
        }
        impl<$($generics)*> From<Option<$value>> for Bind {
            fn from(value: Option<$value>) -> Self { Self::$variant(value.map($convert)) }
        }
    };
}
binds!([K], Id<K>, Uid, |id: Id<K>| Id::from_bytes(*id.bytes()));
binds!([], String, Text, |text| text);
binds!(['a], &'a str, Text, |text: &str| text.to_owned());
binds!([], Country, Text, |country: Country| country.as_str().to_owned());
binds!([], Currency, Text, |currency: Currency| currency.code().to_owned());
binds!([], i64, Int, |number| number);
binds!([], i32, Int, i64::from);
binds!([], Quantity, Int, |quantity: Quantity| quantity.get());
binds!([], Instant, At, |at| at);
binds!([], Json, Doc, |json| json);
binds!([], Doc<serde_json::Value>, Doc, |Doc(value): Doc<serde_json::Value>| Json::from(value));

impl From<bool> for Bind {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
