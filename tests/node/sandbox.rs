//! A node in a sandbox that refuses `io_uring`, as Docker's and containerd's default profiles do.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tempfile::TempDir;

use crate::config::{Config, demo};
use crate::node::{BINARY, Node};
use crate::pairs::ffmpeg_publishes;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others};

/// `io_uring_setup`, `io_uring_enter` and `io_uring_register`, the same on all architectures.
const IO_URING: std::ops::RangeInclusive<u32> = 425..=427;

/// `sysexits.h`: something about the machine or its configuration is not as needed.
const EX_CONFIG: i32 = 78;

/// Lets the kernel answer the program's calls of `io_uring` with EPERM.
fn without_io_uring(command: &mut Command) {
    // SAFETY: the closure calls nothing but `prctl`, which is allowed between fork and exec.
    unsafe { command.pre_exec(refuse_io_uring) };
}

fn refuse_io_uring() -> io::Result<()> {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    // `struct seccomp_data` begins with the number of the call.
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, *IO_URING.start(), 0, 2),
        statement(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, *IO_URING.end(), 1, 0),
        statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs(),
            0,
            0,
        ),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let len = u16::try_from(filter.len()).unwrap_or_default();
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its statements outlive both calls.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if set { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn a_node_whose_sandbox_refuses_io_uring_says_so_and_serves_by_epoll() {
    let _turn = beside_others();
    let config = demo().more("[cores]\ndriver = \"auto\"\n");
    let node = Node::start_changed(&config, without_io_uring);
    node.program().says("shard driver epoll: glommio cannot run here: io_uring: ");
    let _publisher = ffmpeg_publishes(&node.publish_url());
    node.wait_for_streams(2);
    for (stream, file) in [("live/demo", "demo.flv"), (crate::node::STUDIO, "studio.flv")] {
        let stream = node.url(stream);
        Recording::of(&stream, 2, node.file(file)).assert_audio_and_picture(0.5);
    }
}

#[test]
fn a_node_that_is_to_use_glommio_ends_with_78_where_io_uring_is_refused() {
    let config = Config::new().more("[cores]\ndriver = \"glommio\"\n");
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["run", "--config"]).arg(config.write(dir.path()));
    command.arg("--data-dir").arg(dir.path().join("data"));
    without_io_uring(&mut command);
    let ended = Program::spawn("stream-manager", command).ended(SOON);
    assert_eq!(ended.status.code(), Some(EX_CONFIG), "{}", ended.err);
    for word in ["io_uring", "driver = \"epoll\"", "seccomp"] {
        assert!(ended.err.contains(word), "{word} is missing in: {}", ended.err);
    }
}
