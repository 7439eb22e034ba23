//! Values that are equal in one part of the engine and different in another: zeros with a sign, several NaNs, times
//! finer than microseconds, and types that a table stores as others. What a run makes of changes is what a rebuild
//! makes.

mod kinds;
mod odd;
mod pair;
mod sequences;
