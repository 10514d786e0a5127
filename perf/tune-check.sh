#!/usr/bin/env bash
# Tells what of this machine makes a node slower or figures uncertain. It changes nothing.
set -uo pipefail

warnings=0
good() { printf 'ok    %s\n' "$1"; }
warn() { printf 'look  %s\n      %s\n' "$1" "$2"; ((warnings += 1)); }
first() { [[ -r $1 ]] && head -n 1 "$1"; }

governor=$(first /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor || echo none)
case $governor in
    performance | none) good "frequency governor: $governor" ;;
    *) warn "frequency governor: $governor" "cpupower frequency-set --governor performance" ;;
esac

memlock=$(ulimit -H -l)
if [[ $memlock == unlimited ]] || ((memlock >= 65536)); then
    good "locked memory: $memlock"
else
    warn "locked memory: $memlock KiB" "LimitMEMLOCK=infinity, or /etc/security/limits.conf"
fi

files=$(ulimit -H -n)
if [[ $files == unlimited ]] || ((files >= 65536)); then
    good "open files: $files"
else
    warn "open files: $files" "LimitNOFILE=1048576: every viewer is one"
fi

disabled=$(first /proc/sys/kernel/io_uring_disabled || echo 0)
if [[ $disabled == 0 ]]; then
    good "io_uring: allowed"
else
    warn "io_uring: disabled ($disabled)" "sysctl kernel.io_uring_disabled=0"
fi

backlog=$(first /proc/sys/net/core/somaxconn || echo 0)
if ((backlog >= 1024)); then
    good "listen backlog: $backlog"
else
    warn "listen backlog: $backlog" "sysctl net.core.somaxconn=4096"
fi

buffer=$(awk '{ print $3 }' /proc/sys/net/ipv4/tcp_wmem 2>/dev/null || echo 0)
if ((buffer >= 4194304)); then
    good "largest send buffer: $buffer bytes"
else
    warn "largest send buffer: $buffer bytes" "sysctl net.ipv4.tcp_wmem='4096 65536 4194304'"
fi

pages=$(first /sys/kernel/mm/transparent_hugepage/enabled || echo none)
case $pages in
    *'[never]'* | none) warn "transparent huge pages: $pages" "madvise is enough for a node" ;;
    *) good "transparent huge pages: $pages" ;;
esac

isolated=$(first /sys/devices/system/cpu/isolated)
good "isolated CPUs: ${isolated:-none; [cores] net_spin_us wants some (isolcpus=)}"

paranoid=$(first /proc/sys/kernel/perf_event_paranoid || echo 4)
if ((paranoid <= 1 || EUID == 0)); then
    good "perf: allowed (perf_event_paranoid $paranoid)"
else
    warn "perf: perf_event_paranoid is $paranoid" "sysctl kernel.perf_event_paranoid=1"
fi

if [[ $(first /sys/devices/system/clocksource/clocksource0/current_clocksource) =~ ^(tsc|kvm-clock|arch_sys_counter)$ ]]; then
    good "clock source: ${BASH_REMATCH[1]}"
else
    warn "clock source: slow" "reading the time is a system call here"
fi

read -r one _ </proc/loadavg
if awk "BEGIN { exit !($one < 0.3 * $(nproc)) }"; then
    good "load: $one"
else
    warn "load: $one" "something else is running: figures will be too high"
fi

((warnings == 0)) && echo "nothing to do" || echo "$warnings to look at"
