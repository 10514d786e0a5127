//! Scenarios that hold for every store. They share one store, so that each makes its own keys.

use super::*;
use crate::keys::{Alias, KeyType, Shown};

/// All of them.
pub(super) async fn run(keys: &Keys) {
    a_key_is_found_by_its_hash_and_by_its_id(keys).await;
    what_is_given_is_kept(keys).await;
    an_alias_leads_to_its_key(keys).await;
    an_alias_that_is_taken_leaves_nothing_behind(keys).await;
    a_rotated_key_stays_good_for_its_grace(keys).await;
    without_grace_the_old_key_is_revoked_at_once(keys).await;
    a_deleted_key_takes_its_aliases_with_it(keys).await;
    an_imported_key_is_known_and_a_weak_one_only_taken_when_told_to(keys).await;
    a_key_ends_by_itself_and_is_remembered(keys).await;
    use_is_counted_and_revocation_is_not_lost_by_it(keys).await;
    every_change_is_told_and_use_is_not(keys).await;
    what_cannot_be_is_refused(keys).await;
}

fn alias(text: &str) -> Alias {
    Alias::new(text).unwrap()
}

async fn create(keys: &Keys, stream: &str) -> Made {
    keys.create(NewKey::for_stream(stream)).await.unwrap()
}

async fn a_key_is_found_by_its_hash_and_by_its_id(keys: &Keys) {
    let made = create(keys, "live/found").await;
    let hash = made.key.hash();
    assert_eq!(made.key.expose().len(), 64);
    let found = keys.look_up(&hash, None).await.unwrap().unwrap();
    assert_eq!((found.key, found.shown), (hash, Shown::Key));
    assert_eq!((found.info.stream.as_str(), found.info.revoked), ("live/found", false));
    assert_eq!(found.info.expires_at, Some(found.info.created_at + 30 * 86_400));
    assert_eq!(keys.get(&hash.id()).await.unwrap(), made.view);
    assert_eq!(keys.get(&hash.to_string()).await.unwrap(), made.view);
    assert!(keys.list().await.unwrap().contains(&made.view));
    assert_eq!(keys.look_up(&KeyHash::of("another"), None).await.unwrap(), None);
    let nobody = keys.get("0123456789abcdef").await.unwrap_err();
    assert!(matches!(nobody, KeyError::NotFound(_)), "{nobody:?}");
}

async fn what_is_given_is_kept(keys: &Keys) {
    let mut new = NewKey::for_stream("kept");
    "Ada".clone_into(&mut new.owner);
    "camera 1".clone_into(&mut new.label);
    new.key_type = KeyType::Alias;
    new.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    new.lifetime = Lifetime::Endless;
    new.limits.bitrate_bps = Some(1_000_000);
    new.limits.max_width = Some(1_280);
    new.limits.max_height = Some(720);
    new.limits.max_fps = Some(30);
    let made = keys.create(new.clone()).await.unwrap();
    let info = keys.get(&made.view.id()).await.unwrap().info;
    assert_eq!((info.owner, info.label), (new.owner, new.label));
    assert_eq!((info.allowed_ips, info.limits), (new.allowed_ips, new.limits));
    assert_eq!((info.stream.as_str(), info.expires_at), ("live/kept", None));
    assert_eq!(info.key_type, KeyType::Alias);
}

async fn an_alias_leads_to_its_key(keys: &Keys) {
    let first = create(keys, "live/first").await;
    let second = create(keys, "live/second").await;
    let shown = KeyHash::of("studio-a");
    let leads_to = async || {
        let found = keys.look_up(&shown, Some(&alias("studio-a"))).await.unwrap();
        found.map(|found| (found.key, found.shown))
    };
    assert_eq!(leads_to().await, None);
    let view = keys.set_alias(&first.view.id(), "studio-a").await.unwrap();
    assert_eq!(view.aliases, [alias("studio-a")]);
    assert_eq!(leads_to().await, Some((first.key.hash(), Shown::Alias)));
    assert_eq!(keys.get("studio-a").await.unwrap().hash, first.key.hash());
    keys.set_alias(&second.view.id(), "studio-a").await.unwrap();
    assert_eq!(leads_to().await, Some((second.key.hash(), Shown::Alias)), "it was moved");
    keys.remove_alias("studio-a").await.unwrap();
    assert_eq!(leads_to().await, None);
    let gone = keys.remove_alias("studio-a").await.unwrap_err();
    assert!(matches!(gone, KeyError::NotFound(_)), "{gone:?}");
}

async fn an_alias_that_is_taken_leaves_nothing_behind(keys: &Keys) {
    let mut new = NewKey::for_stream("live/taken");
    new.alias = Some("taken".to_owned());
    let first = keys.create(new.clone()).await.unwrap();
    let error = keys.create(new.clone()).await.unwrap_err();
    assert!(matches!(error, KeyError::Conflict(_)), "{error:?}");
    let all = keys.list().await.unwrap();
    assert_eq!(all.iter().filter(|view| view.info.stream == "live/taken").count(), 1);
    keys.delete(&first.view.id()).await.unwrap();
    keys.create(new).await.unwrap();
}

async fn a_rotated_key_stays_good_for_its_grace(keys: &Keys) {
    let mut new = NewKey::for_stream("live/rotated");
    new.alias = Some("rotated".to_owned());
    new.lifetime = Lifetime::Seconds(5_000);
    let old = keys.create(new).await.unwrap();
    let fresh = keys.rotate(&old.view.id(), Some(100)).await.unwrap();
    assert_ne!(fresh.key.hash(), old.key.hash());
    assert_eq!(fresh.view.info.stream, "live/rotated");
    let info = &fresh.view.info;
    assert_eq!(info.expires_at, Some(info.created_at + 5_000));
    let by_alias = keys.get("rotated").await.unwrap();
    assert_eq!(by_alias, fresh.view, "the alias goes with it");
    let before = keys.look_up(&old.key.hash(), None).await.unwrap().unwrap().info;
    let left = before.expires_at.unwrap() - keys.now();
    assert!((90..=100).contains(&left) && !before.revoked, "{left} s are left");
}

async fn without_grace_the_old_key_is_revoked_at_once(keys: &Keys) {
    let old = create(keys, "live/now").await;
    keys.rotate(&old.view.id(), Some(0)).await.unwrap();
    assert!(keys.get(&old.view.id()).await.unwrap().info.revoked);
    let error = keys.rotate(&old.view.id(), None).await.unwrap_err();
    assert!(matches!(error, KeyError::Invalid(_)), "{error:?}");
}

async fn a_deleted_key_takes_its_aliases_with_it(keys: &Keys) {
    let made = create(keys, "live/deleted").await;
    keys.set_alias(&made.view.id(), "deleted-1").await.unwrap();
    keys.set_alias(&made.view.id(), "deleted-2").await.unwrap();
    assert_eq!(keys.get("deleted-1").await.unwrap().aliases.len(), 2);
    keys.delete("deleted-1").await.unwrap();
    for id in [made.view.id().as_str(), "deleted-1", "deleted-2"] {
        let error = keys.get(id).await.unwrap_err();
        assert!(matches!(error, KeyError::NotFound(_)), "{id}: {error:?}");
    }
    for hash in [made.key.hash(), KeyHash::of("deleted-1"), KeyHash::of("deleted-2")] {
        assert!(keys.was_deleted(&hash).await.unwrap(), "who shows it seems to guess");
    }
    assert!(!keys.was_deleted(&KeyHash::of("deleted-3")).await.unwrap());
}

async fn an_imported_key_is_known_and_a_weak_one_only_taken_when_told_to(keys: &Keys) {
    let weak = StreamKey::imported("stream-key-123");
    let new = NewKey::for_stream("live/imported");
    let error = keys.import(&weak, new.clone(), false).await.unwrap_err();
    assert!(matches!(&error, KeyError::Invalid(text) if text.contains("--weak")), "{error:?}");
    let (view, warning) = keys.import(&weak, new.clone(), true).await.unwrap();
    assert!(warning.is_some());
    let found = keys.look_up(&KeyHash::of("stream-key-123"), None).await.unwrap().unwrap();
    assert_eq!(found.info, view.info);
    let again = keys.import(&weak, new.clone(), true).await.unwrap_err();
    assert!(matches!(again, KeyError::Conflict(_)), "{again:?}");
    assert!(!again.to_string().contains("stream-key-123"), "{again}");
    let strong = StreamKey::imported("V3ry-l0ng-and-w1ld/Key_of.mine");
    assert_eq!(keys.import(&strong, new.clone(), false).await.unwrap().1, None);
    let sixteen = StreamKey::imported("0123456789abcdef");
    assert!(keys.import(&sixteen, new, false).await.unwrap().1.is_some());
}

async fn a_key_ends_by_itself_and_is_remembered(keys: &Keys) {
    let mut new = NewKey::for_stream("live/brief");
    new.lifetime = Lifetime::Seconds(2);
    let made = keys.create(new).await.unwrap();
    let hash = made.key.hash();
    assert!(keys.look_up(&hash, None).await.unwrap().is_some());
    wait_until("the key has ended", async || {
        let found = keys.look_up(&hash, None).await.unwrap().expect("it is forgotten at once");
        found.info.is_expired(keys.now()).then_some(())
    })
    .await;
}

async fn use_is_counted_and_revocation_is_not_lost_by_it(keys: &Keys) {
    let made = create(keys, "live/used").await;
    let (id, hash) = (made.view.id(), made.key.hash());
    let once = Usage { last_used_at: Some(1_700_000_000), failed: 1 };
    let use_it = || keys.used(&hash, once);
    let (a, b, c, revoked) = tokio::join!(use_it(), use_it(), use_it(), keys.revoke(&id));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert!(revoked.unwrap().info.revoked);
    let info = keys.get(&id).await.unwrap().info;
    assert!(info.revoked, "the revocation was lost");
    assert_eq!((info.last_used_at, info.failed_attempts), (Some(1_700_000_000), 3));
    assert_eq!(info.expires_at, made.view.info.expires_at);
    keys.used(&KeyHash::of("nobody's"), once).await.unwrap();
}

async fn every_change_is_told_and_use_is_not(keys: &Keys) {
    let mut changes = keys.changes();
    let made = create(keys, "live/told").await;
    let (id, hash) = (made.view.id(), made.key.hash());
    let mut told = async |what: KeyHash| {
        let wanted = tokio::time::timeout(SOON, async {
            while changes.recv().await.unwrap() != Notice::Changed(what) {}
        });
        wanted.await.expect("the change was not told");
    };
    told(hash).await;
    keys.set_alias(&id, "told").await.unwrap();
    told(KeyHash::of("told")).await;
    keys.used(&hash, Usage { last_used_at: Some(1), failed: 0 }).await.unwrap();
    keys.revoke(&id).await.unwrap();
    told(hash).await;
    keys.delete(&id).await.unwrap();
    told(hash).await;
    told(KeyHash::of("told")).await;
}

async fn what_cannot_be_is_refused(keys: &Keys) {
    let refused = async |change: fn(&mut NewKey)| {
        let mut new = NewKey::for_stream("live/refused");
        change(&mut new);
        let error = keys.create(new).await.unwrap_err();
        assert!(matches!(error, KeyError::Invalid(_)), "{error:?}");
    };
    refused(|new| new.stream.push(' ')).await;
    refused(|new| new.owner = "two\nlines".to_owned()).await;
    refused(|new| new.label = "x".repeat(1_000)).await;
    refused(|new| new.alias = Some("a:b".to_owned())).await;
    let all = keys.list().await.unwrap();
    assert!(all.iter().all(|view| view.info.stream != "live/refused"));
}
