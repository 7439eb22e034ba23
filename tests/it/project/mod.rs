//! Projects on disk, and how the crates stand to one another; what projects mean is tested in `shared/project/tests`.

mod architecture;
mod load;
