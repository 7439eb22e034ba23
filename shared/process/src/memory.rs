//! The memory available to this process: the limit of its container, or that of the machine.

use std::path::Path;

/// `percent` of the memory of this process, in bytes; `None` if neither its limit nor the machine's memory is known.
pub fn share_of_memory(percent: u64) -> Option<u64> {
    process_memory().map(|bytes| bytes / 100 * percent)
}

/// The memory of this process's container or machine, in bytes, whichever is smaller.
pub fn process_memory() -> Option<u64> {
    available(Path::new("/"))
}

fn available(root: &Path) -> Option<u64> {
    let machine = read(&root.join("proc/meminfo")).and_then(|text| machine_memory(&text));
    let cgroups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = limit_files(&cgroups).into_iter().filter_map(|file| limit(&read(&root.join(file))?));
    limits.chain(machine).min()
}

fn read(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

/// The files that may limit the process, by the content of `/proc/self/cgroup`: those of its group and of the enclosing
/// groups. In a container its own group is the root.
fn limit_files(cgroups: &str) -> Vec<String> {
    let mut files =
        vec!["sys/fs/cgroup/memory.max".to_owned(), "sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned()];
    for line in cgroups.lines() {
        // hierarchy:controllers:path; version 2 has no controllers.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|controller| controller == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut group = path.trim_matches('/');
        while !group.is_empty() {
            files.push(format!("{root}/{group}/{file}"));
            group = group.rsplit_once('/').map_or("", |(outer, _)| outer);
        }
    }
    files
}

/// The bytes of a limit file. Version 1 has no value for "no limit", only a huge number.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes > 0)
}

/// The machine's memory by `/proc/meminfo`, in bytes.
fn machine_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `files` below a fresh root and determines the memory there.
    fn with(files: &[(&str, &str)]) -> Option<u64> {
        let root = std::env::temp_dir().join(format!("windlass-memory-{}", uuid::Uuid::new_v4()));
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = available(&root);
        let _ = std::fs::remove_dir_all(root);
        found
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_smallest_limit_applies() {
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[MACHINE]), Some(16 << 20));
        assert_eq!(with(&[MACHINE, ("sys/fs/cgroup/memory.max", "max\n")]), Some(16 << 20));
        assert_eq!(with(&[MACHINE, ("sys/fs/cgroup/memory.max", "4194304\n")]), Some(4 << 20));
        let v1 = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(with(&[MACHINE, v1]), Some(16 << 20));
        assert_eq!(with(&[MACHINE, (v1.0, "2097152\n")]), Some(2 << 20));
    }

    #[test]
    fn a_limit_of_an_enclosing_group_applies_too() {
        let own = ("proc/self/cgroup", "0::/pods/pod7/worker\n");
        let around = ("sys/fs/cgroup/pods/pod7/memory.max", "3145728\n");
        assert_eq!(with(&[MACHINE, own, around]), Some(3 << 20));
        let v1 = ("proc/self/cgroup", "12:cpu:/x\n5:memory,hugetlb:/docker/abc\n");
        let limit = ("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "1048576");
        assert_eq!(with(&[MACHINE, v1, limit]), Some(1 << 20));
    }
}
