//! Room on the stack for walks over deep trees.
//!
//! A query's tree is as deep as its longest chain of operators, and most walks over it, the dropping of it too, take a
//! piece of stack a level. A stack that is exhausted ends the process, so trees are walked where there is room: on threads
//! with large stacks, or on a piece of stack made for the walk. Both end in a guard page.

/// The stack of every thread that plans, hands out or decodes plans. It is address space; only what is used takes memory.
pub const THREAD_STACK_BYTES: usize = 256 * 1024 * 1024;

/// What [`with_large_stack`] gives to work that finds less.
const LARGE_BYTES: usize = 64 * 1024 * 1024;
/// What [`with_room`] makes sure of: an operator's own frames, and a walk over its deepest expression.
const ROOM_BYTES: usize = 1024 * 1024;
/// What [`with_room`] adds where there is less.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// Runs `work`, which walks over trees as deep as the limits allow, on whatever thread it is called.
pub fn with_large_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LARGE_BYTES / 2, LARGE_BYTES, work)
}

/// Runs one step of a walk over operators: each has room, however many stand above it.
pub fn with_room<T>(step: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ROOM_BYTES, PIECE_BYTES, step)
}
