//! Headers of media bodies: what they point to lies within the body, and all readings agree.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_manager_fuzz::media::Kind;
use stream_manager_fuzz::rtmp::flv::{Audio, TagInfo, Track, Video};

fn check<'a>(body: &'a [u8], payload_at: usize, tracks: impl Iterator<Item = Track<'a>>) -> usize {
    assert!(payload_at <= body.len());
    let mut count = 0;
    for track in tracks {
        assert_eq!(body.get(track.at..track.at + track.body.len()), Some(track.body));
        count += 1;
    }
    count
}

fuzz_target!(|body: &[u8]| {
    if let Some(video) = Video::parse(body) {
        assert!(check(body, video.payload_at, video.tracks(body)) <= body.len() + 1);
        let facts = TagInfo::of(Kind::Video, body).expect("the same bytes");
        assert_eq!((facts.part, facts.track), (video.part, video.track.unwrap_or(0)));
        assert!(!(facts.header && facts.key));
        assert!(!video.format.to_string().is_empty());
    }
    if let Some(audio) = Audio::parse(body) {
        assert!(check(body, audio.payload_at, audio.tracks(body)) <= body.len() + 1);
        let facts = TagInfo::of(Kind::Audio, body).expect("the same bytes");
        assert!(!facts.key && !facts.format.expect("a format").to_string().is_empty());
    }
    assert!(TagInfo::of(Kind::Data, body).is_some());
});
