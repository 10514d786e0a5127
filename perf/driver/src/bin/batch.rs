//! Sends of one tick to many viewers: `sendmsg` for each, next to one `io_uring_enter` for many.
//! CPU time of the sending thread per send.
//!
//! `batch [sockets] [bytes] [ticks] [turns]`

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use driver_perf::{cpu_us, epoll, pin, wait};
use io_uring::{IoUring, opcode, types};

/// Submission queue entries: the sends of one call.
const BATCH: usize = 64;

struct Bench {
    sockets: Vec<TcpStream>,
    body: Vec<u8>,
    epoll: RawFd,
}

/// Sends the body to each socket once, waiting where one is full, and says how often it was.
fn by_loop(bench: &Bench) -> u64 {
    let mut blocked = 0;
    for socket in &bench.sockets {
        let mut rest = &bench.body[..];
        while !rest.is_empty() {
            let mut piece =
                libc::iovec { iov_base: rest.as_ptr() as *mut libc::c_void, iov_len: rest.len() };
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            (message.msg_iov, message.msg_iovlen) = (&mut piece, 1);
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            match unsafe { libc::sendmsg(socket.as_raw_fd(), &message, flags) } {
                sent @ 1.. => rest = &rest[sent as usize..],
                _ => {
                    blocked += 1;
                    wait(bench.epoll, 1);
                }
            }
        }
    }
    blocked
}

struct Ring {
    ring: IoUring,
    pieces: Vec<libc::iovec>,
    messages: Vec<libc::msghdr>,
    fixed: bool,
}

impl Ring {
    fn new(bench: &Bench, fixed: bool) -> Self {
        let ring = IoUring::new(BATCH as u32).unwrap();
        if fixed {
            let fds: Vec<_> = bench.sockets.iter().map(|socket| socket.as_raw_fd()).collect();
            ring.submitter().register_files(&fds).unwrap();
        }
        let piece = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let message: libc::msghdr = unsafe { std::mem::zeroed() };
        Self { ring, pieces: vec![piece; BATCH], messages: vec![message; BATCH], fixed }
    }

    fn send(&mut self, bench: &Bench) -> u64 {
        let (mut blocked, count) = (0, bench.sockets.len());
        let mut to_do: Vec<(usize, usize)> = (0..count).map(|at| (at, 0)).collect();
        let mut again = Vec::new();
        while !to_do.is_empty() {
            for part in to_do.chunks(BATCH) {
                for (place, &(at, done)) in part.iter().enumerate() {
                    let rest = &bench.body[done..];
                    self.pieces[place] = libc::iovec {
                        iov_base: rest.as_ptr() as *mut libc::c_void,
                        iov_len: rest.len(),
                    };
                    self.messages[place].msg_iov = &mut self.pieces[place];
                    self.messages[place].msg_iovlen = 1;
                    let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as u32;
                    let message = &self.messages[place] as *const _;
                    let entry = if self.fixed {
                        opcode::SendMsg::new(types::Fixed(at as u32), message).flags(flags).build()
                    } else {
                        let fd = types::Fd(bench.sockets[at].as_raw_fd());
                        opcode::SendMsg::new(fd, message).flags(flags).build()
                    };
                    let entry = entry.user_data((at as u64) << 32 | done as u64);
                    unsafe { self.ring.submission().push(&entry).unwrap() };
                }
                self.ring.submit_and_wait(part.len()).unwrap();
                for done in self.ring.completion() {
                    let token = done.user_data();
                    let (at, begun) = ((token >> 32) as usize, (token & 0xffff_ffff) as usize);
                    match done.result() {
                        sent @ 1.. if begun + sent as usize == bench.body.len() => {}
                        sent @ 1.. => again.push((at, begun + sent as usize)),
                        _ => {
                            blocked += 1;
                            again.push((at, begun));
                        }
                    }
                }
            }
            std::mem::swap(&mut to_do, &mut again);
            again.clear();
            if !to_do.is_empty() {
                wait(bench.epoll, 1);
            }
        }
        blocked
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let count = numbers.next().unwrap_or(1_000);
    let bytes = numbers.next().unwrap_or(12_500);
    let ticks = numbers.next().unwrap_or(200);
    let turns = numbers.next().unwrap_or(5);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = Vec::new();
    let mut far = Vec::new();
    for _ in 0..count {
        near.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        near.last().unwrap().set_nodelay(true).unwrap();
        far.push(listener.accept().unwrap().0);
    }
    let ended = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&ended);
    let taken = Arc::new(AtomicU64::new(0));
    let took = Arc::clone(&taken);
    let drain = std::thread::spawn(move || {
        pin(1);
        let fds: Vec<_> = far.iter().map(|socket| socket.as_raw_fd()).collect();
        let set = epoll(&fds);
        let mut to = vec![0_u8; 1 << 20];
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1_024];
        while !stop.load(Ordering::Relaxed) {
            let ready = unsafe { libc::epoll_wait(set, events.as_mut_ptr(), 1_024, 10) };
            for event in &events[..ready.max(0) as usize] {
                // Thrown away in the kernel: the receiver's copy is no part of the question.
                let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
                let fd = event.u64 as RawFd;
                let got = unsafe { libc::recv(fd, to.as_mut_ptr().cast(), to.len(), flags) };
                took.fetch_add(got.max(0) as u64, Ordering::Relaxed);
            }
        }
    });
    pin(0);
    let fds: Vec<_> = near.iter().map(|socket| socket.as_raw_fd()).collect();
    let bench = Bench { body: vec![7; bytes], epoll: epoll(&fds), sockets: near };
    let (mut plain, mut fixed) = (Ring::new(&bench, false), Ring::new(&bench, true));
    let sends = (count * ticks) as f64;
    let mut sent = 0_u64;
    let mut measure = |turn: usize, name: &str, send: &mut dyn FnMut() -> u64| {
        let (mut blocked, mut cpu) = (0, 0.0);
        for _ in 0..ticks {
            let begun = cpu_us();
            blocked += send();
            cpu += cpu_us() - begun;
            sent += (count * bytes) as u64;
            // The next tick comes when all have taken this one.
            while taken.load(Ordering::Relaxed) < sent {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        let each = cpu / sends;
        println!("{turn}  {each:6.2} us CPU per send  {blocked:6} full  {name}");
    };
    for turn in 1..=turns {
        for way in 0..3 {
            match (turn + way) % 3 {
                0 => measure(turn, "sendmsg for each", &mut || by_loop(&bench)),
                1 => measure(turn, "io_uring, 64 at once", &mut || plain.send(&bench)),
                _ => measure(turn, "io_uring, 64 at once, registered files", &mut || {
                    fixed.send(&bench)
                }),
            }
        }
    }
    ended.store(true, Ordering::Relaxed);
    drain.join().unwrap();
}
