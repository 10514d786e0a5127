//! obs-websocket session: a program that identifies itself, has its requests answered one after the
//! other, and is told the events that it wants.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use ring::rand::{SecureRandom, SystemRandom};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::context::{Context, SESSIONS_MAX, Traffic};
use super::events::{Event, Follower};
use super::protocol::{
    Challenge, CloseCode, Encoding, Envelope, Identify, OBS_VERSION, PROTOCOL_VERSION, RPC_VERSION,
    Reidentify, Request, RequestBatch, intent, op, status,
};
use super::refusal::{Fields, Refusal};
use super::{requests, volumes};
use crate::control::http::api::actor;

/// Who does what sessions ask for, as events tell it.
const ACTOR: &str = "obs-websocket";

/// Time that a program has to identify itself.
const IDENTIFY_TIME: Duration = Duration::from_secs(10);

/// Longest time that a program may take to read what it is sent.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Shortest time from one look at what has changed to the next.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often meters are told to who wants them, as OBS does.
const METERS_EVERY: Duration = Duration::from_millis(50);

/// Requests of a batch.
const BATCH_MAX: usize = 128;

/// Longest `Sleep` of a batch, milliseconds, as OBS has it.
const SLEEP_MS_MAX: f64 = 50_000.0;

/// Why a session is over.
enum End {
    /// The program is gone, or does not read.
    Gone,
    /// It is closed, with the reason.
    Closed(CloseCode, String),
    /// The node stops.
    Stopping,
}

type Step = Result<(), End>;

/// A connected program.
pub(super) struct Session {
    context: Context,
    socket: WebSocket,
    encoding: Encoding,
    /// The events that it wants, and its place once it has identified itself.
    subscriptions: u64,
    place: Option<OwnedSemaphorePermit>,
    traffic: Traffic,
}

impl Session {
    pub(super) fn new(context: Context, socket: WebSocket) -> Self {
        let protocol = socket.protocol().and_then(|protocol| protocol.to_str().ok());
        let encoding = Encoding::of(protocol);
        let traffic = Traffic::default();
        Self { context, socket, encoding, subscriptions: intent::DEFAULT, place: None, traffic }
    }

    /// Serves it to its end, or to that of the node.
    pub(super) async fn run(mut self, stop: Option<watch::Receiver<()>>) {
        let stopping = async {
            match stop {
                Some(mut stop) => drop(stop.changed().await),
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            end = self.serve() => end,
            () = stopping => Err(End::Stopping),
        };
        let (code, reason) = match end {
            Ok(()) | Err(End::Gone) => return,
            Err(End::Closed(code, reason)) => {
                tracing::debug!("an obs-websocket session was closed: {reason}");
                (code as u16, reason)
            }
            Err(End::Stopping) => {
                let event = Event::new(intent::GENERAL, "ExitStarted", json!({}));
                drop(self.tell(event).await);
                (CloseCode::SessionInvalidated as u16, "the node stops".to_owned())
            }
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
        // Whether it hears that is its own affair.
        drop(timeout(READ_LIMIT, self.socket.send(Message::Close(Some(frame)))).await);
    }

    async fn serve(&mut self) -> Step {
        self.identify().await?;
        let board = Arc::clone(&self.context.shared.api.board);
        let mut custom = self.context.custom.subscribe();
        let mut news = board.news();
        let mut follower = Follower::new(&self.context).await;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut meters = interval(METERS_EVERY);
        meters.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_news = false;
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    let Some(Ok(message)) = message else { return Err(End::Gone) };
                    self.take(&message).await?;
                }
                changed = news.changed(), if !has_news => match changed {
                    Ok(()) => has_news = true,
                    Err(_) => return Err(End::Stopping),
                },
                _ = looks.tick(), if has_news => {
                    has_news = false;
                    for event in follower.look(&self.context).await {
                        self.tell(event).await?;
                    }
                }
                _ = meters.tick(), if self.subscriptions & intent::INPUT_VOLUME_METERS != 0 => {
                    if let Some(data) = volumes::meters(&self.context) {
                        let kind = "InputVolumeMeters";
                        self.tell(Event::new(intent::INPUT_VOLUME_METERS, kind, data)).await?;
                    }
                }
                data = custom.recv() => match data {
                    Ok(data) => {
                        self.tell(Event::new(intent::GENERAL, "CustomEvent", data)).await?;
                    }
                    // Others sent more than it could be told meanwhile.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(End::Stopping),
                },
            }
        }
    }

    /// Has it show the password.
    async fn identify(&mut self) -> Step {
        let mut random = [0; 64];
        if SystemRandom::new().fill(&mut random).is_err() {
            let reason = "the system gives no random numbers".to_owned();
            return Err(End::Closed(CloseCode::SessionInvalidated, reason));
        }
        let challenge = Challenge::new(&random);
        let hello = json!({
            "obsStudioVersion": OBS_VERSION,
            "obsWebSocketVersion": PROTOCOL_VERSION,
            "rpcVersion": RPC_VERSION,
            "authentication": challenge,
        });
        self.send(op::HELLO, &hello).await?;
        let message = timeout(IDENTIFY_TIME, self.next()).await.map_err(|_| End::Gone)??;
        if message.op != op::IDENTIFY {
            let reason = "identify first".to_owned();
            return Err(End::Closed(CloseCode::NotIdentified, reason));
        }
        let identify: Identify = content(message.d)?;
        if identify.rpc_version < RPC_VERSION {
            let reason = format!("the RPC version is {RPC_VERSION}");
            return Err(End::Closed(CloseCode::UnsupportedRpcVersion, reason));
        }
        let answer = identify.authentication.unwrap_or_default();
        if !challenge.is_met(self.context.password.expose(), &answer) {
            tracing::warn!("somebody showed obs-websocket a wrong password");
            let reason = "the password is wrong".to_owned();
            return Err(End::Closed(CloseCode::AuthenticationFailed, reason));
        }
        let place = Arc::clone(&self.context.places).try_acquire_owned();
        let place = place.map_err(|_| {
            let reason = format!("there are {SESSIONS_MAX} programs already; close one");
            End::Closed(CloseCode::SessionInvalidated, reason)
        })?;
        self.place = Some(place);
        self.subscriptions = identify.event_subscriptions.unwrap_or(intent::DEFAULT);
        self.send(op::IDENTIFIED, &json!({ "negotiatedRpcVersion": RPC_VERSION })).await
    }

    /// The next message of the protocol.
    async fn next(&mut self) -> Result<Envelope, End> {
        loop {
            match self.socket.recv().await {
                Some(Ok(message)) => {
                    if let Some(envelope) = self.read(&message)? {
                        return Ok(envelope);
                    }
                }
                Some(Err(_)) | None => return Err(End::Gone),
            }
        }
    }

    /// What a message says; nothing if it is a ping or a pong.
    fn read(&mut self, message: &Message) -> Result<Option<Envelope>, End> {
        match message {
            Message::Close(_) => return Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) => return Ok(None),
            Message::Text(_) | Message::Binary(_) => {}
        }
        self.traffic.incoming += 1;
        let value = self.encoding.decode(message).ok_or_else(|| {
            let reason = "that is no message in the encoding of this session".to_owned();
            End::Closed(CloseCode::MessageDecodeError, reason)
        })?;
        content(value).map(Some)
    }

    async fn take(&mut self, message: &Message) -> Step {
        let Some(Envelope { op, d }) = self.read(message)? else { return Ok(()) };
        match op {
            op::REIDENTIFY => {
                let wanted: Reidentify = content(d)?;
                self.subscriptions = wanted.event_subscriptions.unwrap_or(intent::DEFAULT);
                self.send(op::IDENTIFIED, &json!({ "negotiatedRpcVersion": RPC_VERSION })).await
            }
            op::REQUEST => {
                let response = self.response(content(d)?, false).await;
                self.send(op::REQUEST_RESPONSE, &response).await
            }
            op::REQUEST_BATCH => {
                let results = self.batch(content(d)?).await?;
                self.send(op::REQUEST_BATCH_RESPONSE, &results).await
            }
            op::IDENTIFY => {
                let reason = "it has identified itself already".to_owned();
                Err(End::Closed(CloseCode::AlreadyIdentified, reason))
            }
            _ => {
                let reason = format!("there is no op {op} for a program to send");
                Err(End::Closed(CloseCode::UnknownOpCode, reason))
            }
        }
    }

    async fn batch(&mut self, batch: RequestBatch) -> Result<Value, End> {
        if batch.requests.len() > BATCH_MAX {
            let reason = format!("a batch has at most {BATCH_MAX} requests");
            return Err(End::Closed(CloseCode::InvalidDataFieldType, reason));
        }
        let mut results = Vec::with_capacity(batch.requests.len());
        for request in batch.requests {
            let response = self.response(request, true).await;
            let is_done = response["requestStatus"]["result"] == json!(true);
            results.push(response);
            if batch.halt_on_failure && !is_done {
                break;
            }
        }
        Ok(json!({ "requestId": batch.request_id, "results": results }))
    }

    async fn response(&mut self, request: Request, is_in_batch: bool) -> Value {
        let Request { request_type, request_id, request_data } = request;
        let data = match request_data {
            Some(Value::Object(data)) => data,
            _ => Map::new(),
        };
        let fields = Fields(&data);
        let answer = match request_type.as_str() {
            "Sleep" if is_in_batch => sleep(fields).await,
            kind => {
                let answered = requests::answer(&self.context, kind, fields, &mut self.traffic);
                actor::scope(ACTOR.to_owned(), answered).await
            }
        };
        let mut response = json!({ "requestType": request_type });
        if let Some(id) = request_id {
            response["requestId"] = id.into();
        }
        match answer {
            Ok(data) => {
                response["requestStatus"] = json!({ "result": true, "code": status::SUCCESS });
                if !data.is_null() {
                    response["responseData"] = data;
                }
            }
            Err(Refusal { code, comment }) => {
                response["requestStatus"] =
                    json!({ "result": false, "code": code, "comment": comment });
            }
        }
        response
    }

    /// Sends an event, if it wants it.
    async fn tell(&mut self, event: Event) -> Step {
        let Event { intent, kind, data } = event;
        if self.place.is_none() || self.subscriptions & intent == 0 {
            return Ok(());
        }
        let event = json!({ "eventType": kind, "eventIntent": intent, "eventData": data });
        self.send(op::EVENT, &event).await
    }

    async fn send(&mut self, op: u64, content: &Value) -> Step {
        self.traffic.outgoing += 1;
        let message = self.encoding.encode(op, content);
        match timeout(READ_LIMIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

/// What a message holds. What its fields hold is not repeated, since one may be a secret.
fn content<T: DeserializeOwned>(value: Value) -> Result<T, End> {
    let is_object = value.is_object();
    serde_json::from_value(value).map_err(|error| {
        let is_missing = error.to_string().starts_with("missing field");
        let (code, reason) = match (is_object, is_missing) {
            (true, true) => (CloseCode::MissingDataField, "a field of the message is missing"),
            (true, false) => {
                (CloseCode::InvalidDataFieldType, "a field of the message has another type")
            }
            (false, _) => (CloseCode::InvalidDataFieldType, "`d` and the message are objects"),
        };
        End::Closed(code, reason.to_owned())
    })
}

/// `Sleep`.
async fn sleep(fields: Fields<'_>) -> Result<Value, Refusal> {
    let ms = fields.number("sleepMillis", 0.0..=SLEEP_MS_MAX)?;
    tokio::time::sleep(Duration::from_secs_f64(ms / 1_000.0)).await;
    Ok(Value::Null)
}
