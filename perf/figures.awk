# Tables of perf/figures.sh: of lines `ROUND MODE SUBJECT FIGURE VALUE` the median of each figure with
# all its rounds, and the medians of the ratios within a round, with their limits.

function median(list,    n, v, i, j, t) {
    n = split(list, v, " ")
    for (i = 2; i <= n; i++) {
        t = v[i] + 0
        for (j = i - 1; j > 0 && v[j] + 0 > t; j--) v[j + 1] = v[j]
        v[j + 1] = t
    }
    return n ? v[int((n + 1) / 2)] : ""
}

# What ran without modes stands beside every mode.
function value(round, mode, subject, figure) {
    if ((round, mode, subject, figure) in all) return all[round, mode, subject, figure]
    if ((round, "any", subject, figure) in all) return all[round, "any", subject, figure]
    return ""
}

function number(x) { x += 0; return sprintf(x < 10 ? "%.3f" : "%.1f", x) }

# ratio NAME, FIGURE of one MODE and SUBJECT next to another's: a line if both were measured.
function ratio(name, figure, mode, subject, other_mode, other, limit,    r, a, b, list, m) {
    list = ""
    for (r = 1; r <= rounds; r++) {
        a = value(r, mode, subject, figure)
        b = value(r, other_mode, other, figure)
        if (a != "" && b != "" && b > 0) list = list sprintf("%.3f ", a / b)
    }
    if (list == "") return
    m = median(list)
    printf "%-58s %7.3f%s  (%s)\n", name, m,
        limit ? sprintf(", limit %.2f: %s", limit, m <= limit ? "met" : "missed") : "", \
        substr(list, 1, length(list) - 1)
}

# limit of a subject's ratio in this row, 0 if there is none.
function limit_of(figure, mode, other) {
    key = row " " figure " " mode " " other
    return key in limits ? limits[key] : 0
}

BEGIN {
    limits["crowd cpu_us_per_mbit frame bare"] = 1.05
    limits["crowd cpu_us_per_mbit off nginx"] = 0.95
    limits["crowd cpu_us_per_mbit frame nginx"] = 0.5
    limits["crowd cpu_us_per_mbit 100 bare"] = 1.08
    limits["hundred cpu_us_per_mbit off nginx"] = 0.85
    limits["hundred p99_us off nginx"] = 0.5
    limits["one p50_us off nginx"] = 1
    limits["one cpu_us_per_mbit off nginx"] = 1.1
    limits["ingest cpu_us_per_mbit any nginx"] = 0.4
}

{
    if (NF != 5) next
    all[$1, $2, $3, $4] = $5
    if ($1 > rounds) rounds = $1
    if (!(($2, $3, $4) in seen)) { seen[$2, $3, $4] = 1; order[++count] = $2 " " $3 " " $4 }
}

END {
    printf "%-6s %-10s %-18s %10s   each round\n", "mode", "subject", "figure", "median"
    for (i = 1; i <= count; i++) {
        split(order[i], k, " ")
        list = ""
        for (r = 1; r <= rounds; r++)
            if ((r, k[1], k[2], k[3]) in all) list = list number(all[r, k[1], k[2], k[3]]) " "
        m = median(list)
        more = ""
        if (row == "idle" && k[3] == "cpu_percent")
            more = sprintf("  limit 1: %s", m <= 1 ? "met" : "missed")
        printf "%-6s %-10s %-18s %10s   %s%s\n", k[1], k[2], k[3], number(m), list, more
    }
    for (i = 1; i <= count; i++) {
        split(order[i], k, " ")
        mode = k[1]; subject = k[2]; figure = k[3]
        if (subject == "nginx" || subject == "bare") continue
        if (figure == "at_full_rate" || figure ~ /^load_|ended_early/) continue
        name = row " " mode ", " figure ": " subject " next to "
        if (row == "tls") {
            if (mode == "rtmps") ratio(name "rtmp", figure, mode, subject, "rtmp", subject, 1.6)
        } else {
            ratio(name "bare", figure, mode, subject, mode, "bare", limit_of(figure, mode, "bare"))
            ratio(name "nginx", figure, mode, subject, mode, "nginx", limit_of(figure, mode, "nginx"))
        }
        if (subject != "base") ratio(name "base", figure, mode, subject, mode, "base", 0)
        # Of a rate, more is better: its ratio has no upper limit.
        if (subject == "epoll")
            ratio(name "glommio", figure, mode, "epoll", mode, "glommio",
                figure == "per_second" ? 0 : 1.15)
    }
}
