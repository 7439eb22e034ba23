//! Stack space for deep recursion.
//!
//! A query's tree is as deep as its longest chain of operators, and most traversals, including drops, use stack for
//! each level. An exhausted stack aborts the process, so trees are traversed on threads with large stacks, or on
//! additional stack segments. Both end in a guard page.

/// The stack size of threads that plan, send or decode plans. It is address space; only used pages take memory.
pub const THREAD_STACK_BYTES: usize = 256 * 1024 * 1024;

/// The segment size of [`with_large_stack`].
const LARGE_BYTES: usize = 64 * 1024 * 1024;
/// The minimum stack space in [`with_room`]: for an operator's own frames, and a traversal of its deepest expression.
const ROOM_BYTES: usize = 1024 * 1024;
/// The segment size of [`with_room`].
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// Runs `work`, which traverses trees as deep as the limits allow, with enough stack on any thread.
pub fn with_large_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LARGE_BYTES / 2, LARGE_BYTES, work)
}

/// Runs one step of a traversal over operators, each with enough stack, whatever the depth.
pub fn with_room<T>(step: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ROOM_BYTES, PIECE_BYTES, step)
}
