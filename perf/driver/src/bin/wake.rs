//! Wake-up benchmark: a peer sends a message over loopback, the thread under test wakes, reads it
//! and answers. CPU time of that thread per message, by the way in which it sleeps.
//!
//! `wake [messages] [turns] [pause_us]`

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use driver_perf::{cpu_us, epoll, pin, receive, send, sleeps, wait};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

const SIZE: usize = 1_000;

/// What one way has cost: CPU, sleeps.
type Cost = (f64, i64);

fn blocking_echo(socket: &TcpStream, messages: usize) -> Cost {
    let (set, mut bytes) = (epoll(&[socket.as_raw_fd()]), [0; 4_096]);
    let (cpu, slept) = (cpu_us(), sleeps());
    let mut seen = 0;
    while seen < messages * SIZE {
        wait(set, -1);
        while let Ok(count @ 1..) = usize::try_from(receive(socket.as_raw_fd(), &mut bytes)) {
            send(socket.as_raw_fd(), &bytes[..count]);
            seen += count;
            if count < bytes.len() {
                break;
            }
        }
    }
    let cost = (cpu_us() - cpu, sleeps() - slept);
    unsafe { libc::close(set) };
    cost
}

fn plain(socket: TcpStream, messages: usize) -> Cost {
    blocking_echo(&socket, messages)
}

fn in_task(socket: TcpStream, messages: usize) -> Cost {
    use glommio::{LocalExecutorBuilder, Placement};
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .preempt_timer(Duration::from_secs(1 << 30))
        .io_memory(64 << 10)
        .make()
        .unwrap();
    executor.run(async move { blocking_echo(&socket, messages) })
}

struct Set(i32);

impl AsRawFd for Set {
    fn as_raw_fd(&self) -> i32 {
        self.0
    }
}

fn pollable(socket: TcpStream, messages: usize) -> Cost {
    use glommio_ng::{LocalExecutorBuilder, Placement, io::PollableFd};
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .preempt_timer(Duration::from_secs(1 << 30))
        .io_memory(64 << 10)
        .make()
        .unwrap();
    executor.run(async move {
        let set = PollableFd::new(Set(epoll(&[socket.as_raw_fd()]))).unwrap();
        let mut bytes = [0; 4_096];
        let (cpu, slept) = (cpu_us(), sleeps());
        let mut seen = 0;
        while seen < messages * SIZE {
            set.readable().await.unwrap();
            wait(set.get_ref().0, 0);
            while let Ok(count @ 1..) = usize::try_from(receive(socket.as_raw_fd(), &mut bytes)) {
                send(socket.as_raw_fd(), &bytes[..count]);
                seen += count;
                if count < bytes.len() {
                    break;
                }
            }
        }
        let cost = (cpu_us() - cpu, sleeps() - slept);
        unsafe { libc::close(set.get_ref().0) };
        cost
    })
}

fn stream(socket: TcpStream, messages: usize) -> Cost {
    use glommio::{LocalExecutorBuilder, Placement, net::TcpStream as Stream};
    use std::os::fd::{FromRawFd, IntoRawFd};
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .preempt_timer(Duration::from_millis(4))
        .io_memory(64 << 10)
        .make()
        .unwrap();
    executor.run(async move {
        let mut stream = unsafe { Stream::from_raw_fd(socket.into_raw_fd()) };
        let mut bytes = [0; 4_096];
        let (cpu, slept) = (cpu_us(), sleeps());
        let mut seen = 0;
        while seen < messages * SIZE {
            let count = stream.read(&mut bytes).await.unwrap();
            stream.write_all(&bytes[..count]).await.unwrap();
            seen += count;
        }
        (cpu_us() - cpu, sleeps() - slept)
    })
}

fn turn(echo: fn(TcpStream, usize) -> Cost, messages: usize, pause: Duration) -> (Cost, f64) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || {
        pin(1);
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut bytes = [7; SIZE];
        let begun = Instant::now();
        for _ in 0..messages {
            socket.write_all(&bytes).unwrap();
            socket.read_exact(&mut bytes).unwrap();
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        }
        begun.elapsed().as_secs_f64() * 1e6 / messages as f64
    });
    let tested = std::thread::spawn(move || {
        pin(0);
        let (socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        echo(socket, messages)
    });
    (tested.join().unwrap(), peer.join().unwrap())
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let messages = numbers.next().unwrap_or(20_000) as usize;
    let turns = numbers.next().unwrap_or(5);
    let pause = Duration::from_micros(numbers.next().unwrap_or(0));
    let ways: [(&str, fn(TcpStream, usize) -> Cost); 4] = [
        ("thread, epoll_wait", plain),
        ("glommio 0.9.0, epoll_wait in its task", in_task),
        ("glommio-ng 0.12.0, PollableFd on the epoll set", pollable),
        ("glommio 0.9.0, TcpStream future", stream),
    ];
    for number in 1..=turns {
        for (name, echo) in ways {
            let ((cpu, slept), round) = turn(echo, messages, pause);
            let each = cpu / messages as f64;
            let slept = slept as f64 / messages as f64;
            println!(
                "{number}  {each:6.2} us CPU  {slept:5.2} sleeps  {round:7.1} us round trip  {name}"
            );
        }
    }
}
