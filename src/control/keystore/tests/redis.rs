//! Redis as it is run: with passwords, users and TLS, with sentinels, as a cluster; away and back.

use super::sentinel::FakeSentinel;
use super::server::{PASSWORD, Server, cluster, spec};
use super::*;
use crate::control::keystore::redis::{ALIAS_PREFIX, CHANNEL, KEY_PREFIX, Redis, RedisMode};
use crate::keys::{Alias, KeyInfo, KeyType};

fn on(urls: &[String]) -> Keys {
    keys_on(Redis::new(&spec(urls)).unwrap())
}

#[tokio::test]
async fn a_server_with_a_password_does_all_that_a_store_does() {
    let server = Server::with_password().await;
    suite::run(&on(&[server.url()])).await;
    // The password may also stand beside the URL.
    let mut beside = spec(&[format!("redis://127.0.0.1:{}", server.port)]);
    beside.password = Some(PASSWORD.to_owned());
    assert!(!keys_on(Redis::new(&beside).unwrap()).list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_user_with_the_documented_rights_does_all_that_a_store_does() {
    let rights = "--user keys on >pw ~stream:key:* ~stream:alias:* &stream:key:changes \
                  +get +mget +set +del +pttl +expireat +pexpire +eval +scan \
                  +publish +subscribe +ping +select +info";
    let options: Vec<_> = rights.split_whitespace().collect();
    let server = Server::start(&options).await;
    let url = format!("redis://keys:pw@127.0.0.1:{}", server.port);
    suite::run(&on(&[url])).await;
}

#[tokio::test]
async fn over_tls_it_does_all_that_a_store_does_and_strangers_are_not_trusted() {
    let names = ["127.0.0.1".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (certificate, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let [cert, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
    let tls = ["--port", "0", "--tls-auth-clients", "no", "--tls-cert-file", cert];
    let server = Server::start_with_tls(&[&tls[..], &["--tls-key-file", key]].concat()).await;
    let url = format!("rediss://:{PASSWORD}@127.0.0.1:{}", server.port);
    let mut trusting = spec(&[url]);
    let stranger = keys_on(Redis::new(&trusting).unwrap()).list().await.unwrap_err();
    assert!(matches!(stranger, KeyError::Store(StoreError::Away(_))), "{stranger:?}");
    trusting.ca_file = Some(certificate);
    suite::run(&keys_on(Redis::new(&trusting).unwrap())).await;
}

#[tokio::test]
async fn a_cluster_does_all_that_a_store_does() {
    let nodes = cluster().await;
    let mut spec = spec(&[nodes[0].url(), nodes[1].url()]);
    spec.mode = RedisMode::Cluster;
    let keys = keys_on(Redis::new(&spec).unwrap());
    suite::run(&keys).await;
    for n in 0..30 {
        keys.create(NewKey::for_stream(&format!("spread/{n}"))).await.unwrap();
    }
    let all = keys.list().await.unwrap();
    assert_eq!(all.iter().filter(|key| key.info.stream.starts_with("spread/")).count(), 30);
    let holders = nodes.iter().filter(|node| node.cli(&["DBSIZE"]).trim() != "0").count();
    assert_eq!(holders, 3, "the keys are on all nodes");
}

#[tokio::test]
async fn behind_sentinels_it_does_all_that_a_store_does_and_follows_a_fail_over() {
    let login = ["--requirepass", PASSWORD, "--masterauth", PASSWORD];
    let master = Server::start(&login).await;
    let of_master = format!("127.0.0.1 {}", master.port);
    let replica = Server::start(&[&login[..], &["--replicaof", &of_master]].concat()).await;
    wait_until("the replica is in step", async || {
        replica.cli(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
    })
    .await;
    let sentinel = Server::sentinel(master.port).await;
    wait_until("the sentinel knows the replica", async || {
        let port = replica.port.to_string();
        sentinel.cli(&["SENTINEL", "REPLICAS", "mymaster"]).contains(&port).then_some(())
    })
    .await;
    // The first sentinel does not exist: the second is asked.
    let sentinels =
        ["redis://127.0.0.1:1".to_owned(), format!("redis://127.0.0.1:{}", sentinel.port)];
    let mut spec = spec(&sentinels);
    spec.mode = RedisMode::Sentinel;
    spec.password = Some(PASSWORD.to_owned());
    let keys = keys_on(Redis::new(&spec).unwrap());
    suite::run(&keys).await;
    let made = keys.create(NewKey::for_stream("live/before")).await.unwrap();
    assert_eq!(master.cli(&["WAIT", "1", "0"]).trim(), "1");
    let mut changes = keys.changes();
    master.signal("KILL");
    wait_until("the replica has taken over", async || {
        keys.create(NewKey::for_stream("live/after")).await.ok().map(drop)
    })
    .await;
    assert_eq!(keys.get(&made.view.id()).await.unwrap(), made.view);
    assert!(replica.cli(&["ROLE"]).starts_with("master"));
    tokio::time::timeout(SOON, async { while changes.recv().await.unwrap() != Notice::Unsure {} })
        .await
        .expect("the listener has not followed");
}

/// Keys behind a sentinel that says that `master` is the master.
async fn behind(sentinel: &FakeSentinel) -> Keys {
    let mut spec = spec(&[format!("redis://127.0.0.1:{}", sentinel.port)]);
    spec.mode = RedisMode::Sentinel;
    spec.password = Some(PASSWORD.to_owned());
    keys_on(Redis::new(&spec).unwrap())
}

#[tokio::test]
async fn what_a_sentinel_says_of_a_fail_over_is_followed_at_once() {
    let (old, new) = (Server::with_password().await, Server::with_password().await);
    let sentinel = FakeSentinel::start(old.port).await;
    let keys = behind(&sentinel).await;
    let mut changes = keys.changes();
    keys.create(NewKey::for_stream("live/before")).await.unwrap();
    wait_until("the node listens to the sentinel", async || sentinel.is_heard().then_some(()))
        .await;
    while changes.try_recv().is_ok() {}
    // The old one does not know yet: it still answers, and says that it is the master.
    sentinel.switch(new.port);
    tokio::time::timeout(SOON, async { while changes.recv().await.unwrap() != Notice::Unsure {} })
        .await
        .expect("nothing was heard");
    keys.create(NewKey::for_stream("live/after")).await.unwrap();
    assert_eq!((old.cli(&["DBSIZE"]).trim(), new.cli(&["DBSIZE"]).trim()), ("1", "1"));
}

#[tokio::test]
async fn a_master_that_was_made_a_replica_is_not_read_from() {
    let (old, new) = (Server::with_password().await, Server::with_password().await);
    let sentinel = FakeSentinel::start(old.port).await;
    let keys = behind(&sentinel).await;
    let made = keys.create(NewKey::for_stream("live/before")).await.unwrap();
    assert!(keys.get(&made.view.id()).await.is_ok());
    // It cannot log in at the new one, so that it keeps what it has.
    old.cli(&["REPLICAOF", "127.0.0.1", &new.port.to_string()]);
    sentinel.say(new.port);
    let answer = keys.get(&made.view.id()).await;
    assert!(answer.is_err(), "read from a replica: {answer:?}");
    keys.create(NewKey::for_stream("live/after")).await.unwrap();
    assert_eq!(new.cli(&["DBSIZE"]).trim(), "1");
}

#[tokio::test]
async fn records_have_the_documented_names_and_form() {
    let server = Server::with_password().await;
    let keys = on(&[server.url()]);
    let mut new = NewKey::for_stream("live/a");
    new.alias = Some("studio".to_owned());
    let made = keys.create(new).await.unwrap();
    let hash = made.key.hash().to_string();
    let name = format!("{KEY_PREFIX}{hash}");
    let json = server.cli(&["GET", &name]);
    let record: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&record["type"], &record["stream"]), (&"regular".into(), &"live/a".into()));
    assert_eq!(record["revoked"], false);
    let left: u64 = server.cli(&["TTL", &name]).trim().parse().unwrap();
    let kept = 2 * 2_592_000;
    assert!((kept - 100..=kept).contains(&left), "30 days beyond its end, not {left} s");
    let alias = format!("{ALIAS_PREFIX}studio");
    assert_eq!(server.cli(&["GET", &alias]).trim(), hash);
    assert_eq!(server.cli(&["TTL", &alias]).trim(), "-1");
    let everything = server.cli(&["MGET", &name, &alias]);
    assert!(!everything.contains(made.key.expose()), "the key itself is stored");
    assert_eq!(CHANNEL, "stream:key:changes");
}

#[tokio::test]
async fn records_of_other_programs_are_honoured_and_left_whole() {
    let server = Server::with_password().await;
    let keys = on(&[server.url()]);
    let hash = KeyHash::of("their key");
    let name = format!("{KEY_PREFIX}{hash}");
    let json = r#"{"type":"regular","stream":"live/theirs","billing":"plan b"}"#;
    server.cli(&["SET", &name, json, "EX", "1000"]);
    server.cli(&["SET", &format!("{ALIAS_PREFIX}theirs"), "their key"]);
    server.cli(&["SET", &format!("{KEY_PREFIX}unrelated"), "of somebody else"]);
    server.cli(&["SET", &format!("{KEY_PREFIX}{}", KeyHash::of("bad")), "no json"]);
    let alias = Alias::new("theirs").unwrap();
    let found = keys.look_up(&KeyHash::of("theirs"), Some(&alias)).await.unwrap().unwrap();
    assert_eq!((found.key, found.info.stream.as_str()), (hash, "live/theirs"));
    keys.used(&hash, Usage { last_used_at: Some(7), failed: 0 }).await.unwrap();
    let record = server.cli(&["GET", &name]);
    assert!(record.contains("plan b") && record.contains(r#""last_used_at":7"#), "{record}");
    let left: u64 = server.cli(&["TTL", &name]).trim().parse().unwrap();
    assert!((900..=1_000).contains(&left), "its end was lost: {left}");
    let all = keys.list().await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].aliases, [alias]);
    let bad = keys.look_up(&KeyHash::of("bad"), None).await.unwrap_err();
    assert!(matches!(bad, StoreError::Record(..)), "{bad:?}");
    // It can be deleted although it cannot be read.
    keys.delete(&KeyHash::of("bad").id()).await.unwrap();
    assert_eq!(keys.look_up(&KeyHash::of("bad"), None).await.unwrap(), None);
}

#[tokio::test]
async fn what_one_node_changes_the_others_hear_and_other_programs_are_heard_too() {
    let server = Server::with_password().await;
    let (ours, theirs) = (on(&[server.url()]), on(&[server.url()]));
    let mut changes = theirs.changes();
    let mut heard = async |want: Notice| {
        let wait =
            tokio::time::timeout(SOON, async { while changes.recv().await.unwrap() != want {} });
        wait.await.unwrap_or_else(|_| panic!("{want:?} was not heard"));
    };
    heard(Notice::Unsure).await;
    let made = ours.create(NewKey::for_stream("live/a")).await.unwrap();
    heard(Notice::Changed(made.key.hash())).await;
    ours.revoke(&made.view.id()).await.unwrap();
    heard(Notice::Changed(made.key.hash())).await;
    server.cli(&["PUBLISH", CHANNEL, &KeyHash::of("x").to_string()]);
    heard(Notice::Changed(KeyHash::of("x"))).await;
    server.cli(&["PUBLISH", CHANNEL, "reload everything"]);
    heard(Notice::Unsure).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_away_and_comes_back() {
    let server = Server::with_password().await;
    let mut spec = spec(&[server.url()]);
    spec.timeout = Duration::from_millis(200);
    let keys = keys_on(Redis::new(&spec).unwrap());
    let made = keys.create(NewKey::for_stream("live/a")).await.unwrap();
    server.signal("STOP");
    for _ in 0..2 {
        let waited = tokio::time::timeout(SOON, keys.look_up(&made.key.hash(), None)).await;
        let error = waited.expect("the question hangs with the server").unwrap_err();
        assert!(matches!(error, StoreError::Away(_)), "{error:?}");
    }
    server.signal("CONT");
    wait_until("the server answers again", async || {
        keys.look_up(&made.key.hash(), None).await.ok().flatten()
    })
    .await;
}

#[tokio::test]
async fn a_server_that_was_stopped_is_found_again_and_everything_may_have_changed() {
    let server = Server::with_password().await;
    let (port, url) = (server.port, server.url());
    let keys = on(&[url]);
    let mut changes = keys.changes();
    let mut unsure = async || {
        let wait = tokio::time::timeout(SOON, async {
            while changes.recv().await.unwrap() != Notice::Unsure {}
        });
        wait.await.expect("the listener is not back");
    };
    unsure().await;
    drop(server);
    let error = keys.list().await.unwrap_err();
    assert!(matches!(error, KeyError::Store(StoreError::Away(_))), "{error:?}");
    let _server = Server::start_on(port, &["--requirepass", PASSWORD]).await;
    unsure().await;
    keys.create(NewKey::for_stream("live/a")).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_repeated() {
    let server = Server::with_password().await;
    let url = format!("redis://:wr0ng@127.0.0.1:{}", server.port);
    let error = on(&[url]).list().await.unwrap_err();
    assert!(matches!(error, KeyError::Store(StoreError::Refused(_))), "{error:?}");
    assert!(!error.to_string().contains("wr0ng"), "{error}");
}

#[tokio::test]
async fn two_that_change_one_record_do_not_lose_a_change() {
    let server = Server::with_password().await;
    let store = Redis::new(&spec(&[server.url()])).unwrap();
    let hash = KeyHash::of("x");
    let mut info = KeyInfo::new(KeyType::Regular, "live/a", unix_secs());
    let bytes = |info: &KeyInfo| serde_json::to_vec(info).unwrap();
    let put = |was, becomes| {
        vec![Replacement { name: Name::Key(hash), was, becomes: Some(becomes), expires_at: None }]
    };
    let first = bytes(&info);
    assert!(store.swap(put(Precondition::Absent, first.clone()), vec![]).await.unwrap());
    info.revoked = true;
    let second = bytes(&info);
    assert!(
        store.swap(put(Precondition::This(first.clone()), second.clone()), vec![]).await.unwrap()
    );
    let stale = store.swap(put(Precondition::This(first.clone()), b"other".to_vec()), vec![]);
    assert!(!stale.await.unwrap());
    assert!(!store.swap(put(Precondition::Absent, b"other".to_vec()), vec![]).await.unwrap());
    let again = store.swap(put(Precondition::This(first), second.clone()), vec![]);
    assert!(again.await.unwrap(), "what is done already is done");
    assert_eq!(store.read(Name::Key(hash)).await.unwrap(), Some(second));
}
