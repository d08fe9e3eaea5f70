//! Reference data in memory: channels, keys, rates, locations. Read on every request, changed rarely.
//!
//! Each kind has a name and a version row. A change bumps the row in its own transaction; every process looks at the
//! version rows several times a second and loads again what has moved, so a change is effective everywhere within a
//! second, and at once in the process that made it.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use diesel::sql_types::{BigInt, Text};

use super::{Db, Tx, sql};
use crate::error::Result;

/// Reference data that is kept in memory.
pub trait Snapshot: Send + Sync + Sized + 'static {
    /// The name of its version row.
    const NAME: &'static str;

    /// Reads all of it.
    ///
    /// # Errors
    /// What the database says.
    fn load(tx: &mut Tx) -> Result<Self>;
}

/// Reference data of a kind, and its version.
type Loaded = (i64, Arc<dyn Any + Send + Sync>);

#[derive(Default)]
pub(super) struct Snapshots {
    loaded: RwLock<HashMap<TypeId, Loaded>>,
    known: RwLock<HashMap<String, i64>>,
}

/// Says that the reference data has changed. Part of the transaction that changes it.
///
/// # Errors
/// What the database says.
pub fn bump<T: Snapshot>(tx: &mut Tx) -> Result<()> {
    sql("INSERT INTO versions (name, version) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET version = versions.version + 1")
        .bind(T::NAME)
        .execute(tx)?;
    Ok(())
}

/// Which state of the reference data of a kind this is; `None` before its first change.
///
/// # Errors
/// What the database says.
pub fn version<T: Snapshot>(tx: &mut Tx) -> Result<Option<i64>> {
    sql("SELECT version FROM versions WHERE name = ?").bind(T::NAME).first::<BigInt, i64>(tx)
}

impl Db {
    /// The reference data of a kind, from memory where it is current.
    ///
    /// # Errors
    /// What the database says while it is loaded.
    pub async fn snapshot<T: Snapshot>(&self) -> Result<Arc<T>> {
        let known = {
            let versions = self.inner.snapshots.known.read().unwrap_or_else(PoisonError::into_inner);
            versions.get(T::NAME).copied().unwrap_or_default()
        };
        let current = {
            let loaded = self.inner.snapshots.loaded.read().unwrap_or_else(PoisonError::into_inner);
            loaded.get(&TypeId::of::<T>()).filter(|(version, _)| *version >= known).map(|(_, data)| data.clone())
        };
        if let Some(Ok(data)) = current.map(Arc::downcast::<T>) {
            return Ok(data);
        }
        let (version, data) = self
            .read(|tx| {
                // The version first: data that is newer than its version is loaded once too often, never too rarely.
                let version = version::<T>(tx)?;
                Ok((version.unwrap_or_default(), Arc::new(T::load(tx)?)))
            })
            .await?;
        let mut loaded = self.inner.snapshots.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.insert(TypeId::of::<T>(), (version, data.clone()));
        Ok(data)
    }

    /// Looks at the version rows; what has moved is loaded again when it is next asked for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn refresh_snapshots(&self) -> Result<()> {
        let versions =
            self.read(|tx| sql("SELECT name, version FROM versions").load::<(Text, BigInt), (String, i64)>(tx)).await?;
        let mut known = self.inner.snapshots.known.write().unwrap_or_else(PoisonError::into_inner);
        for (name, version) in versions {
            // Somebody who has looked later may have come before: what is known is never forgotten.
            let latest = known.entry(name).or_insert(version);
            *latest = (*latest).max(version);
        }
        Ok(())
    }
}
