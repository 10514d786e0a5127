//! Servers that shards connect to: destinations of outputs, and those that pulls play from.

use super::env::{Env, Next};
use super::programme::{Audit, Made, Programme};
use super::wire::Reader;
use crate::media::Kind;
use crate::rtmp::{PlayRefusal, PublishRefusal, Server, ServerEvent, ServerSpec};

/// A server that outputs push to.
#[derive(Debug)]
pub(super) struct Destination {
    server: Server,
    reader: Reader,
    pub(super) names: Vec<usize>,
    pub(super) audit: Audit,
    pub(super) takes: bool,
    /// What it answers, by luck: it may never do so, or refuse.
    luck: usize,
}

impl Destination {
    pub(super) fn new(env: &mut Env<'_>, name: usize) -> Self {
        let server = Server::new(ServerSpec::default(), env.now, [9; 32]);
        let (audit, luck) = (Audit::default(), env.rng.below(12));
        Self { server, reader: Reader::default(), names: vec![name], audit, takes: false, luck }
    }

    pub(super) fn receive(&mut self, env: &Env<'_>, bytes: &[u8]) -> Result<(), String> {
        let Self { reader, names, audit, takes, .. } = self;
        reader.read(bytes, &mut |head, body| match head.type_id {
            8 | 9 if !*takes => Err("media before the destination takes any".to_owned()),
            8 | 9 => audit.message(env.sources, names, (head.type_id, head.time, body)),
            _ => Ok(()),
        })?;
        // A server is fed little at a time.
        for piece in bytes.chunks(8_192) {
            let fed = self.server.feed(piece, env.now, env.pool);
            fed.map_err(|error| format!("a destination finds: {error}"))?;
            while let Some(event) = self.server.poll_event() {
                match event {
                    ServerEvent::Connect(_) if self.luck == 0 => self.server.refuse_connect("no"),
                    ServerEvent::Connect(_) => self.server.accept_connect(),
                    ServerEvent::Publish { .. } if self.luck == 1 => {
                        self.server.refuse_publish(PublishRefusal::BadName, "no");
                    }
                    ServerEvent::Publish { .. } if self.luck == 2 => {}
                    ServerEvent::Publish { .. } => self.takes = self.server.accept_publish(),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn act(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) -> Next {
        pass_on(&mut self.server, out);
        match env.rng.below(1_500) {
            0 if !env.is_calm => Next::Leave,
            1 if !env.is_calm => Next::Reset,
            _ => Next::Stay,
        }
    }
}

fn pass_on(server: &mut Server, out: &mut Vec<u8>) {
    out.extend_from_slice(server.output());
    server.consume_output(server.output().len());
}

/// A server that a pull plays from.
#[derive(Debug)]
pub(super) struct PullServer {
    server: Server,
    /// The local name of what is pulled.
    name: usize,
    programme: Option<Programme>,
    luck: usize,
    made: Vec<Made>,
}

impl PullServer {
    pub(super) fn new(env: &mut Env<'_>, name: usize) -> Self {
        let server = Server::new(ServerSpec::default(), env.now, [8; 32]);
        Self { server, name, programme: None, luck: env.rng.below(12), made: Vec::new() }
    }

    pub(super) fn receive(&mut self, env: &mut Env<'_>, bytes: &[u8]) -> Result<(), String> {
        for piece in bytes.chunks(8_192) {
            let fed = self.server.feed(piece, env.now, env.pool);
            fed.map_err(|error| format!("a server that is pulled from finds: {error}"))?;
            while let Some(event) = self.server.poll_event() {
                match event {
                    ServerEvent::Connect(_) if self.luck == 0 => self.server.refuse_connect("no"),
                    ServerEvent::Connect(_) => self.server.accept_connect(),
                    ServerEvent::Play { .. } if self.luck == 1 => {
                        self.server.refuse_play(PlayRefusal::StreamNotFound, "no");
                    }
                    ServerEvent::Play { .. } if self.luck == 2 => {}
                    ServerEvent::Play { .. } if self.server.accept_play() => {
                        let source = env.sources.begin(self.name, env.rng, env.now);
                        self.programme = Some(source);
                    }
                    ServerEvent::PlayEnd => self.programme = None,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn act(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) -> Next {
        if let Some(programme) = &mut self.programme {
            programme.make(env.rng, env.now, &mut self.made);
            for (type_id, time, body) in self.made.drain(..) {
                let kind = match type_id {
                    8 => Kind::Audio,
                    9 => Kind::Video,
                    _ => Kind::Data,
                };
                self.server.write_message(kind, time, &body).unwrap();
            }
            if env.rng.once_in(600) && !env.is_calm {
                self.programme = None;
                self.server.end_play();
            }
        }
        pass_on(&mut self.server, out);
        match env.rng.below(1_500) {
            0 if !env.is_calm => Next::Leave,
            1 if !env.is_calm => Next::Reset,
            _ => Next::Stay,
        }
    }
}
