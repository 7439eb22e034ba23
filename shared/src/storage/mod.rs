//! Where data lives: one reading of locations for local paths, S3, GCS and Azure.
