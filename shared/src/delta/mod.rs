//! Delta tables: pin, scan, write, commit. The only importer of deltalake.
