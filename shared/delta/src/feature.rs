//! The table features that Windlass reads, and those that it refuses by name.
//!
//! Only *reader* features decide whether a table can be read (Delta protocol, "Table Features"): a feature that is
//! listed for writers alone changes nothing about the rows of a snapshot.

/// The newest reader version whose meaning is known: version 3 lists its features by name.
pub(super) const NEWEST_READER_VERSION: i32 = 3;

/// The reader features that a scan honours.
pub const READABLE_FEATURES: [&str; 6] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    // An older spelling of `timestampNtz` that some tables carry.
    "timestampWithoutTimezone",
    "v2Checkpoint",
    // Binds those who vacuum, not those who read.
    "vacuumProtocolCheck",
];

/// The reader features that are known and refused, and what to do about each.
pub const REFUSED_FEATURES: [(&str, &str); 11] = [
    ("typeWidening", WIDENING),
    ("typeWidening-preview", WIDENING),
    ("variantType", VARIANT),
    ("variantType-preview", VARIANT),
    ("variantShredding", VARIANT),
    ("variantShredding-preview", VARIANT),
    ("catalogManaged", CATALOG),
    ("catalogOwned-preview", CATALOG),
    ("timestampNanos", "store the column as timestamp (microseconds) and rewrite the table"),
    ("geospatial", "store geometry and geography columns as binary or string in a copy of the table"),
    ("adaptiveMetadata-preview", "drop the feature with the engine that added it"),
];

const WIDENING: &str = "with the engine that widened the column, run `ALTER TABLE … DROP FEATURE typeWidening`, which rewrites the old files";
const VARIANT: &str = "copy the table with its variant columns cast to string, and read the copy";
const CATALOG: &str = "its newest commits are known to its catalog alone; read a copy, or give the table back to the file system with the engine that owns it";
