//! Tables: creation in a commit of their own, and the comparison with what exists.
