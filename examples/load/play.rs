//! Many RTMP viewers in one thread: they play a stream, count its pictures and throw everything
//! away.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::cpu::cpu_seconds;

/// Plays one stream many times and reports what each viewer got.
#[derive(clap::Args)]
pub(crate) struct Play {
    /// Where the server listens.
    address: SocketAddr,
    /// What to play: application and name.
    #[arg(default_value = "live/demo")]
    stream: String,
    /// How many viewers.
    #[arg(long, default_value_t = 200)]
    viewers: usize,
    /// How long to measure, seconds, once all are watching.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// A process whose CPU time is measured meanwhile: the server.
    #[arg(long)]
    pid: Option<u32>,
    /// Write the time (milliseconds) and size (bytes) of each message of the first viewer here.
    #[arg(long)]
    sizes: Option<PathBuf>,
}

/// Connects, waits until all are watching, measures and reports.
pub(crate) fn run(play: &Play) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(measure(play)))
}

async fn measure(play: &Play) -> Result<(), Box<dyn Error>> {
    let (app, name) = play.stream.split_once('/').ok_or("the stream is APP/NAME")?;
    let request = Rc::new(play_request(app, name));
    let block = Rc::new(RefCell::new(vec![0; 256 << 10]));
    let mut viewers = Vec::new();
    for _ in 0..play.viewers {
        let viewer = Rc::new(RefCell::new(Viewer::default()));
        let socket = TcpStream::connect(play.address).await?;
        socket.set_nodelay(true)?;
        let (request, block) = (Rc::clone(&request), Rc::clone(&block));
        tokio::task::spawn_local(watch(socket, request, Rc::clone(&viewer), block));
        viewers.push(viewer);
    }
    let patience = Instant::now() + Duration::from_secs(60);
    while viewers.iter().any(|viewer| viewer.borrow().pictures == 0) {
        if Instant::now() > patience {
            return Err("not every viewer gets pictures".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The first moments hold what a cache sends at once.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for viewer in &viewers {
        viewer.borrow_mut().restart();
    }
    viewers[0].borrow_mut().keeps_sizes = play.sizes.is_some();
    let cpu_now = || play.pid.map_or(Ok(0.0), cpu_seconds);
    let (began, cpu) = (Instant::now(), cpu_now()?);
    tokio::time::sleep(Duration::from_secs(play.seconds)).await;
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_now()? - cpu);
    report(&viewers, took, play.pid.map(|_| cpu))?;
    if let Some(file) = &play.sizes {
        std::fs::write(file, &viewers[0].borrow().sizes)?;
    }
    Ok(())
}

fn report(viewers: &[Rc<RefCell<Viewer>>], took: f64, cpu: Option<f64>) -> io::Result<()> {
    let gone = viewers.iter().filter(|viewer| viewer.borrow().ended).count();
    let mut rates: Vec<f64> =
        viewers.iter().map(|viewer| f64::from(viewer.borrow().pictures) / took).collect();
    rates.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mbits = viewers.iter().map(|viewer| viewer.borrow().bytes).sum::<u64>() as f64 * 8e-6;
    println!("viewers            {} ({gone} ended early)", viewers.len());
    println!("pictures/s         min {:.2}, median {:.2}", rates[0], rates[rates.len() / 2]);
    println!("delivered          {mbits:.1} Mbit in {took:.1} s, {:.1} Mbit/s", mbits / took);
    if let Some(cpu) = cpu {
        println!("server CPU         {cpu:.2} s, {:.1} % of a core", cpu / took * 100.0);
        println!("CPU per Mbit       {:.1} us", cpu / mbits * 1e6);
    }
    if gone > 0 {
        return Err(io::Error::other("some viewers were sent away"));
    }
    Ok(())
}

/// What a viewer has received.
#[derive(Default)]
struct Viewer {
    bytes: u64,
    pictures: u32,
    ended: bool,
    keeps_sizes: bool,
    sizes: String,
    reader: Reader,
}

impl Viewer {
    fn restart(&mut self) {
        (self.bytes, self.pictures) = (0, 0);
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let Self { pictures, sizes, keeps_sizes, .. } = self;
        self.reader.take(bytes, |kind, time, length| {
            *pictures += u32::from(kind == VIDEO);
            if *keeps_sizes && matches!(kind, AUDIO | VIDEO) {
                sizes.push_str(&format!("{time} {length}\n"));
            }
        });
    }
}

async fn watch(
    socket: TcpStream,
    request: Rc<Vec<u8>>,
    viewer: Rc<RefCell<Viewer>>,
    block: Rc<RefCell<Vec<u8>>>,
) {
    // Whatever ends a viewer, the report says that it has ended.
    let watched = drain(&socket, &request, &viewer, &block).await;
    if let Err(error) = watched {
        println!("a viewer failed: {error}");
    }
    viewer.borrow_mut().ended = true;
}

async fn drain(
    socket: &TcpStream,
    request: &[u8],
    viewer: &RefCell<Viewer>,
    block: &RefCell<Vec<u8>>,
) -> io::Result<()> {
    let mut sent = 0;
    while sent < request.len() {
        socket.writable().await?;
        sent += or_later(socket.try_write(&request[sent..]))?.unwrap_or(0);
    }
    // S0, S1 and S2 say nothing that matters here.
    let mut greeting = 1 + 2 * 1536;
    loop {
        socket.readable().await?;
        let mut block = block.borrow_mut();
        match or_later(socket.try_read(&mut block))? {
            Some(0) => return Ok(()),
            Some(count) => {
                let skipped = count.min(greeting);
                greeting -= skipped;
                viewer.borrow_mut().take(&block[skipped..count]);
            }
            None => {}
        }
    }
}

fn or_later(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

const SET_CHUNK_SIZE: u8 = 1;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const COMMAND: u8 = 20;

/// Walks over chunks without keeping what they carry.
struct Reader {
    chunk_size: usize,
    head: Vec<u8>,
    /// Bytes of the current chunk that are still to come, and of which id it is.
    left: usize,
    id: u8,
    streams: HashMap<u8, Chunks>,
}

#[derive(Default)]
struct Chunks {
    time: u32,
    length: usize,
    kind: u8,
    extended: bool,
    missing: usize,
    start: Vec<u8>,
}

impl Default for Reader {
    fn default() -> Self {
        let streams = HashMap::new();
        Self { chunk_size: 128, head: Vec::with_capacity(18), left: 0, id: 0, streams }
    }
}

impl Reader {
    /// Takes bytes and tells kind, time (milliseconds) and length of each message that ends.
    fn take(&mut self, mut bytes: &[u8], mut message: impl FnMut(u8, u32, usize)) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.head.push(first);
                bytes = rest;
                if self.has_head() {
                    self.begin();
                }
            } else {
                let count = self.left.min(bytes.len());
                let chunks = self.streams.entry(self.id).or_default();
                if chunks.kind == SET_CHUNK_SIZE {
                    chunks.start.extend_from_slice(&bytes[..count]);
                }
                chunks.missing -= count;
                self.left -= count;
                bytes = &bytes[count..];
            }
            if self.left == 0 && self.head.is_empty() {
                self.end(&mut message);
            }
        }
    }

    /// Servers use ids of one byte for what they send.
    fn has_head(&self) -> bool {
        let format = usize::from(self.head[0] >> 6);
        let basic = 1 + [11, 7, 3, 0][format];
        let id = self.head[0] & 0x3f;
        let extended = if format == 3 {
            self.streams.get(&id).is_some_and(|chunks| chunks.extended)
        } else {
            self.head.len() >= 4 && self.head[1..4] == [0xff; 3]
        };
        self.head.len() == basic + if extended { 4 } else { 0 }
    }

    fn begin(&mut self) {
        self.id = self.head[0] & 0x3f;
        let chunks = self.streams.entry(self.id).or_default();
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, &b| n << 8 | u32::from(b));
        let length = self.head.len();
        if self.head[0] >> 6 < 3 {
            let stamp = number(&self.head[1..4]);
            chunks.extended = stamp == 0xff_ffff;
            let stamp = if chunks.extended { number(&self.head[length - 4..]) } else { stamp };
            let is_absolute = self.head[0] >> 6 == 0;
            chunks.time = if is_absolute { stamp } else { chunks.time.wrapping_add(stamp) };
        }
        if self.head[0] >> 6 < 2 {
            chunks.length = number(&self.head[4..7]) as usize;
            chunks.kind = self.head[7];
        }
        if chunks.missing == 0 {
            chunks.missing = chunks.length;
        }
        self.left = chunks.missing.min(self.chunk_size);
        self.head.clear();
    }

    fn end(&mut self, message: &mut impl FnMut(u8, u32, usize)) {
        let Some(chunks) = self.streams.get_mut(&self.id).filter(|chunks| chunks.missing == 0)
        else {
            return;
        };
        if let (SET_CHUNK_SIZE, [a, b, c, d]) = (chunks.kind, &chunks.start[..]) {
            self.chunk_size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        }
        chunks.start.clear();
        message(chunks.kind, chunks.time, chunks.length);
    }
}

/// Handshake and commands in one go: this viewer takes every answer for a yes.
fn play_request(app: &str, name: &str) -> Vec<u8> {
    let mut request = vec![0; 1 + 2 * 1536];
    request[0] = 3;
    let mut connect = Vec::new();
    text(&mut connect, "connect");
    number(&mut connect, 1.0);
    connect.push(3);
    for (key, value) in [("app", app), ("tcUrl", &format!("rtmp://load/{app}"))] {
        key_of(&mut connect, key);
        text(&mut connect, value);
    }
    connect.extend([0, 0, 9]);
    command(&mut request, 0, &connect);

    let mut create = Vec::new();
    text(&mut create, "createStream");
    number(&mut create, 2.0);
    create.push(5);
    command(&mut request, 0, &create);

    let mut play = Vec::new();
    text(&mut play, "play");
    number(&mut play, 0.0);
    play.push(5);
    text(&mut play, name);
    command(&mut request, 1, &play);
    request
}

fn command(request: &mut Vec<u8>, stream: u32, body: &[u8]) {
    request.extend([3, 0, 0, 0, 0, 0]);
    // Commands are shorter than 256 bytes: an application and a name.
    request.extend([u8::try_from(body.len()).unwrap_or(u8::MAX), COMMAND]);
    request.extend(stream.to_le_bytes());
    for (number, part) in body.chunks(128).enumerate() {
        if number > 0 {
            request.push(0xc3);
        }
        request.extend(part);
    }
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.push(2);
    key_of(body, text);
}

fn key_of(body: &mut Vec<u8>, text: &str) {
    body.extend([0, u8::try_from(text.len()).unwrap_or(u8::MAX)]);
    body.extend(text.as_bytes());
}

fn number(body: &mut Vec<u8>, number: f64) {
    body.push(0);
    body.extend(number.to_be_bytes());
}
