//! The functions that Windlass adds to SQL, and the registry that holds them.
