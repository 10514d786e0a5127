//! The way of a frame after start-up allocates nothing from Rust's heap: compose, ring, hand-off to
//! libx264, log, and the sending step of a viewer. (What libavcodec takes from C's heap inside its
//! calls is its own.) Nor is an encoded byte copied: the first piece a viewer is sent lies in the
//! very memory that the encoder wrote. Nor does the way of a publisher's message, from chunks to the
//! log, from the first one on: the packet pool grows meanwhile, on control's side.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "support/shard.rs"]
mod shard;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::queue::SegQueue;
use serde_json::json;
use stream_manager::config::{Config, transition_from_document};
use stream_manager::internals::{
    Bell, Change, Clock, Composed, Composer, CounterFollower, Cursor, DriverChoice, DriverKind,
    DropPolicy, Flags, Framing, FrozenFrame, Geometry, Level, LogLimits, Message, Mixer,
    PacketPool, PacketPoolSpec, Pool, PreparedScene, PreparedTransition, Receiver, Scaler, Sender,
    Stage, StageBlock, Start, StreamLog, Tick, VideoPacket, VideoSink, VideoSpec, WORKER_RECORDS,
    begin_recording, channel, open_video, preflight, record_stage,
};
use stream_manager::media::{FrameId, Kind, Micros, Size};
use stream_manager::rtmp::chunk::{MessageHeader, Reader, Writer};
use stream_manager::rtmp::flv::{AvcPacket, avc_header};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Whether this is the thread of a driver.
    static DRIVES: Cell<bool> = const { Cell::new(false) };
}

/// Of all drivers.
static DRIVER_ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Where drivers allocated, while they are watched: a failure says it.
static DRIVER_TRACES: SegQueue<Backtrace> = SegQueue::new();
static DRIVERS_ARE_WATCHED: AtomicBool = AtomicBool::new(false);

fn note_driver_allocation() {
    if DRIVERS_ARE_WATCHED.load(Ordering::Relaxed) {
        // What the note itself allocates is not the driver's.
        DRIVES.with(|drives| drives.set(false));
        DRIVER_TRACES.push(Backtrace::force_capture());
        DRIVES.with(|drives| drives.set(true));
    }
}

/// What was noted, and the notes are empty.
fn driver_traces() -> String {
    std::iter::from_fn(|| DRIVER_TRACES.pop()).map(|trace| format!("at\n{trace}\n")).collect()
}

/// Of the threads that call the drivers of GPUs, while they are watched.
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
static GPU_ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
static GPU_IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// Counts for the threads that call the drivers of GPUs, which are known by their names.
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
fn count_for_gpu() {
    if !GPU_IS_WATCHED.load(Ordering::Relaxed) {
        return;
    }
    let mut name = [0_u8; 16];
    // SAFETY: writes at most 16 bytes, the last of them zero.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    if name.starts_with(b"nvenc\0") || name.starts_with(b"vaapi\0") {
        GPU_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

struct Counting;

// SAFETY: hands every call to the system's allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        if DRIVES.with(Cell::get) {
            DRIVER_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            note_driver_allocation();
        }
        #[cfg(any(feature = "nvenc", feature = "vaapi"))]
        count_for_gpu();
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about the block is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Ticks before counting starts: pools, rings, the log and the encoder have then been all round.
const WARM_UP: u64 = 400;
const COUNTED: u64 = 600;

/// The encoder's end of the way: packets become messages in the log's ring.
struct ToRing {
    out: Sender<(Message, *const u8)>,
}

impl VideoSink for ToRing {
    fn packet(&mut self, packet: VideoPacket) {
        let VideoPacket { mut body, pts, key, .. } = packet;
        let written = body.as_ptr();
        body.prepend(&avc_header(key, AvcPacket::Nalus, 0));
        let flags = if key { Flags::KEY } else { Flags::default() };
        let time = u32::try_from(pts * 1_000 / 30).unwrap();
        let message = Message::new(Kind::Video, time, flags, body, 60_000);
        assert!(self.out.push((message, written)).is_ok());
    }
}

struct Viewer {
    cursor: Cursor,
    /// Whether the encoder's bytes come as the second piece, after a header of the viewer's own.
    is_flv: bool,
    sent: usize,
}

impl Viewer {
    /// What a shard does for a viewer after each message, with a socket that takes everything.
    fn pump(&mut self, log: &StreamLog) -> Option<*const u8> {
        self.cursor.settle(log, &DropPolicy::default());
        let (mut bytes, mut pieces) = (0, [None; 2]);
        self.cursor.gather(log, 1 << 20, &mut |piece| {
            bytes += piece.len();
            if let Some(place) = pieces.iter_mut().find(|place| place.is_none()) {
                *place = Some(piece.as_ptr());
            }
            true
        });
        self.cursor.advance(log, bytes);
        self.sent += bytes;
        pieces[usize::from(self.is_flv)]
    }
}

#[test]
fn a_frame_goes_from_scene_to_socket_without_an_allocation_or_a_copy() {
    let config = Config::default();
    let demo = &config.channels[0];
    let mut spec = demo.video_spec(1);
    spec.preset = "ultrafast".to_owned();
    spec.tune = "zerolatency".to_owned();
    let mut composer = Composer::new(demo.scene(), spec.size, Level::best()).unwrap();
    let mut mixer = Mixer::new(&demo.audio_sources, demo.audio_bus);
    let pool = Pool::new(Geometry::new(spec.size, spec.format), 4).unwrap();
    let packets = PacketPool::new(PacketPoolSpec::default()).unwrap();
    let mut encoder = open_video(&spec, &packets).unwrap();
    let (mut raw, mut frames): (Sender<(FrozenFrame, u64)>, Receiver<_>) = channel(4, Bell::new());
    let (out, mut encoded) = channel(8, Bell::new());
    let mut sink = ToRing { out };
    let limits = LogLimits { messages: 256, millis: 3_000, ..LogLimits::default() };
    let mut log = StreamLog::new(limits, true);
    let mut viewers = Vec::new();
    let framings = [Framing::default(), Framing::Flv, Framing::WebSocketFlv];
    for framing in framings.into_iter().cycle().take(9) {
        let cursor = Cursor::new(Start::Keyframe).framed(framing);
        viewers.push(Viewer { cursor, is_flv: framing != Framing::default(), sent: 0 });
    }
    let mut audio = vec![0.0_f32; 2 * 1_600];

    let mut before = 0;
    for n in 0..WARM_UP + COUNTED {
        if n == WARM_UP {
            before = ALLOCATIONS.with(Cell::get);
        }
        let at = spec.rate.due(n);
        let tick = Tick { n, at, programme: at, unix_ms: at.millis() };
        let (Composed::Fresh(frame) | Composed::Same(frame)) = composer.compose(&tick, &pool)
        else {
            panic!("the pool is empty at tick {n}");
        };
        mixer.mix(n * 1_600, at, &mut audio);
        assert!(raw.push((frame, n)).is_ok());
        let (frame, tick) = frames.pop().unwrap();
        encoder.encode(frame, i64::try_from(tick).unwrap(), false, &mut sink).unwrap();
        while let Some((message, written)) = encoded.pop() {
            log.push(message, at);
            for viewer in &mut viewers {
                let first = viewer.pump(&log);
                // 12 bytes of chunk header and 5 of the tag stand right before the encoder's bytes;
                // a longer body has its later chunks in the same packet.
                // An FLV viewer gets the body alone.
                let before = if viewer.is_flv { 5 } else { 17 };
                if n >= WARM_UP {
                    assert_eq!(first.map(|at| at.wrapping_add(before)), Some(written));
                }
            }
        }
    }
    assert!(before > 0, "the counter counts");
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    assert_eq!(allocations, 0, "in {COUNTED} frames");
    assert_eq!(packets.heap_packets(), 0);
    assert!(viewers.iter().all(|viewer| viewer.sent > 1 << 20));
}

/// Builds the fake drivers of `ffi/fake`, which take the places of real ones by their names.
#[cfg(any(feature = "nvenc", feature = "vaapi"))]
fn fakes() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ffi/fake/build.sh");
    let built = std::process::Command::new(script).arg(folder.path()).status().unwrap();
    assert!(built.success());
    folder
}

#[cfg(feature = "nvenc")]
#[test]
fn a_picture_goes_to_a_gpu_and_comes_back_as_a_packet_without_an_allocation() {
    let folder = fakes();
    for name in ["libcuda.so.1", "libnvidia-encode.so.1"] {
        let path = folder.path().join(name).into_os_string().into_encoded_bytes();
        let path = std::ffi::CString::new(path).unwrap();
        // SAFETY: a C string; the library has no constructors.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!library.is_null());
    }
    encode_without_an_allocation("nvenc", None);
}

/// libavutil has loaded the real libva before a test can load the fake one: the test runs itself
/// once more, in a process that finds the fake one first.
#[cfg(feature = "vaapi")]
#[test]
fn a_picture_goes_to_a_mapped_surface_and_comes_back_as_a_packet_without_an_allocation() {
    const NAME: &str =
        "a_picture_goes_to_a_mapped_surface_and_comes_back_as_a_packet_without_an_allocation";
    const AGAIN: &str = "NO_ALLOC_AGAIN";
    if std::env::var_os(AGAIN).is_some() {
        encode_without_an_allocation("vaapi", Some("/dev/null".to_owned()));
        return;
    }
    let (folder, log) = (fakes(), tempfile::NamedTempFile::new().unwrap());
    let mut test = std::process::Command::new(std::env::current_exe().unwrap());
    test.args([NAME, "--exact"]).env(AGAIN, "").env("LD_LIBRARY_PATH", folder.path());
    test.env("FAKE_VAAPI", format!("log={}", log.path().display()));
    let ended = test.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    let log = std::fs::read_to_string(log.path()).unwrap();
    let encoded = format!("closed after {} pictures", WARM_UP + COUNTED);
    assert!(log.contains(&encoded) && !log.contains("fault"), "{log}");
}

#[cfg(any(feature = "nvenc", feature = "vaapi"))]
fn encode_without_an_allocation(encoder: &'static str, device: Option<String>) {
    struct Nowhere;
    impl VideoSink for Nowhere {
        fn packet(&mut self, _: VideoPacket) {}
    }
    let config = Config::default();
    let spec = config.channels[0].video_spec(1);
    let spec = VideoSpec { encoder: Some(encoder), device, ..spec };
    let pool = Pool::new(Geometry::new(spec.size, spec.format), 4).unwrap();
    let packets = PacketPool::new(PacketPoolSpec::default()).unwrap();
    let mut encoder = open_video(&spec, &packets).unwrap();
    let mut before = (0, 0);
    for tick in 0..WARM_UP + COUNTED {
        if tick == WARM_UP {
            GPU_IS_WATCHED.store(true, Ordering::Relaxed);
            before = (ALLOCATIONS.get(), GPU_ALLOCATIONS.load(Ordering::Relaxed));
        }
        let frame = pool.take().unwrap().freeze();
        let pts = i64::try_from(tick).unwrap();
        encoder.encode(frame, pts, tick % 60 == 0, &mut Nowhere).unwrap();
    }
    GPU_IS_WATCHED.store(false, Ordering::Relaxed);
    let after = (ALLOCATIONS.get(), GPU_ALLOCATIONS.load(Ordering::Relaxed));
    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 0), "by the caller, by its thread");
}

#[test]
fn a_canvas_is_scaled_for_a_rendition_without_an_allocation() {
    let config = Config::default();
    let demo = &config.channels[0];
    let spec = demo.video_spec(1);
    let small = Size::new(854, 480).unwrap();
    let mut composer = Composer::new(demo.scene(), spec.size, Level::best()).unwrap();
    let mut scaler = Scaler::new(spec.size, small, Level::best());
    let pool = |size| Pool::new(Geometry::new(size, spec.format), 4).unwrap();
    let (canvases, scaled) = (pool(spec.size), pool(small));
    let (mut seen, mut before, mut made) = (0, 0, 0);
    for n in 0..200 {
        if n == 20 {
            before = ALLOCATIONS.with(Cell::get);
        }
        let at = spec.rate.due(n);
        let tick = Tick { n, at, programme: at, unix_ms: at.millis() };
        let (Composed::Fresh(frame) | Composed::Same(frame)) = composer.compose(&tick, &canvases)
        else {
            panic!("the pool is empty at tick {n}");
        };
        scaler.change(&composer.changed_since(seen));
        seen = composer.mark();
        made += u32::from(scaler.scale(&frame, &scaled).is_some());
    }
    assert_eq!((ALLOCATIONS.with(Cell::get) - before, made), (0, 200));
}

#[test]
fn another_scene_comes_and_the_old_one_goes_without_an_allocation() {
    let config = Config::default();
    let demo = &config.channels[0];
    let spec = demo.video_spec(1);
    let mut composer = Composer::new(demo.scene(), spec.size, Level::best()).unwrap();
    let pool = Pool::new(Geometry::new(spec.size, spec.format), 4).unwrap();
    let mut changes: Vec<_> = [
        json!({ "type": "cut" }),
        json!({ "type": "fade", "duration_ms": 200 }),
        json!({ "type": "wipe", "shape": "clock", "duration_ms": 200, "softness": 0.2 }),
        json!({ "type": "push", "duration_ms": 200, "easing": "ease-in-out" }),
        json!({ "type": "fade-color", "duration_ms": 400 }),
    ]
    .iter()
    .zip(demo.scenes.iter().cycle())
    .map(|(transition, named)| {
        let scene = PreparedScene::new(&demo.resolved(&named.scene).unwrap()).unwrap();
        let transition = transition_from_document(transition).unwrap();
        let transition = PreparedTransition::new(&transition, spec.size, None).unwrap();
        Change::new(scene, transition)
    })
    .collect();
    let mut retired = Vec::with_capacity(changes.len());

    let mut before = 0;
    for n in 0..90 {
        if n == 10 {
            before = ALLOCATIONS.with(Cell::get);
        }
        if n >= 10
            && n % 10 == 0
            && let Some(change) = changes.pop()
        {
            composer.change(change);
        }
        let at = spec.rate.due(n);
        let tick = Tick { n, at, programme: at, unix_ms: at.millis() };
        assert!(!matches!(composer.compose(&tick, &pool), Composed::NoFrame));
        retired.extend(composer.take_retired());
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    assert_eq!((changes.len(), retired.len()), (0, 5));
}

#[test]
fn layers_come_go_and_move_without_an_allocation() {
    let layers = |is_visible: bool| {
        let hidden = if is_visible { "" } else { "visible = false\n" };
        format!(
            "[[channel.scene]]\nname = \"{is_visible}\"\n\
             [[channel.scene.layer]]\nname = \"in\"\ntype = \"logo\"\nwidth = 200\n{hidden}\
             show_transition = {{ type = \"wipe\", shape = \"circle\", duration_ms = 500 }}\n\
             hide_transition = {{ type = \"slide\", duration_ms = 300 }}\n\
             [[channel.scene.layer]]\nname = \"moves\"\ntype = \"text\"\ntext = \"Hi\"\n\
             animation = {{ loop = true, keyframe = [{{ at_ms = 0, x = 0, width = 100 }},\
             {{ at_ms = 700, x = 300, width = \"120%\", alpha = 0.5 }}] }}\n\
             [[channel.scene.layer]]\nname = \"row\"\ntype = \"group\"\nlayout = \"row\"\n\
             animate_ms = 400\n\
             [[channel.scene.layer.layer]]\nname = \"a\"\ntype = \"flash\"\n{hidden}\
             [[channel.scene.layer.layer]]\nname = \"b\"\ntype = \"spinner\"\n"
        )
    };
    let text = format!(
        "[[channel]]\nname = \"c\"\n[channel.video]\nwidth = 640\nheight = 360\nfps = 30\n{}{}",
        layers(false),
        layers(true)
    );
    let config = Config::parse(&text, "moving.toml").unwrap();
    let channel = &config.channels[0];
    let spec = channel.video_spec(1);
    let scene = |at: usize| {
        let resolved = channel.resolved(&channel.scenes[at].scene).unwrap();
        PreparedScene::new(&resolved).unwrap()
    };
    let mut composer = Composer::with_scene(scene(0), Level::best());
    let pool = Pool::new(Geometry::new(spec.size, spec.format), 4).unwrap();
    let mut changes = vec![Change::cut(scene(0)), Change::cut(scene(1))];
    let mut retired = Vec::with_capacity(changes.len());
    let mut before = 0;
    for n in 0..70 {
        if n == 10 {
            before = ALLOCATIONS.with(Cell::get);
        }
        if n % 20 == 10
            && let Some(change) = changes.pop()
        {
            composer.change(change);
        }
        let at = spec.rate.due(n);
        let tick = Tick { n, at, programme: at, unix_ms: at.millis() };
        assert!(matches!(composer.compose(&tick, &pool), Composed::Fresh(_)));
        retired.extend(composer.take_retired());
    }
    assert_eq!((ALLOCATIONS.with(Cell::get) - before, retired.len()), (0, 2));
}

#[test]
fn a_stage_is_stamped_counted_and_recorded_without_an_allocation() {
    let (clock, mut follower) = (Clock::start(), CounterFollower::start());
    let block = StageBlock::of([Stage::Encode]);
    begin_recording(1, WORKER_RECORDS);
    let before = ALLOCATIONS.with(Cell::get);
    // The ring is filled several times, and the counter of the CPU is compared.
    for number in 0..5 * WORKER_RECORDS as u64 {
        clock.follow_counter(&mut follower);
        let end = clock.stamp();
        block.observe(Stage::Encode, Micros(number));
        record_stage(Stage::Encode, FrameId::new(1, number), end, Micros(number));
    }
    assert_eq!(ALLOCATIONS.with(Cell::get), before);
}

#[test]
fn a_message_goes_from_a_publisher_to_its_players_without_an_allocation() {
    const PLAYERS: usize = 20;
    const PICTURE: usize = 10_000;
    let mut relay = shard::Relay::new(PLAYERS);
    let mut allocations = 0;
    for round in 0..WARM_UP + COUNTED {
        let wire = relay.picture(PICTURE);
        let before = ALLOCATIONS.with(Cell::get);
        let sent = relay.step(&wire);
        if round % 5 == 0 {
            relay.tick();
        }
        if round >= WARM_UP {
            allocations += ALLOCATIONS.with(Cell::get) - before;
            assert!(sent > (PLAYERS * PICTURE) as u64, "{sent} bytes went out in round {round}");
        }
    }
    assert_eq!(allocations, 0, "in {COUNTED} messages");
}

#[test]
fn a_player_whose_socket_is_full_has_the_rest_later_without_an_allocation() {
    let mut relay = shard::Relay::new(20);
    relay.fill_sockets(7);
    let (mut allocations, mut full) = (0, 0);
    for round in 0..WARM_UP + COUNTED {
        let wire = relay.picture(10_000);
        let before = ALLOCATIONS.with(Cell::get);
        relay.step(&wire);
        let count = relay.make_room();
        if round >= WARM_UP {
            allocations += ALLOCATIONS.with(Cell::get) - before;
            full += count;
        }
    }
    assert_eq!(allocations, 0, "{full} sockets were full");
    assert!(full > 1_000, "{full} sockets were full");
}

#[test]
fn a_driver_takes_messages_in_and_sends_them_to_players_without_an_allocation() {
    const PLAYERS: usize = 20;
    const PICTURE: usize = 10_000;
    for kind in [DriverKind::Epoll, DriverKind::Glommio] {
        if let Err(missing) = preflight(DriverChoice::Only(kind)) {
            println!("{kind} did not run: {missing}");
            continue;
        }
        let mut served =
            shard::Served::new(kind, PLAYERS, || DRIVES.with(|drives| drives.set(true)));
        let mut before = 0;
        for round in 0..WARM_UP + COUNTED {
            if round == WARM_UP {
                DRIVERS_ARE_WATCHED.store(true, Ordering::Relaxed);
                before = DRIVER_ALLOCATIONS.load(Ordering::Relaxed);
            }
            let wire = served.picture(PICTURE);
            served.step(&wire);
        }
        let allocations = DRIVER_ALLOCATIONS.load(Ordering::Relaxed) - before;
        DRIVERS_ARE_WATCHED.store(false, Ordering::Relaxed);
        assert!(before > 0, "the counter counts");
        assert_eq!(allocations, 0, "by {kind} in {COUNTED} messages, {}", driver_traces());
    }
}

/// A publisher on its shard.
struct Publisher {
    reader: Reader,
    log: StreamLog,
    taken: usize,
}

impl Publisher {
    fn new() -> Self {
        let mut reader = Reader::default();
        reader.set_chunk_size(4_096);
        let limits = LogLimits { millis: 3_000, ..LogLimits::default() };
        Self { reader, log: StreamLog::new(limits, true), taken: 0 }
    }

    fn take_in(&mut self, mut wire: &[u8], kind: Kind, pool: &PacketPool, at: Micros) {
        while let Some(message) = self.reader.read(&mut wire, pool).unwrap() {
            let flags = Flags::of(kind, &message.body).unwrap();
            self.log.push(Message::new(kind, message.time, flags, message.body, 60_000), at);
            self.taken += 1;
        }
    }
}

#[test]
fn what_many_publishers_send_is_taken_in_without_an_allocation() {
    const PUBLISHERS: usize = 100;
    const TICKS_PER_SECOND: u32 = 30;
    let pool = PacketPool::new(PacketPoolSpec::default()).unwrap();
    let start = pool.usage();
    let mut publishers: Vec<_> = (0..PUBLISHERS).map(|_| Publisher::new()).collect();
    let mut writer = Writer::default();
    writer.set_chunk_size(4_096);
    let (mut wire, picture) = (Vec::with_capacity(100_000), vec![0x41; 60_000]);
    let mut body = Vec::with_capacity(100_000);
    let mut counted = 0;
    for tick in 0..12 * TICKS_PER_SECOND {
        let at = Micros::from_millis(u64::from(tick) * 1_000 / u64::from(TICKS_PER_SECOND));
        // 2.5 Mb/s: keyframes of 60 KB every two seconds, pictures about 10 KB, audio of 300 bytes.
        let key = tick % (2 * TICKS_PER_SECOND) == 0;
        let size = if key { 60_000 } else { 8_000 + (tick as usize * 617) % 4_000 };
        for kind in [Kind::Video, Kind::Audio, Kind::Audio] {
            let (chunk_stream, type_id) = if kind == Kind::Video { (6, 9) } else { (4, 8) };
            wire.clear();
            body.clear();
            match kind {
                Kind::Video => {
                    body.extend_from_slice(&avc_header(key, AvcPacket::Nalus, 0));
                    body.extend_from_slice(&picture[..size]);
                }
                _ => body.extend([0xaf, 1].into_iter().chain([0x21; 300])),
            }
            let (time, length) = (u32::try_from(at.millis()).unwrap(), body.len());
            let length = u32::try_from(length).unwrap();
            let header = MessageHeader { chunk_stream, time, length, type_id, stream_id: 1 };
            writer.write(header, &body, &mut wire);
            let before = ALLOCATIONS.with(Cell::get);
            for publisher in &mut publishers {
                publisher.take_in(&wire, kind, &pool, at);
            }
            // A reader notes the first message of each chunk stream.
            counted += if tick == 0 { 0 } else { ALLOCATIONS.with(Cell::get) - before };
        }
        if tick % 6 == 0 {
            pool.maintain(1 << 30, at).unwrap(); // five times a second: control does so at least
        }
    }
    let usage = pool.usage();
    assert_eq!((counted, usage.heap_packets), (0, 0));
    assert!(usage.slabs_added > start.slabs_added, "it grew meanwhile");
    assert!(publishers.iter().all(|publisher| publisher.taken == 12 * 30 * 3));
    let held: usize = publishers.iter().map(|publisher| publisher.log.memory()).sum();
    assert!(usage.used_bytes <= held && held < usage.used_bytes * 105 / 100);
    let wanted = PUBLISHERS * 3 * 2_500_000 / 8;
    assert!(usage.used_bytes < wanted * 14 / 10, "{} for {wanted}", usage.used_bytes);
}
