#!/usr/bin/env bash
# What a figure was measured on: print this above every table.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

row() { printf '%-14s %s\n' "$1" "${2:-unknown}"; }
first() { [[ -r $1 ]] && head -n 1 "$1"; }

cpus=/sys/devices/system/cpu
row date "$(date -u +%Y-%m-%d)"
row commit "$(git rev-parse --short HEAD 2>/dev/null)$(git diff --quiet 2>/dev/null || echo ' and changes')"
row cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
row cores "$(nproc) of $(getconf _NPROCESSORS_CONF), threads per core: $(first $cpus/smt/active)"
row flags "$(grep -m 1 -oE 'avx512bw|avx2|asimd' /proc/cpuinfo | sort -u | tr '\n' ' ')"
row memory "$(awk '/MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
row kernel "$(uname -sr)"
row governor "$(first $cpus/cpu0/cpufreq/scaling_governor || echo 'none (fixed, or a virtual machine)')"
row turbo "$(first $cpus/cpufreq/boost || first $cpus/intel_pstate/no_turbo || echo unknown)"
row isolated "$(first $cpus/isolated)"
row 'huge pages' "$(first /sys/kernel/mm/transparent_hugepage/enabled), $(awk '/HugePages_Total/ { print $2 }' /proc/meminfo) reserved"
row virtual "$(systemd-detect-virt 2>/dev/null || (grep -qw hypervisor /proc/cpuinfo && echo yes || echo no))"
row load "$(cut -d' ' -f1-3 /proc/loadavg)"
row rustc "$(rustc --version 2>/dev/null)"
row ffmpeg "$(pkg-config --modversion libavcodec 2>/dev/null | sed 's/^/libavcodec /')"
row x264 "$(dpkg-query --show --showformat='${Version}' 'libx264-*' 2>/dev/null | head -n 1)"
