//! A folder of a test's own.

use super::postgres::{self, Cluster};

/// A folder, and a PostgreSQL database if one was made with it. Both go when nobody holds it any more: hundreds of
/// databases of ten megabytes each would fill a small disk.
pub struct Folder {
    dir: tempfile::TempDir,
    database: Option<String>,
}

impl Folder {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), database: None }
    }

    /// The URL of an empty, migrated database, and the folder that it goes with.
    pub fn with_database(cluster: &Cluster) -> (String, Self) {
        let name = postgres::fresh_database(cluster);
        (format!("{}/{name}", cluster.base), Self { dir: tempfile::tempdir().unwrap(), database: Some(name) })
    }

    pub fn path(&self) -> &std::path::Path {
        self.dir.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a failed test has left may be worth a look, and a second panic would end the whole run.
        if std::thread::panicking() {
            return;
        }
        let (Some(name), Some(cluster)) = (&self.database, postgres::cluster()) else { return };
        postgres::psql(cluster, &format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}
