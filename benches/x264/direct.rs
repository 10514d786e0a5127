//! Benchmark of the ways to call libx264 directly.

use std::ffi::{CString, c_int};
use std::mem::MaybeUninit;

use stream_manager::internals::{
    Composed, Composer, FrozenFrame, Geometry, Level, PacketPool, PacketPoolSpec, Pool, Tick,
    VideoEncoder, VideoPacket, VideoSink, VideoSpec, demo, open_video, x264,
};
use stream_manager::media::{Micros, PixelFormat, Size};

use super::turns::{Plain, at, compare, length, meter, programme, spec};

/// Pictures of the demo programme.
const DEMO: u64 = 240;

/// Runs all of it.
pub fn run() {
    let length = length();
    for tune in ["", "zerolatency"] {
        let auto = VideoSpec { fastest_preset: Some("superfast".to_owned()), ..spec(tune) };
        let pictures = programme(&auto);
        compare(&auto, &pictures, length, || Straight::open(&auto, &pictures, |_| {}));
    }
    speeds(length.0);
    constant_macroblocks(length.1);
}

/// libx264 called as its documentation says, on pictures where they lie; what comes out is counted
/// and left where it is.
struct Straight<'a> {
    pictures: &'a [FrozenFrame],
    handle: *mut x264::x264_t,
    bytes: u64,
    /// Which macroblocks of each picture are those of the picture before, if x264 is to know.
    constant: Option<&'a [Vec<u8>]>,
    /// Sum of the similarities, if they are measured.
    ssim: f64,
}

impl<'a> Straight<'a> {
    fn open(
        spec: &VideoSpec,
        pictures: &'a [FrozenFrame],
        change: impl FnOnce(&mut x264::x264_param_t),
    ) -> Self {
        let c_string = |text: &str| CString::new(text).expect("no zero byte in it");
        let (preset, tune) = (c_string(&spec.preset), c_string(&spec.tune));
        let tuning = if spec.tune.is_empty() { std::ptr::null() } else { tune.as_ptr() };
        let mut params = MaybeUninit::<x264::x264_param_t>::zeroed();
        // SAFETY: the first call fills in the struct, whose zeroes will do; both take C strings.
        let mut params = unsafe {
            let filled = params.as_mut_ptr();
            assert_eq!(x264::x264_param_default_preset(filled, preset.as_ptr(), tuning), 0);
            assert_eq!(x264::x264_param_apply_profile(filled, c"high".as_ptr()), 0);
            params.assume_init()
        };
        // With less of a log it measures nothing.
        params.pf_log = Some(x264::log);
        params.i_log_level = x264::X264_LOG_INFO.cast_signed();
        params.i_csp = x264::X264_CSP_I420.cast_signed();
        params.i_width = spec.size.width().cast_signed();
        params.i_height = spec.size.height().cast_signed();
        (params.i_fps_num, params.i_fps_den) = (spec.rate.num(), spec.rate.den());
        (params.i_timebase_num, params.i_timebase_den) = (spec.rate.den(), spec.rate.num());
        let kbps = c_int::try_from(spec.bitrate_bps / 1_000).expect("a usual bitrate");
        params.rc.i_rc_method = x264::X264_RC_ABR.cast_signed();
        params.rc.i_bitrate = kbps;
        params.rc.i_vbv_max_bitrate = kbps;
        params.rc.i_vbv_buffer_size = kbps;
        params.rc.b_filler = 1;
        let gop = spec.gop_frames.cast_signed();
        (params.i_keyint_max, params.i_keyint_min) = (gop, gop);
        params.i_scenecut_threshold = 0;
        params.i_bframe = spec.b_frames.into();
        params.i_threads = spec.threads.into();
        params.b_sliced_threads = c_int::from(spec.tune == "zerolatency");
        (params.b_repeat_headers, params.b_annexb) = (0, 0);
        change(&mut params);
        // SAFETY: the parameters are filled in.
        let handle = unsafe { x264::x264_encoder_open(&raw mut params) };
        assert!(!handle.is_null(), "libx264 opens");
        Self { pictures, handle, bytes: 0, constant: None, ssim: 0.0 }
    }

    /// Encodes a picture as that of tick `n`.
    fn encode_picture(&mut self, place: usize, n: i64) {
        let frame = &self.pictures[place];
        let mut picture = MaybeUninit::uninit();
        // SAFETY: fills in the struct.
        let mut picture: x264::x264_picture_t = unsafe {
            x264::x264_picture_init(picture.as_mut_ptr());
            picture.assume_init()
        };
        picture.i_pts = n;
        picture.img.i_csp = x264::X264_CSP_I420.cast_signed();
        picture.img.i_plane = 3;
        for (index, plane) in frame.geometry().planes().iter().enumerate() {
            picture.img.plane[index] = frame.plane(index).as_ptr().cast_mut();
            picture.img.i_stride[index] = c_int::try_from(plane.stride).expect("a usual width");
        }
        if let Some(constant) = self.constant {
            picture.prop.mb_info = constant[place].as_ptr().cast_mut();
        }
        self.advance(&raw mut picture);
    }

    fn advance(&mut self, picture: *mut x264::x264_picture_t) {
        let (mut nals, mut count) = (std::ptr::null_mut(), 0);
        let mut coded = MaybeUninit::<x264::x264_picture_t>::zeroed();
        // SAFETY: the encoder is open until `end`; the picture's planes outlive the call, and what
        // is said of its macroblocks outlives the encoder.
        let bytes = unsafe {
            x264::x264_encoder_encode(
                self.handle,
                &raw mut nals,
                &raw mut count,
                picture,
                coded.as_mut_ptr(),
            )
        };
        self.bytes += u64::try_from(bytes).expect("libx264 encodes");
        if bytes > 0 {
            // SAFETY: zeroes will do where x264 wrote nothing.
            self.ssim += unsafe { coded.assume_init() }.prop.f_ssim;
        }
    }

    fn finish(&mut self) {
        // SAFETY: the encoder is open; it is closed when it has given everything.
        unsafe {
            while x264::x264_encoder_delayed_frames(self.handle) > 0 {
                self.advance(std::ptr::null_mut());
            }
            x264::x264_encoder_close(self.handle);
        }
    }
}

impl Plain for Straight<'_> {
    fn encode(&mut self, n: i64) {
        self.encode_picture(at(n), n);
    }

    fn end(mut self) -> u64 {
        self.finish();
        self.bytes
    }
}

struct Nothing;

impl VideoSink for Nothing {
    fn packet(&mut self, _: VideoPacket) {}
}

/// What each speed of one running encoder costs, in turns of thirty pictures.
fn speeds(count: i64) {
    const TURN: i64 = 30;
    let pool = PacketPool::new(PacketPoolSpec::default()).expect("address space for packets");
    for (preset, tune) in [("medium", "zerolatency"), ("medium", "")] {
        let fastest_preset = Some("superfast".to_owned());
        let spec =
            VideoSpec { preset: preset.to_owned(), threads: 1, fastest_preset, ..spec(tune) };
        let pictures = programme(&spec);
        let mut encoder: Box<dyn VideoEncoder> = open_video(&spec, &pool).expect("libx264");
        let speeds = encoder.speeds().to_vec();
        let mut costs = vec![0.0; speeds.len()];
        let encode = |encoder: &mut dyn VideoEncoder, n: i64| {
            encoder.encode(pictures[at(n)].share(), n, false, &mut Nothing).expect("it encodes");
        };
        let delay = i64::from(encoder.delay_frames());
        (0..delay).for_each(|n| encode(&mut *encoder, n));
        let mut n = delay;
        for _ in 0..(count / 60).max(1) {
            for (step, cost) in costs.iter_mut().enumerate() {
                encoder.set_speed(step).expect("one of its speeds");
                let (before, ..) = meter();
                (n..n + TURN).for_each(|n| encode(&mut *encoder, n));
                n += TURN;
                *cost += meter().0 - before;
            }
        }
        let tune = if tune.is_empty() { "no tune" } else { tune };
        println!("\nspeeds of a running {preset}, {tune}, 1 thread, superfast = 100");
        for (speed, cost) in speeds.iter().zip(&costs) {
            println!("{:>10} {:>6.0}", speed.preset, cost / costs[0] * 100.0);
        }
    }
}

/// Pictures of the demo programme, and which of their macroblocks are as in the picture before.
fn demo_pictures(size: Size) -> (Vec<FrozenFrame>, Vec<Vec<u8>>) {
    let slots = u32::try_from(DEMO).expect("few pictures") + 2;
    let pool = Pool::new(Geometry::new(size, PixelFormat::I420), slots).expect("memory");
    let mut composer = Composer::new(&demo::scene(size), size, Level::best()).expect("no files");
    let mut pictures: Vec<FrozenFrame> = Vec::new();
    for n in 0..DEMO {
        let at = Micros(n * 1_000_000 / 30);
        let tick = Tick { n, at, programme: at, unix_ms: at.millis() };
        match composer.compose(&tick, &pool) {
            Composed::Fresh(frame) | Composed::Same(frame) => pictures.push(frame),
            Composed::NoFrame => panic!("the pool is large enough"),
        }
    }
    let mut constant = vec![vec![0; macroblocks(size).len()]];
    for pair in pictures.windows(2) {
        let same = |(x, y): &(usize, usize)| u8::from(is_same(&pair[0], &pair[1], *x, *y));
        constant.push(macroblocks(size).iter().map(same).collect());
    }
    (pictures, constant)
}

/// Columns and rows of 16 pixels.
fn macroblocks(size: Size) -> Vec<(usize, usize)> {
    let [columns, rows] = [size.width(), size.height()].map(|side| side.div_ceil(16) as usize);
    (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))).collect()
}

fn is_same(a: &FrozenFrame, b: &FrozenFrame, x: usize, y: usize) -> bool {
    a.geometry().planes().iter().enumerate().all(|(index, plane)| {
        let side = if index == 0 { 16 } else { 8 };
        let rows = y * side..((y + 1) * side).min(plane.rows);
        let columns = x * side..((x + 1) * side).min(plane.width);
        rows.into_iter().all(|row| {
            let at = row * plane.stride + columns.start..row * plane.stride + columns.end;
            a.plane(index)[at.clone()] == b.plane(index)[at]
        })
    })
}

/// What x264 saves on the demo programme when it is told which macroblocks have not changed.
fn constant_macroblocks(runs: usize) {
    let size = Size::new(1_280, 720).expect("both are even");
    let (pictures, constant) = demo_pictures(size);
    let known: usize = constant.iter().flatten().map(|same| usize::from(*same)).sum();
    let part = known as f64 / (constant.len() * constant[0].len()) as f64;
    println!("\ndemo programme, {size} at 30 fps: {:.1} % of macroblocks constant", part * 100.0);
    println!("preset     told ms  not ms   ratio   ssim told  ssim not");
    for preset in ["superfast", "veryfast", "medium"] {
        let spec = VideoSpec {
            size,
            preset: preset.to_owned(),
            bitrate_bps: 2_500_000,
            gop_frames: 60,
            threads: 1,
            ..spec("")
        };
        let encode = |is_told: bool, is_measured: bool| {
            let mut straight = Straight::open(&spec, &pictures, |params| {
                params.analyse.b_mb_info = c_int::from(is_told);
                params.analyse.b_ssim = c_int::from(is_measured);
            });
            straight.constant = is_told.then_some(&constant[..]);
            let (before, ..) = meter();
            for n in 0..pictures.len() {
                straight.encode_picture(n, i64::try_from(n).expect("few pictures"));
            }
            straight.finish();
            let cost = (meter().0 - before) * 1e3 / pictures.len() as f64;
            (cost, straight.ssim / pictures.len() as f64)
        };
        let [mut told, mut not] = [0.0; 2];
        for _ in 0..runs {
            told += encode(true, false).0 / runs as f64;
            not += encode(false, false).0 / runs as f64;
        }
        let [ssim_told, ssim_not] = [true, false].map(|is_told| encode(is_told, true).1);
        println!(
            "{preset:<10} {told:>7.3} {not:>7.3} {:>7.3} {ssim_told:>11.5} {ssim_not:>9.5}",
            told / not
        );
    }
}
