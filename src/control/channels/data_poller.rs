//! Data poller: fetches the documents that texts of scenes are bound to over HTTP, each at its
//! interval.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED,
};
use hyper::{Request, Response, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::control::channels::bound_text::{DATA_BYTES_MAX, DataFormat};
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::secret_file;
use crate::control::http_client::{self, HttpClient};
use crate::scene::HttpDocument;
use crate::tls::Connector;

/// Documents that a node fetches at most. Texts that are bound to a further one show nothing.
pub(crate) const FETCHED_MAX: usize = 64;

/// How long a server has to answer. Later it has failed.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What answers may be.
const ACCEPTED: HeaderValue =
    HeaderValue::from_static("application/json, text/csv, text/plain, */*;q=0.1");

/// What an answer says of its version, and how that is said in the next question.
const VERSIONS: [(HeaderName, HeaderName); 2] =
    [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];

/// The poller of a node. Dropping it ends all that it does.
#[derive(Debug)]
pub(crate) struct DataPoller {
    loader: Arc<SceneLoader>,
    ca_file: Option<PathBuf>,
    /// `None` for those that are too many.
    fetched: HashMap<HttpDocument, Option<Task>>,
}

#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DataPoller {
    /// Nothing to fetch yet. What is, goes to the texts of this loader.
    pub(crate) fn new(loader: Arc<SceneLoader>) -> Self {
        Self { loader, ca_file: None, fetched: HashMap::new() }
    }

    /// Fetches these from now on, and no others. For HTTPS the authorities in `ca_file` are
    /// trusted, or the system's. Needs a runtime if there are any.
    pub(crate) fn follow(&mut self, wanted: &HashSet<&HttpDocument>, ca_file: Option<&Path>) {
        if self.ca_file.as_deref() != ca_file {
            // Values stay until there are others.
            self.fetched.clear();
            self.ca_file = ca_file.map(Path::to_owned);
        }
        let loader = &self.loader;
        self.fetched.retain(|document, _| {
            let is_wanted = wanted.contains(document);
            if !is_wanted {
                loader.data.forget(document);
            }
            is_wanted
        });
        for &document in wanted {
            // Also in the place of one that was too many.
            if matches!(self.fetched.get(document), Some(Some(_))) {
                continue;
            }
            let task = (self.fetched.values().flatten().count() < FETCHED_MAX).then(|| {
                let (loader, document) = (Arc::clone(&self.loader), document.clone());
                Task(tokio::spawn(fetch_again(loader, document, self.ca_file.clone())))
            });
            if task.is_none() {
                let cause = format!("a node fetches at most {FETCHED_MAX} documents");
                self.loader.data.fetched(document, Err(cause));
            }
            self.fetched.insert(document.clone(), task);
        }
    }
}

/// Fetches a document at its interval, for ever.
async fn fetch_again(loader: Arc<SceneLoader>, document: HttpDocument, ca_file: Option<PathBuf>) {
    let interval = Duration::from_micros(document.interval.0);
    let mut server = Server { document, ca_file, client: None, version: Vec::new() };
    loop {
        let found = match timeout(ANSWER_LIMIT, server.fetch()).await {
            Ok(found) => found,
            Err(_) => Err(format!("it did not answer within {} s", ANSWER_LIMIT.as_secs())),
        };
        if found.is_err() {
            // What comes after a failure is to be told whole.
            server.version.clear();
        }
        if let Some(found) = found.transpose() {
            loader.data.fetched(&server.document, found);
        }
        sleep(interval).await;
    }
}

/// Where a document is.
struct Server {
    document: HttpDocument,
    ca_file: Option<PathBuf>,
    client: Option<HttpClient>,
    /// What the last answer said of its version, as the next question has it.
    version: Vec<(HeaderName, HeaderValue)>,
}

impl Server {
    /// The values of the document; `None` if they are as before.
    ///
    /// # Errors
    /// Why there are none; holds no secret.
    async fn fetch(&mut self) -> Result<Option<Value>, String> {
        if self.client.is_none() {
            self.client = Some(HttpClient::new(&self.trust().await?));
        }
        let Some(client) = &self.client else { return Ok(None) };
        let file = self.document.secret_file.clone();
        let secret = off(move || secret_file::read(file.as_deref())).await?;
        let (url, login) = address(&self.document.url.expose_with(&secret))?;
        let request = |url: &Uri| {
            let more = self.version.iter().chain(&login);
            more.fold(
                Request::get(url.clone()).header(ACCEPT, ACCEPTED),
                |request, (name, value)| request.header(name, value),
            )
        };
        let is_moved =
            |status: StatusCode| status.is_redirection() && status != StatusCode::NOT_MODIFIED;
        let (url, answer) = client.send(url, request, &Bytes::new(), is_moved).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(None),
            status if is_moved(status) => {
                return Err("it redirects to another server, or out of HTTPS".to_owned());
            }
            status => return Err(format!("it answers {}", status.as_u16())),
        }
        let (version, format) = (version_of(&answer), format_of(&answer, &url));
        let body = http_client::body(answer, DATA_BYTES_MAX).await?;
        let text = std::str::from_utf8(&body).map_err(|_| "it is no UTF-8 text")?;
        let values = format.values(text)?;
        self.version = version;
        Ok(Some(values))
    }

    async fn trust(&self) -> Result<Connector, String> {
        let (is_secure, ca_file) = (self.document.url.scheme() == "https", self.ca_file.clone());
        off(move || {
            let trust = match &ca_file {
                Some(file) => Connector::trusting(file),
                None if is_secure => Connector::system(),
                None => Connector::nobody(),
            };
            trust.map_err(|error| error.to_string())
        })
        .await
    }
}

/// Does what may wait for the disk.
async fn off<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    spawn_blocking(run).await.map_err(|error| error.to_string())?
}

/// An address without the login in it, and the header that says that instead (RFC 7617).
fn address(url: &str) -> Result<(Uri, Option<(HeaderName, HeaderValue)>), String> {
    let wrong = || "its address is none of HTTP".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    let path = path.split('#').next().unwrap_or_default();
    let url = format!("{scheme}://{host}{path}").parse().map_err(|_| wrong())?;
    let Some(login) = login else { return Ok((url, None)) };
    let encoded = BASE64_STANDARD.encode(percent_decode_str(login).collect::<Vec<_>>());
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok((url, Some((AUTHORIZATION, value))))
}

fn version_of(answer: &Response<Incoming>) -> Vec<(HeaderName, HeaderValue)> {
    let version = |(told, asked): (HeaderName, HeaderName)| {
        answer.headers().get(told).map(|value| (asked, value.clone()))
    };
    VERSIONS.into_iter().filter_map(version).collect()
}

/// By the type of the answer, or, where that says nothing, by the name in the address.
fn format_of(answer: &Response<Incoming>, url: &Uri) -> DataFormat {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is = |of: &str| kind.to_ascii_lowercase().ends_with(of);
    match (is("json"), is("/csv")) {
        (true, _) => DataFormat::Json,
        (_, true) => DataFormat::Csv,
        _ => DataFormat::of_name(Path::new(url.path())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{InputUrl, Micros};
    use crate::scene::DataSource;

    #[tokio::test]
    async fn a_node_fetches_a_limited_number_of_documents_and_others_once_there_is_room() {
        let loader = Arc::<SceneLoader>::default();
        let mut poller = DataPoller::new(Arc::clone(&loader));
        let document = |n: usize| HttpDocument {
            url: InputUrl::parse(&format!("http://127.0.0.1:9/{n}")).unwrap(),
            secret_file: None,
            interval: Micros::from_secs(60),
        };
        let tasks = |poller: &DataPoller| poller.fetched.values().flatten().count();
        let documents: Vec<_> = (0..FETCHED_MAX + 2).map(document).collect();
        let mut wanted: HashSet<_> = documents.iter().collect();
        poller.follow(&wanted, None);
        poller.follow(&wanted, None);
        assert_eq!((tasks(&poller), poller.fetched.len()), (FETCHED_MAX, FETCHED_MAX + 2));
        let refused = |poller: &DataPoller| {
            let refused = poller.fetched.iter().filter(|(_, task)| task.is_none());
            refused.map(|(document, _)| DataSource::Http(document.clone())).collect::<Vec<_>>()
        };
        let (versions, more) = (loader.data.version_of(&refused(&poller)), refused(&poller));
        assert_ne!(versions, 0, "that is told");
        let is_fetched = |it: &&HttpDocument| !more.contains(&DataSource::Http((*it).clone()));
        let gone: Vec<_> = wanted.iter().copied().filter(is_fetched).take(2).collect();
        wanted.retain(|document| !gone.contains(document));
        poller.follow(&wanted, None);
        assert_eq!((tasks(&poller), poller.fetched.len()), (FETCHED_MAX, FETCHED_MAX));
        poller.follow(&HashSet::new(), None);
        assert_eq!((poller.fetched.len(), loader.data.version_of(&more)), (0, 0));
    }

    #[test]
    fn a_login_is_a_header_and_no_part_of_the_address() {
        let (url, login) = address("https://me:p%40ss@h.example:8/a.json?k=1#part").unwrap();
        assert_eq!(url, "https://h.example:8/a.json?k=1");
        let (name, value) = login.unwrap();
        assert_eq!((name, value.to_str().unwrap()), (AUTHORIZATION, "Basic bWU6cEBzcw=="));
        assert!(!format!("{value:?}").contains("bWU"), "{value:?}");
        let (url, login) = address("http://h.example?q=@").unwrap();
        assert_eq!((url.to_string().as_str(), login), ("http://h.example/?q=@", None));
        assert!(address("http://h .example/").is_err());
    }
}
