//! Projects on disk, and the dependencies between crates; the meaning of projects is tested in `shared/project/tests`.

mod architecture;
mod load;
