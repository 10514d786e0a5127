# Verdicts of perf/compare.sh: of lines `ROUND SUBJECT FIGURE VALUE`, where the subjects are `a` and
# `b` and less is better, for each figure the medians, the ratio of b to a with its confidence
# interval of 95 %, the chance that two equal programs differ as much (Mann-Whitney, two-sided) and
# what follows from it. Both are distribution-free: a round that was disturbed moves them little.
#
# `limit` is the part, such as 0.03, up to which a difference does not count.

function sort(list, n,    i, j, t) {
    for (i = 2; i <= n; i++) {
        t = list[i]
        for (j = i - 1; j > 0 && list[j] > t; j--) list[j + 1] = list[j]
        list[j + 1] = t
    }
}

function median(list, n) {
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

# ways(m, n, u): orders of m and n values in which the first are above the others in u pairs.
function ways(m, n, u,    key) {
    if (u < 0) return 0
    if (m == 0 || n == 0) return u == 0
    key = m " " n " " u
    if (!(key in known)) known[key] = ways(m - 1, n, u - n) + ways(m, n - 1, u)
    return known[key]
}

# at_most(m, n, u): the chance that it is in no more than u pairs, for values of the same kind.
function at_most(m, n, u,    i, sum, all) {
    for (i = 0; i <= m * n; i++) {
        all += ways(m, n, i)
        if (i <= u) sum += ways(m, n, i)
    }
    return sum / all
}

NF == 4 {
    if (!($3 in seen)) { seen[$3] = 1; order[++figures] = $3 }
    n[$3, $2]++
    values[$3, $2, n[$3, $2]] = $4 + 0
}

END {
    row = "%-18s %10s %10s %8s  %-17s %8s  %s\n"
    printf row, "figure", "A", "B", "B / A", "95 %", "p", "verdict"
    for (f = 1; f <= figures; f++) {
        figure = order[f]
        split("", a); split("", b); split("", ratios)
        na = n[figure, "a"] + 0; nb = n[figure, "b"] + 0
        for (i = 1; i <= na; i++) a[i] = values[figure, "a", i]
        for (i = 1; i <= nb; i++) b[i] = values[figure, "b", i]
        sort(a, na); sort(b, nb)
        pairs = 0; wins = 0; usable = na >= 4 && nb >= 4 && a[1] > 0
        for (i = 1; i <= na; i++) for (j = 1; j <= nb; j++) {
            if (a[i] > 0) ratios[++pairs] = b[j] / a[i]
            wins += b[j] > a[i] ? 1 : b[j] == a[i] ? 0.5 : 0
        }
        if (!usable) {
            printf row, figure, na ? sprintf("%.3f", median(a, na)) : "-", \
                nb ? sprintf("%.3f", median(b, nb)) : "-", "-", "-", "-", "too few rounds: 4 at least"
            continue
        }
        sort(ratios, pairs)
        if (wins > pairs / 2) wins = pairs - wins
        p = 2 * at_most(na, nb, wins)
        if (p > 1) p = 1
        # The order statistics of all ratios between which that of the programs is.
        for (k = 1; 2 * at_most(na, nb, k) <= 0.05; k++) continue
        low = ratios[k]; high = ratios[pairs + 1 - k]; ratio = median(ratios, pairs)
        if (p < 0.01 && ratio > 1 + limit) verdict = "B needs more"
        else if (p < 0.01 && ratio < 1 - limit) verdict = "B needs less"
        else if (low >= 1 - limit && high <= 1 + limit) verdict = "the same"
        else verdict = "undecided: more rounds"
        if (verdict == "B needs more") worse = 1
        printf row, figure, sprintf("%.3f", median(a, na)), sprintf("%.3f", median(b, nb)), \
            sprintf("%.3f", ratio), sprintf("%.3f to %.3f", low, high), sprintf("%.4f", p), verdict
    }
    exit worse
}
