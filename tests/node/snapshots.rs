//! Snapshots: the newest keyframe of a stream as a JPEG, for whoever may play it.

use std::io::Read;

use image::ImageFormat;

use crate::api::token;
use crate::config::{Config, HEIGHT, WIDTH, demo};
use crate::hook_server::{HookServer, Reply, fine};
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;

fn snapshot(port: u16, path: &str, more: &str) -> Answer {
    Answer::to(port, "GET", path, &format!("{more}Connection: close\n"))
}

fn size(answer: Answer) -> (u32, u32) {
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("image/jpeg")));
    let length = answer.field("content-length").unwrap().parse::<usize>().unwrap();
    let (mut body, mut jpeg) = (answer.body, Vec::new());
    body.read_to_end(&mut jpeg).unwrap();
    assert_eq!(jpeg.len(), length);
    let picture = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap();
    (picture.width(), picture.height())
}

#[test]
fn a_snapshot_is_the_newest_keyframe_and_the_same_until_the_next_one() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().channel("demo"));
    let port = node.rtmp_port();
    wait_until(SOON, "the channel has a keyframe", || {
        (snapshot(port, "/snapshot/live/demo.jpg", "").status == 200).then_some(())
    });
    let whole = snapshot(port, "/snapshot/live/demo.jpg", "");
    assert_eq!(size(whole), (u32::try_from(WIDTH).unwrap(), u32::try_from(HEIGHT).unwrap()));
    let small = snapshot(port, "/snapshot/live/demo.jpg?width=100", "");
    assert_eq!(size(small), (160, 90));
    wait_until(SOON, "a snapshot is known, and then there is another", || {
        let etag = snapshot(port, "/snapshot/live/demo.jpg", "").field("etag").unwrap().to_owned();
        let known = format!("If-None-Match: {etag}\n");
        let again = snapshot(port, "/snapshot/live/demo.jpg", &known);
        (again.status == 304 && again.text().is_empty()).then_some(())?;
        wait_until(SOON, "the next keyframe", || {
            let next = snapshot(port, "/snapshot/live/demo.jpg", &known);
            (next.status == 200 && next.field("etag") != Some(&etag)).then_some(())
        });
        Some(())
    });
    let wrong = snapshot(port, "/snapshot/live/demo.jpg?width=9999", "");
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("1 to 1280"));
    let more = format!("Authorization: Bearer {}\n", token(&node));
    let path = "/api/v1/streams/live/demo/snapshot.jpg?width=160";
    assert_eq!(size(snapshot(node.http_port(), path, &more)), (160, 90));
    assert_eq!(snapshot(node.http_port(), path, "").status, 401);
    let nobody = "/api/v1/streams/live/nobody/snapshot.jpg";
    assert_eq!(snapshot(node.http_port(), nobody, &more).status, 404);
}

#[test]
fn a_snapshot_is_for_those_whom_hooks_let_play() {
    let _turn = beside_others();
    let server = HookServer::start(|post| match post.text("param") {
        "?ticket=good" => fine(),
        _ => Reply::Status(403, String::new()),
    });
    let table = server.table("tickets", &["prePlay"], "params = [\"ticket\"]");
    let node = Node::start(&demo().more(&table));
    let port = node.rtmp_port();
    assert_eq!(snapshot(port, "/snapshot/live/demo.jpg", "").status, 403);
    assert_eq!(snapshot(port, "/snapshot/live/demo.jpg?ticket=bad", "").status, 403);
    wait_until(SOON, "the channel has a keyframe", || {
        let answer = snapshot(port, "/snapshot/live/demo.jpg?ticket=good", "");
        (answer.status == 200).then_some(())
    });
    let posts = server.posts();
    assert!(posts.iter().all(|post| post.text("protocol") == "http-snapshot"), "{posts:?}");
}
