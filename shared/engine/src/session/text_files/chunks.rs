//! Groups files into chunks, and chunks into partitions.

/// The maximum size of text in a batch, unless a single file is larger. The syntax tree of a source is some thirty
/// times its text, so a batch of this size stays well below the limits of a list column and of a task's memory.
const CHUNK_BYTES: u64 = 2 * 1024 * 1024;

/// The cost of opening a file, in bytes: it prevents thousands of tiny files from ending up in one partition.
const OPEN_COST: u64 = 4 * 1024;

/// The minimum number of chunks per partition, so that partitions can be balanced.
const CHUNKS_PER_PARTITION: u64 = 4;

/// A listed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextFile {
    /// The path below the source's folder, `/` between its parts.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) size: u64,
    /// When it was last modified, in microseconds since the epoch; many stores only return seconds.
    pub(crate) modified: i64,
    /// The store's tags of its content; not sent to executors.
    pub(crate) mark: Option<String>,
}

/// Files that become one batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) files: Vec<TextFile>,
}

impl Chunk {
    /// Bytes of the files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    fn weight(&self) -> u64 {
        self.files.iter().map(weight).sum()
    }
}

fn weight(file: &TextFile) -> u64 {
    file.size + OPEN_COST
}

/// Puts `files`, which are sorted by path, into chunks of at most `batch_size` files, and the chunks into at most
/// `partitions` groups of about the same weight. Within a group the files stay sorted. Without files there is one empty
/// group: the engine's plan check refuses a scan without partitions.
pub(crate) fn into_groups(files: Vec<TextFile>, partitions: usize, batch_size: usize) -> Vec<Vec<Chunk>> {
    let partitions = partitions.max(1);
    let fair_share = files.iter().map(weight).sum::<u64>() / (partitions as u64 * CHUNKS_PER_PARTITION);
    let mut chunks = into_chunks(files, fair_share.min(CHUNK_BYTES), batch_size.max(1));
    // The heaviest first, each to the currently lightest group.
    chunks.sort_by_key(|chunk| std::cmp::Reverse(chunk.weight()));
    let mut groups: Vec<(u64, Vec<Chunk>)> = vec![(0, Vec::new()); chunks.len().clamp(1, partitions)];
    for chunk in chunks {
        if let Some((weight, group)) = groups.iter_mut().min_by_key(|(weight, _)| *weight) {
            *weight += chunk.weight();
            group.push(chunk);
        }
    }
    let mut groups: Vec<Vec<Chunk>> = groups.into_iter().map(|(_, group)| group).collect();
    for group in &mut groups {
        group.sort_by(|a, b| first_path(a).cmp(first_path(b)));
    }
    groups
}

fn first_path(chunk: &Chunk) -> &str {
    chunk.files.first().map_or("", |file| &file.path)
}

fn into_chunks(files: Vec<TextFile>, max_weight: u64, max_files: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut chunk = Chunk::default();
    let mut so_far = 0;
    for file in files {
        let full = so_far + weight(&file) > max_weight || chunk.files.len() >= max_files;
        if full && !chunk.files.is_empty() {
            chunks.push(std::mem::take(&mut chunk));
            so_far = 0;
        }
        so_far += weight(&file);
        chunk.files.push(file);
    }
    if !chunk.files.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(sizes: &[u64]) -> Vec<TextFile> {
        let file =
            |(i, size): (usize, &u64)| TextFile { path: format!("{i:05}"), size: *size, modified: 0, mark: None };
        sizes.iter().enumerate().map(file).collect()
    }

    fn paths(groups: &[Vec<Chunk>]) -> Vec<&str> {
        groups.iter().flatten().flat_map(|chunk| &chunk.files).map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn every_file_is_in_one_chunk_and_groups_weigh_about_the_same() {
        let sizes: Vec<u64> = (0..5000).map(|i| (i * 7919) % 60_000).collect();
        let groups = into_groups(files(&sizes), 4, 8192);
        assert_eq!(groups.len(), 4);
        let mut seen = paths(&groups);
        seen.sort_unstable();
        assert_eq!(seen.len(), 5000);
        seen.dedup();
        assert_eq!(seen.len(), 5000);
        let weights: Vec<u64> = groups.iter().map(|group| group.iter().map(Chunk::weight).sum()).collect();
        let (least, most) = (weights.iter().min().unwrap(), weights.iter().max().unwrap());
        assert!(most - least <= CHUNK_BYTES + 60_000 + OPEN_COST, "{weights:?}");
        for chunk in groups.iter().flatten() {
            assert!(chunk.weight() <= CHUNK_BYTES);
        }
    }

    #[test]
    fn a_large_file_is_a_chunk_of_its_own_and_few_files_still_spread() {
        let groups = into_groups(files(&[10 * CHUNK_BYTES, 10, 10, 10]), 2, 8192);
        assert_eq!(groups.len(), 2);
        assert!(groups.iter().flatten().any(|chunk| chunk.files.len() == 1 && chunk.bytes() == 10 * CHUNK_BYTES));
        assert_eq!(into_groups(files(&[1]), 8, 8192).len(), 1);
        assert_eq!(into_groups(files(&[100; 8]), 2, 8192).len(), 2);
        assert_eq!(into_groups(Vec::new(), 8, 8192), [Vec::new()]);
    }

    #[test]
    fn a_batch_has_no_more_rows_than_asked_for() {
        let groups = into_groups(files(&[0; 100]), 1, 7);
        assert!(groups.iter().flatten().all(|chunk| chunk.files.len() <= 7));
        assert_eq!(paths(&groups).len(), 100);
    }
}
