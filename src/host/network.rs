//! Settings of the network.

use super::kernel_tree::KernelTree;
use super::report::Finding;

/// Largest send buffer below which a viewer far away is too slow, bytes: 100 ms of 300 Mb/s.
const SEND_BUFFER_MIN: u64 = 4 << 20;

/// Connections that may wait for a shard: what the node asks for, and the kernel may cut.
const BACKLOG_MIN: u64 = 1_024;

const NOT_TOLD: &str = "this kernel does not say";

pub(super) fn queue(tree: &KernelTree) -> Finding {
    const NAME: &str = "queueing discipline";
    match tree.text("proc/sys/net/core/default_qdisc").as_deref() {
        None => Finding::unknown(NAME, NOT_TOLD),
        Some(is @ ("fq" | "fq_codel" | "cake")) => Finding::good(NAME, is),
        Some(is) => Finding::look(
            NAME,
            format!("{is} for devices that come"),
            "a keyframe leaves as one burst, and fills queues on its way that drop the rest; \
             viewers of one device wait behind each other",
            [
                "sysctl -w net.core.default_qdisc=fq",
                "tc qdisc replace dev DEVICE root fq    # `ip route show default` names it",
            ],
        ),
    }
}

pub(super) fn congestion(tree: &KernelTree) -> Finding {
    const NAME: &str = "congestion control";
    match tree.text("proc/sys/net/ipv4/tcp_congestion_control").as_deref() {
        None => Finding::unknown(NAME, NOT_TOLD),
        // For live streams neither is better everywhere: they send less than the line takes.
        Some(is @ ("cubic" | "bbr")) => Finding::good(NAME, is),
        Some(is) => Finding::look(
            NAME,
            is,
            "after a loss the rate comes back slowly over long ways, and viewers there skip \
             pictures",
            ["sysctl -w net.ipv4.tcp_congestion_control=cubic"],
        ),
    }
}

pub(super) fn idle_restart(tree: &KernelTree) -> Finding {
    const NAME: &str = "slow start after idle";
    match tree.number("proc/sys/net/ipv4/tcp_slow_start_after_idle") {
        None => Finding::unknown(NAME, NOT_TOLD),
        Some(0) => Finding::good(NAME, "off"),
        Some(_) => Finding::look(
            NAME,
            "on",
            "a connection that was silent for a round trip and 200 ms (few pictures, `merge`) \
             sends 10 segments, and waits for a round trip before more: a keyframe takes 3 or 4 \
             of them",
            ["sysctl -w net.ipv4.tcp_slow_start_after_idle=0"],
        ),
    }
}

pub(super) fn send_buffer(tree: &KernelTree) -> Finding {
    const NAME: &str = "send buffer";
    let text = tree.text("proc/sys/net/ipv4/tcp_wmem");
    let most = text.and_then(|text| text.split_whitespace().nth(2)?.parse::<u64>().ok());
    match most {
        None => Finding::unknown(NAME, NOT_TOLD),
        Some(most @ SEND_BUFFER_MIN..) => Finding::good(NAME, format!("up to {most} bytes")),
        Some(most) => Finding::look(
            NAME,
            format!("up to {most} bytes"),
            "a viewer gets at most so much in a round trip: far ones cannot keep up with high \
             bitrates",
            ["sysctl -w net.ipv4.tcp_wmem='4096 65536 4194304'"],
        ),
    }
}

pub(super) fn backlog(tree: &KernelTree) -> Finding {
    const NAME: &str = "listen backlog";
    match tree.number("proc/sys/net/core/somaxconn") {
        None => Finding::unknown(NAME, NOT_TOLD),
        Some(is @ BACKLOG_MIN..) => Finding::good(NAME, format!("{is} connections")),
        Some(is) => Finding::look(
            NAME,
            format!("{is} connections"),
            "of viewers who come all at once, those beyond it try again after 1 s, 3 s and 7 s",
            ["sysctl -w net.core.somaxconn=4096"],
        ),
    }
}
