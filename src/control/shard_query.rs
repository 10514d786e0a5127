//! Questions that all shards answer, and the one answer that is made of theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::command::{
    Answer, Ask, CLIENTS_MAX, Scope, ShardAnswer, ShardQuery, StreamPart, StreamSource, StreamView,
};
use crate::control::handle::{Reply, say};
use crate::control::stream_facts;
use crate::event::ClientId;
use crate::media::Micros;

/// Queries under way at once. Further ones are told to come again.
const QUERIES_MAX: usize = 64;

/// How long a shard may take. Then whoever asked is told that it does not answer.
const SHARD_LIMIT: Micros = Micros::from_secs(2);

/// The queries under way.
#[derive(Debug)]
pub(crate) struct ShardQueries {
    shards: usize,
    last: u64,
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    number: u64,
    subject: Subject,
    reply: Reply,
    deadline: Micros,
    /// By shard.
    parts: Vec<Option<ShardAnswer>>,
}

/// What it is about, with the words for what is not there.
#[derive(Debug)]
enum Subject {
    Streams,
    Clients,
    Kick(String),
    Recent(String),
}

impl ShardQueries {
    /// For a node with so many shards.
    pub(crate) const fn new(shards: usize) -> Self {
        Self { shards, last: 0, pending: Vec::new() }
    }

    /// Whether a question is for the shards.
    pub(crate) const fn answers(ask: &Ask) -> bool {
        matches!(
            ask,
            Ask::Streams
                | Ask::Clients { .. }
                | Ask::Kick { .. }
                | Ask::KickPublisher { .. }
                | Ask::Recent { .. }
        )
    }

    /// Takes a question: what every shard is to be asked. `None` if it has been answered already.
    pub(crate) fn begin(&mut self, ask: Ask, reply: Reply, now: Micros) -> Option<ShardQuery> {
        let (scope, subject) = match ask {
            Ask::Streams => (Scope::Streams, Subject::Streams),
            Ask::Clients { stream } => {
                (Scope::Clients(stream.map(|name| Arc::from(name.as_str()))), Subject::Clients)
            }
            Ask::Kick { client, actor } => {
                let nobody = format!("there is no connection {client}");
                let Some(client) = ClientId::named(&client) else {
                    say(reply, Answer::NotFound(nobody));
                    return None;
                };
                (Scope::Kick { client, actor: named(actor) }, Subject::Kick(nobody))
            }
            Ask::KickPublisher { stream, actor } => {
                let nobody = format!("nobody publishes {stream}");
                let stream = Arc::from(stream.as_str());
                (Scope::KickPublisher { stream, actor: named(actor) }, Subject::Kick(nobody))
            }
            Ask::Recent { stream, span, before } => {
                let nothing = format!("there is no stream {stream}");
                let stream = Arc::from(stream.as_str());
                (Scope::Recent { stream, span, before }, Subject::Recent(nothing))
            }
            _ => return None,
        };
        if self.pending.len() == QUERIES_MAX {
            say(reply, Answer::Unavailable("too many questions at once; try again".to_owned()));
            return None;
        }
        self.last += 1;
        let number = self.last;
        let parts = (0..self.shards).map(|_| None).collect();
        let deadline = now + SHARD_LIMIT;
        self.pending.push(Pending { number, subject, reply, deadline, parts });
        Some(ShardQuery { number, scope })
    }

    /// One shard has answered.
    pub(crate) fn handle(&mut self, shard: usize, answer: ShardAnswer) {
        let Some(at) = self.pending.iter().position(|it| it.number == answer.number) else {
            return; // too late
        };
        if let Some(part) = self.pending[at].parts.get_mut(shard) {
            *part = Some(answer);
        }
        if self.pending[at].parts.iter().all(Option::is_some) {
            let Pending { subject, reply, parts, .. } = self.pending.swap_remove(at);
            say(reply, whole(subject, parts.into_iter().flatten().collect()));
        }
    }

    /// Gives up what is overdue.
    pub(crate) fn tick(&mut self, now: Micros) {
        for overdue in self.pending.extract_if(.., |pending| now >= pending.deadline) {
            let silent = overdue.parts.iter().position(Option::is_none).unwrap_or(0);
            let text = format!("shard {silent} does not answer; try again");
            say(overdue.reply, Answer::Unavailable(text));
        }
    }
}

fn named(actor: Option<String>) -> Arc<str> {
    Arc::from(actor.unwrap_or_default())
}

fn whole(subject: Subject, parts: Vec<ShardAnswer>) -> Answer {
    match subject {
        Subject::Streams => Answer::Streams(streams(parts)),
        Subject::Clients => {
            let clients = parts.into_iter().flat_map(|part| part.clients);
            let mut clients: Vec<_> = clients.collect();
            clients.sort_by_key(|client| client.since);
            clients.truncate(CLIENTS_MAX);
            Answer::Clients(clients)
        }
        Subject::Kick(nobody) => match parts.iter().map(|part| part.kicked).sum::<usize>() {
            0 => Answer::NotFound(nobody),
            _ => Answer::Done,
        },
        Subject::Recent(nothing) => {
            // While a stream moves, two shards may hold it: the newer messages count.
            let found = parts.into_iter().filter_map(|part| part.recent);
            let newest = found.max_by_key(|recent| (!recent.messages.is_empty(), recent.arrived));
            newest.map_or(Answer::NotFound(nothing), Answer::Recent)
        }
    }
}

/// Each stream once: the shard that feeds it tells what it is, the others add their readers.
fn streams(parts: Vec<ShardAnswer>) -> Vec<StreamView> {
    let mut views: BTreeMap<Arc<str>, StreamView> = BTreeMap::new();
    let (at_home, elsewhere): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .flat_map(|part| part.streams)
        .partition(|part| part.source != StreamSource::Shard);
    for part in at_home {
        views.insert(Arc::clone(&part.name), view(&part));
    }
    for part in elsewhere {
        if let Some(view) = views.get_mut(&part.name) {
            view.viewers += part.viewers as u64;
            for (all, count) in view.other_readers.iter_mut().zip(part.other_readers) {
                *all += count as u64;
            }
            view.bytes_out += part.bytes_out;
            view.out_bps += part.out_bps;
        }
    }
    views.into_values().collect()
}

fn view(part: &StreamPart) -> StreamView {
    let (video, audio) = stream_facts::of_headers(&part.headers);
    StreamView {
        name: part.name.to_string(),
        source: match part.source {
            StreamSource::Channel => "channel",
            StreamSource::Transcode => "transcode",
            StreamSource::Failover => "fallback",
            StreamSource::Publisher => "publisher",
            StreamSource::Pull => "pull",
            StreamSource::Shard | StreamSource::Nobody => "nobody",
        },
        publisher: part.publisher.clone(),
        since: part.since,
        viewers: part.viewers as u64,
        other_readers: part.other_readers.map(|count| count as u64),
        bytes_in: part.bytes_in,
        bytes_out: part.bytes_out,
        bitrate_bps: part.bitrate_bps,
        out_bps: part.out_bps,
        keyframe_interval: part.keyframe_interval,
        av_offset_ms: part.av_offset_ms,
        video,
        audio,
        tracks: [part.audio, part.video],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{ClientView, TrackPart};
    use tokio::sync::oneshot;

    fn part(name: &str, source: StreamSource, readers: usize) -> StreamPart {
        StreamPart {
            name: Arc::from(name),
            source,
            publisher: None,
            since: Micros(1),
            viewers: readers,
            other_readers: [1, 0, 2, 0],
            bytes_in: 10,
            bytes_out: 100,
            bitrate_bps: 0.0,
            out_bps: 0.0,
            keyframe_interval: None,
            av_offset_ms: None,
            audio: TrackPart::default(),
            video: TrackPart::default(),
            headers: Vec::new(),
        }
    }

    fn client(n: u64) -> ClientView {
        ClientView {
            id: format!("{n:08}"),
            address: ([127, 0, 0, 1], 1).into(),
            state: "player",
            protocol: "rtmp",
            stream: String::new(),
            since: Micros(n),
            bytes_in: 0,
            bytes_out: 0,
            dropped: 0,
            agent: String::new(),
            holder: None,
        }
    }

    fn ask(queries: &mut ShardQueries, ask: Ask) -> (Option<u64>, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (queries.begin(ask, reply, Micros(0)).map(|order| order.number), answer)
    }

    #[test]
    fn a_stream_is_told_by_its_home_and_counted_everywhere() {
        let mut queries = ShardQueries::new(2);
        let (number, mut answer) = ask(&mut queries, Ask::Streams);
        let number = number.unwrap();
        let streams = vec![part("live/b", StreamSource::Shard, 3)];
        queries.handle(0, ShardAnswer { number, streams, ..ShardAnswer::default() });
        assert!(answer.try_recv().is_err(), "one shard is missing");
        let streams = vec![
            part("live/b", StreamSource::Publisher, 2),
            part("live/a", StreamSource::Nobody, 0),
        ];
        queries.handle(1, ShardAnswer { number, streams, ..ShardAnswer::default() });
        let Ok(Answer::Streams(list)) = answer.try_recv() else { panic!() };
        let names: Vec<_> = list.iter().map(|view| (view.name.as_str(), view.source)).collect();
        assert_eq!(names, [("live/a", "nobody"), ("live/b", "publisher")]);
        assert_eq!((list[1].viewers, list[1].bytes_in, list[1].bytes_out), (5, 10, 200));
        assert_eq!(list[1].other_readers, [2, 0, 4, 0], "apart from the audience");
    }

    #[test]
    fn the_list_of_connections_is_bounded_and_in_the_order_they_came() {
        let mut queries = ShardQueries::new(2);
        let (number, mut answer) = ask(&mut queries, Ask::Clients { stream: None });
        for shard in 0..2 {
            let clients = (0..CLIENTS_MAX as u64).map(|n| client(n * 2 + shard as u64)).collect();
            let number = number.unwrap();
            queries.handle(shard, ShardAnswer { number, clients, ..ShardAnswer::default() });
        }
        let Ok(Answer::Clients(list)) = answer.try_recv() else { panic!() };
        assert_eq!(list.len(), CLIENTS_MAX);
        assert!(list.is_sorted_by_key(|client| client.since));
        assert_eq!(list[CLIENTS_MAX - 1].since, Micros(CLIENTS_MAX as u64 - 1));
    }

    #[test]
    fn a_kick_is_done_if_any_shard_found_somebody() {
        let stream = "live/a".to_owned();
        for (kicked, done) in [(0, false), (1, true)] {
            let mut queries = ShardQueries::new(2);
            let wish = Ask::KickPublisher { stream: stream.clone(), actor: None };
            let (number, mut answer) = ask(&mut queries, wish);
            for (shard, kicked) in [(0, 0), (1, kicked)] {
                let number = number.unwrap();
                queries.handle(shard, ShardAnswer { number, kicked, ..ShardAnswer::default() });
            }
            match answer.try_recv().unwrap() {
                Answer::Done => assert!(done),
                Answer::NotFound(text) => assert!(!done && text.contains("live/a")),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_id_that_nobody_can_have_is_not_asked_for() {
        let mut queries = ShardQueries::new(1);
        for id in ["", "short", "abcdefgh", "TOO-LONG-AN-ID"] {
            let (number, mut answer) =
                ask(&mut queries, Ask::Kick { client: id.to_owned(), actor: None });
            assert!(number.is_none());
            assert!(matches!(answer.try_recv(), Ok(Answer::NotFound(_))));
        }
    }

    #[test]
    fn a_shard_that_is_silent_is_named_after_its_time() {
        let mut queries = ShardQueries::new(2);
        let (number, mut answer) = ask(&mut queries, Ask::Streams);
        queries.handle(0, ShardAnswer { number: number.unwrap(), ..ShardAnswer::default() });
        queries.tick(SHARD_LIMIT - Micros(1));
        assert!(answer.try_recv().is_err());
        queries.tick(SHARD_LIMIT);
        let told = answer.try_recv();
        assert!(matches!(told, Ok(Answer::Unavailable(text)) if text.contains("shard 1")));
        // What comes after that is nobody's.
        queries.handle(1, ShardAnswer { number: number.unwrap(), ..ShardAnswer::default() });
    }

    #[test]
    fn more_questions_than_a_node_takes_are_turned_away() {
        let mut queries = ShardQueries::new(1);
        let answers: Vec<_> = (0..QUERIES_MAX).map(|_| ask(&mut queries, Ask::Streams).1).collect();
        let (number, mut answer) = ask(&mut queries, Ask::Streams);
        assert!(number.is_none() && answers.len() == QUERIES_MAX);
        assert!(matches!(answer.try_recv(), Ok(Answer::Unavailable(_))));
    }
}
