//! Text files as a table.

use std::time::{Duration, SystemTime};

use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_engine::session::TableInput;

use super::support::{Fixture, text_files, write};

fn crate_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "Cargo.toml", "[package]\n");
    write(folder.path(), "src/lib.rs", "fn lib() {}\n");
    write(folder.path(), "src/über file.rs", "fn über() {}\n");
    write(folder.path(), "src/deep/er/mod.rs", "");
    write(folder.path(), "src/latin1.rs", b"// caf\xe9\n");
    write(folder.path(), "target/out.rs", "generated\n");
    folder
}

#[tokio::test]
async fn files_are_selected_by_globs_and_hashed() {
    let folder = crate_folder();
    let fixture = Fixture::new();
    let input = text_files(folder.path(), &["**/*.rs"], &["target/**"]);
    let record = fixture.register("files", input).await.unwrap();
    assert_eq!((record.files, record.bytes), (Some(4), Some(12 + 14 + 8)));
    insta::assert_snapshot!(fixture.rows("SELECT * FROM files ORDER BY path").await);
    // The hash of no bytes, as the specification of BLAKE3 gives it.
    let hash = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(fixture.value("SELECT content_hash FROM files WHERE size = 0").await, hash);
}

#[tokio::test]
async fn a_star_does_not_cross_folders_and_no_glob_matches_everything() {
    let folder = crate_folder();
    let fixture = Fixture::new();
    for (include, expected) in
        [(&["*"][..], 1), (&["src/*.rs"], 3), (&["src/**"], 4), (&[], 6), (&["*.toml", "target/*"], 2)]
    {
        let record = fixture.register("files", text_files(folder.path(), include, &[])).await.unwrap();
        assert_eq!(record.files, Some(expected), "{include:?}");
    }
}

#[tokio::test]
async fn unreadable_files_are_reported_clearly() {
    let folder = crate_folder();
    let fixture = Fixture::new();
    let code = async |input| {
        let error = fixture.register("files", input).await.unwrap_err();
        format!("{} {error}", error.code()).replace(&folder.path().display().to_string(), "<folder>")
    };
    insta::assert_snapshot!(code(text_files(folder.path(), &["**/*.py"], &[])).await, @"WL0305 `<folder>` holds no files that match `**/*.py`");
    insta::assert_snapshot!(code(text_files(&folder.path().join("none"), &[], &[])).await, @"WL0305 `<folder>/none` does not exist");
    insta::assert_snapshot!(code(text_files(folder.path(), &["a[b"], &[])).await, @"WL0306 `a[b` is not a glob: unclosed character class; missing ']'");
}

#[tokio::test]
async fn large_and_binary_files_have_no_content_but_a_hash() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "large.txt", vec![b'x'; 5000]);
    write(folder.path(), "small.txt", "x");
    write(folder.path(), "binary.txt", [0xff, 0xfe, 0x00]);
    let fixture = Fixture::new();
    let TableInput::TextFiles { mut source, location } = text_files(folder.path(), &["**"], &[]) else {
        unreachable!()
    };
    source.max_file_bytes = 4999;
    fixture.register("files", TableInput::TextFiles { source, location }).await.unwrap();
    let sql = "SELECT path, size, content, length(content_hash) AS digits FROM files ORDER BY path";
    insta::assert_snapshot!(fixture.rows(sql).await, @r"
    +------------+------+---------+--------+
    | path       | size | content | digits |
    +------------+------+---------+--------+
    | binary.txt | 3    |         | 64     |
    | large.txt  | 5000 |         | 64     |
    | small.txt  | 1    | x       | 64     |
    +------------+------+---------+--------+
    ");
}

#[tokio::test]
async fn a_file_that_changes_after_it_was_listed_fails_the_query() {
    let folder = crate_folder();
    let fixture = Fixture::new();
    fixture.register("files", text_files(folder.path(), &["src/*.rs"], &[])).await.unwrap();
    let file = folder.path().join("src/lib.rs");
    let later = SystemTime::now() + Duration::from_secs(100);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
    let failure = fixture.failure("SELECT content FROM files").await;
    assert!(failure.contains("`src/lib.rs` changed or vanished"), "{failure}");
    assert_eq!(fixture.value("SELECT count(*) FROM files WHERE path LIKE 'src/l%'").await, "2");
    std::fs::remove_file(&file).unwrap();
    let failure = fixture.failure("SELECT content_hash FROM files WHERE path = 'src/lib.rs'").await;
    assert!(failure.contains("`src/lib.rs` changed or vanished"), "{failure}");
}

#[tokio::test]
async fn the_listing_answers_supported_filters() {
    let folder = crate_folder();
    let fixture = Fixture::new();
    fixture.register("files", text_files(folder.path(), &["src/**"], &[])).await.unwrap();
    let plan = fixture.plan("SELECT content FROM files WHERE path LIKE '%lib.rs' AND size < 100").await;
    assert!(!plan.contains("FilterExec") && plan.contains("1 group: [[src/lib.rs]]"), "{plan}");
    assert!(plan.contains("projection=[content], file_type=text_files, max_file_bytes=1000000"), "{plan}");
    assert!(!plan.contains(&folder.path().display().to_string()), "{plan}");
    let plan = fixture.plan("SELECT count(*) FROM files").await;
    assert!(!plan.contains("text_files"), "the number of files is known: {plan}");
    let plan = fixture.plan("SELECT path FROM files WHERE content LIKE '%fn%'").await;
    assert!(plan.contains("FilterExec"), "{plan}");
    insta::assert_snapshot!(
        fixture.rows("SELECT path AS p, size * 2 AS twice FROM files WHERE size > 13 ORDER BY 1").await
    );
    assert_eq!(fixture.value("SELECT count(*) FROM (SELECT path FROM files LIMIT 2)").await, "2");
    assert_eq!(fixture.value("SELECT count(*) FROM files WHERE path = 'no such'").await, "0");
    let nothing = "SELECT upper(content) AS text FROM files WHERE path = 'no such' AND size < 5";
    let plan = fixture.plan(nothing).await;
    assert!(plan.contains("1 group: [[]]"), "{plan}");
    assert_eq!(fixture.rows(nothing).await.lines().count(), 2, "a frame without rows");
}

#[tokio::test]
async fn many_files_become_few_balanced_batches() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..1000 {
        write(folder.path(), &format!("d{}/f{i:04}.txt", i % 10), "x".repeat(i * 3));
    }
    let settings = SessionSettings { target_partitions: 4, batch_size: 100, ..SessionSettings::default() };
    let fixture = Fixture::with(settings);
    let record = fixture.register("files", text_files(folder.path(), &["**/*.txt"], &[])).await.unwrap();
    assert_eq!(record.files, Some(1000));
    // Otherwise the partition that is read first takes the others' chunks.
    fixture.ctx.sql("SET datafusion.execution.enable_file_stream_work_stealing = false").await.unwrap();
    let plan = fixture.ctx.sql("SELECT * FROM files").await.unwrap().create_physical_plan().await.unwrap();
    assert_eq!(plan.properties().partitioning.partition_count(), 4);
    let mut rows_of_partitions = Vec::new();
    for partition in 0..4 {
        let stream = plan.execute(partition, fixture.ctx.task_ctx()).unwrap();
        let batches: Vec<_> = futures::TryStreamExt::try_collect(stream).await.unwrap();
        assert!(batches.iter().all(|batch| batch.num_rows() <= 100));
        rows_of_partitions.push(batches.iter().map(|batch| batch.num_rows()).sum::<usize>());
    }
    assert_eq!(rows_of_partitions.iter().sum::<usize>(), 1000);
    assert!(rows_of_partitions.iter().all(|rows| *rows > 100), "{rows_of_partitions:?}");
    let sum = "SELECT sum(length(content)) FROM files";
    assert_eq!(fixture.value(sum).await, (0..1000).map(|i| i * 3).sum::<usize>().to_string());
}

#[tokio::test]
async fn the_digest_covers_the_files_and_the_identity_how_they_are_read() {
    let folder = crate_folder();
    let fixture = Fixture::new();
    let register = async || fixture.register("files", text_files(folder.path(), &["**/*.rs"], &[])).await.unwrap();
    let first = register().await;
    assert_eq!(first, register().await);
    write(folder.path(), "src/new.rs", "fn new() {}");
    let grown = register().await;
    assert_ne!(first.files_digest, grown.files_digest);
    assert_eq!(first.scan_identity, grown.scan_identity);
    let other = fixture.register("files", text_files(folder.path(), &["src/**/*.rs"], &[])).await.unwrap();
    assert_ne!(other.scan_identity, grown.scan_identity);
}

#[tokio::test]
async fn files_of_an_object_store_are_read_in_the_same_way() {
    use windlass_storage::Location;
    let fixture = Fixture::new();
    let location = Location::parse("memory:///code", std::path::Path::new("/")).unwrap();
    let store = fixture.sessions.stores().store(&location).unwrap();
    for (path, content) in [("code/a.py", "x = 1\n"), ("code/b/c.py", "y = 2\n"), ("coder/d.py", "z = 3\n")] {
        use datafusion::object_store::ObjectStoreExt;
        store.put(&path.into(), content.into()).await.unwrap();
    }
    let TableInput::TextFiles { source, .. } = text_files("/code".as_ref(), &["**/*.py"], &[]) else { unreachable!() };
    fixture.register("files", TableInput::TextFiles { source, location }).await.unwrap();
    insta::assert_snapshot!(fixture.rows("SELECT path, content FROM files ORDER BY path").await);
}
