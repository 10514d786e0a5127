//! The embedded store on a real file system.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::*;
use crate::control::keystore::{Keys, NewKey};
use crate::keys::{KeyType, StreamKey};

const NOW: u64 = 1_000_000;
const DAY_S: u64 = 86_400;

/// Runs the work of a store to its end.
fn now<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn create(store: &Embedded, stream: &str) -> StreamKey {
    let keys = Keys::new(Arc::new(store.clone()), || NOW);
    now(keys.create(NewKey::for_stream(stream))).unwrap().key
}

fn info(store: &Embedded, hash: &KeyHash) -> Option<KeyInfo> {
    let record = store.file.record(&Name::Key(*hash)).unwrap()?;
    Some(serde_json::from_slice(&record).unwrap())
}

#[test]
fn a_key_is_found_by_its_hash_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let key = create(&store, "live/a");
    assert_eq!(key.expose().len(), 64);
    drop(store);
    let store = open(dir.path()).unwrap();
    let want = KeyInfo::new(KeyType::Regular, "live/a", NOW);
    assert_eq!(info(&store, &key.hash()), Some(want));
    assert_eq!(info(&store, &KeyHash::of("another")), None);
}

#[test]
fn a_file_of_a_node_without_aliases_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::create(dir.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    let json = br#"{"type":"regular","stream":"live/a"}"#;
    let hash = KeyHash::of("old key");
    transaction.open_table(KEYS).unwrap().insert(hash.as_bytes(), &json[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let store = open(dir.path()).unwrap();
    assert_eq!(info(&store, &hash).unwrap().stream, "live/a");
    assert!(store.file.aliases("").unwrap().is_empty());
}

#[test]
fn the_file_holds_no_key_and_only_its_owner_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let key = create(&store, "live/a");
    drop(store);
    let path = dir.path().join(FILE_NAME);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(64).any(|window| window == key.expose().as_bytes()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_node_has_one_development_key_which_each_start_prolongs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let expired_regular = {
        let keys = Keys::new(Arc::new(store.clone()), || 0);
        now(keys.create(NewKey::for_stream("live/a"))).unwrap().key.hash()
    };
    let first = store.development_key("live/dev", NOW).unwrap();
    assert_eq!(first.expires_at, NOW + DAY_S);
    drop(store);
    let store = open(dir.path()).unwrap();
    for at in [NOW + 5, NOW + 9 * DAY_S] {
        let again = store.development_key("live/dev", at).unwrap();
        assert_eq!(again.key.hash(), first.key.hash());
        assert_eq!(again.expires_at, at + DAY_S);
        assert_eq!(info(&store, &first.key.hash()).unwrap().expires_at, Some(at + DAY_S));
    }
    assert!(info(&store, &expired_regular).is_some(), "only development keys go");
    let mode = std::fs::metadata(dir.path().join("development-key")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_development_key_that_was_taken_back_does_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let keys = Keys::new(Arc::new(store.clone()), || NOW);
    let first = store.development_key("live/dev", NOW).unwrap();
    now(keys.revoke(&first.key.hash().id())).unwrap();
    let second = store.development_key("live/dev", NOW).unwrap();
    assert_ne!(second.key.hash(), first.key.hash());
    assert!(info(&store, &first.key.hash()).unwrap().revoked, "and is known as revoked");
    now(keys.delete(&second.key.hash().id())).unwrap();
    let third = store.development_key("live/dev", NOW).unwrap();
    assert_ne!(third.key.hash(), second.key.hash());
    assert_eq!(info(&store, &second.key.hash()), None);
    std::fs::write(dir.path().join("development-key"), "something else").unwrap();
    let fourth = store.development_key("live/dev", NOW).unwrap();
    assert_eq!(info(&store, &third.key.hash()), None, "one per node");
    assert!(info(&store, &fourth.key.hash()).is_some());
}

#[test]
fn without_a_development_key_that_of_earlier_starts_is_ended_and_those_of_people_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let keys = Keys::new(Arc::new(store.clone()), || NOW);
    let new = NewKey { key_type: KeyType::Development, ..NewKey::for_stream("live/b") };
    let theirs = now(keys.create(new)).unwrap().key.hash();
    let ours = store.development_key("live/dev", NOW).unwrap().key.hash();
    let mut told = store.changes();
    store.no_development_key(NOW).unwrap();
    assert_eq!(told.try_recv(), Ok(Notice::Changed(ours)), "who publishes with it is ended");
    assert_eq!(info(&store, &ours), None);
    assert!(info(&store, &theirs).is_some());
    assert!(!dir.path().join("development-key").exists());
    store.no_development_key(NOW).unwrap();
    assert_ne!(store.development_key("live/dev", NOW).unwrap().key.hash(), ours);
}

#[test]
fn a_second_node_is_told_which_file_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error:?}");
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    File::create(&file).unwrap();
    let error = open(&file.join("data")).unwrap_err();
    assert!(matches!(error, StoreError::NotWritable(..)), "{error:?}");
    assert!(error.to_string().contains("file/data"), "{error}");
}

#[test]
fn a_file_of_another_kind_is_left_alone_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let text = b"something else entirely".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(..)), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), text);
}

#[test]
fn a_full_disk_is_told_from_other_faults() {
    let fault = |kind: io::ErrorKind| store_error(Path::new("/data"), redb::Error::Io(kind.into()));
    assert!(matches!(fault(io::ErrorKind::StorageFull), StoreError::DiskFull(_)));
    assert!(matches!(fault(io::ErrorKind::PermissionDenied), StoreError::NotWritable(..)));
}

/// A file system of this size, for as long as it lives; `None` where nothing may be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(dir.path());
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then(|| Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the space that is left, until the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[1; 4_096]).is_ok() {}
        while file.write_all(&[1]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

#[test]
fn a_store_on_a_full_disk_answers_and_is_written_again_once_there_is_room() {
    let Some(disk) = SmallDisk::mount("8m") else { return };
    let store = open(disk.path()).unwrap();
    let first = create(&store, "live/first").hash();
    let filler = disk.fill();
    let keys = Keys::new(Arc::new(store.clone()), || NOW);
    let mut made = Vec::new();
    let error = loop {
        match now(keys.create(NewKey::for_stream("live/more"))) {
            Ok(key) => made.push(key.key.hash()),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("no space left"), "{error}");
    assert_eq!(keys.trouble(), Some("the disk of the key store is full"));
    // What is there can be looked up all the same.
    for hash in made.iter().chain([&first]) {
        assert!(info(&store, hash).is_some());
    }
    now(keys.probe());
    std::fs::remove_file(filler).unwrap();
    now(keys.probe());
    assert_eq!(keys.trouble(), None);
    let last = create(&store, "live/last").hash();
    drop((store, keys));
    let store = open(disk.path()).unwrap();
    assert!(info(&store, &first).is_some() && info(&store, &last).is_some());
}

#[test]
fn a_first_start_on_a_full_disk_leaves_nothing_that_stops_the_next_one() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let filler = disk.fill();
    // A little more room each time, until there is enough for a store.
    let length = std::fs::metadata(&filler).unwrap().len();
    let failed = (0..=length).step_by(4_096).take_while(|room| {
        let file = OpenOptions::new().write(true).open(&filler).unwrap();
        file.set_len(length - room).unwrap();
        let Err(error) = open(disk.path()) else { return false };
        assert!(matches!(error, StoreError::DiskFull(_)), "with {room} bytes: {error:?}");
        let files = std::fs::read_dir(disk.path()).unwrap();
        let left: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["filler"], "with {room} bytes");
        true
    });
    assert!(failed.count() > 2, "the disk was not full");
    std::fs::remove_file(filler).unwrap();
    create(&open(disk.path()).unwrap(), "live/a");
}

/// Set for the process that is killed: the data directory.
const VICTIM_DIR: &str = "KEYSTORE_VICTIM_DIR";

/// Not a test of its own: writes keys until it is killed, and says which are stored.
#[test]
#[ignore = "run by keys_survive_a_kill as a process of its own"]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM_DIR) else { return };
    let store = open(Path::new(&dir)).unwrap();
    let mut out = io::stderr();
    for n in 0.. {
        let hash = create(&store, &format!("live/{n}")).hash();
        writeln!(out, "stored {hash}").unwrap();
    }
}

#[test]
fn keys_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let name = std::thread::current().name().unwrap().replace("keys_survive_a_kill", "victim");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env(VICTIM_DIR, dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stderr.take().unwrap()).lines().map(Result::unwrap);
    let stored = lines.filter_map(|line| KeyHash::from_hex(line.strip_prefix("stored ")?));
    let stored: Vec<_> = stored.take(20).collect();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(stored.len(), 20, "the victim did not run");
    let store = open(dir.path()).unwrap();
    for hash in &stored {
        assert!(info(&store, hash).is_some());
    }
    assert!(store.file.keys("").unwrap().len() >= 20);
}
