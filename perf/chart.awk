# The picture of perf/chart.sh: of lines of JSON, as `remember` in lib.sh writes them, an SVG.

# text NAME: a member of this line that is a text.
function text(name,    part) {
    if (!match($0, "\"" name "\":\"[^\"]*\"")) return ""
    part = substr($0, RSTART, RLENGTH)
    sub("^\"" name "\":\"", "", part)
    sub("\"$", "", part)
    return part
}

# number NAME: a member that is a number.
function number(name,    part) {
    if (!match($0, "\"" name "\":[-+.eE0-9]+")) return 0
    part = substr($0, RSTART, RLENGTH)
    sub("^\"" name "\":", "", part)
    return part + 0
}

function escaped(part) {
    gsub(/&/, "\\&amp;", part)
    gsub(/</, "\\&lt;", part)
    return part
}

function label(x, y, size, anchor, part) {
    printf "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\">%s</text>\n", \
        x, y, size, anchor, escaped(part)
}

function shown(value) { return sprintf(value < 10 ? "%.3f" : value < 1000 ? "%.1f" : "%.0f", value) }

text("figure") != "" {
    panel = text("figure") "\n" text("machine")
    if (!(panel in points)) order[++panels] = panel
    i = ++points[panel]
    medians[panel, i] = number("median"); least[panel, i] = number("min")
    most[panel, i] = number("max"); commits[panel, i] = text("commit")
}

END {
    columns = 2; width = 400; height = 190; left = 50; top = 44; plot_width = 330; plot_height = 110
    rows = int((panels + columns - 1) / columns)
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" " \
        "font-family=\"sans-serif\" fill=\"#24292f\">\n", columns * width, rows * height
    printf "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
    for (p = 1; p <= panels; p++) {
        panel = order[p]; count = points[panel]; split(panel, names, "\n")
        highest = 0
        for (i = 1; i <= count; i++) if (most[panel, i] > highest) highest = most[panel, i]
        if (highest <= 0) highest = 1
        x0 = (p - 1) % columns * width + left; y0 = int((p - 1) / columns) * height + top
        label(x0, y0 - 24, 13, "start", names[1])
        label(x0, y0 - 9, 9, "start", names[2])
        label(x0 - 5, y0 + 4, 9, "end", shown(highest))
        label(x0 - 5, y0 + plot_height + 3, 9, "end", "0")
        label(x0, y0 + plot_height + 15, 9, "start", commits[panel, 1])
        if (count > 1) label(x0 + plot_width, y0 + plot_height + 15, 9, "end", commits[panel, count])
        printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f6f8fa\"/>\n", \
            x0, y0, plot_width, plot_height
        line = ""; upper = ""; lower = ""
        for (i = 1; i <= count; i++) {
            x = x0 + (count > 1 ? (i - 1) * plot_width / (count - 1) : plot_width / 2)
            scale = plot_height / highest; bottom = y0 + plot_height
            y = bottom - medians[panel, i] * scale
            upper = upper sprintf("%.1f,%.1f ", x, bottom - most[panel, i] * scale)
            lower = sprintf("%.1f,%.1f ", x, bottom - least[panel, i] * scale) lower
            line = line sprintf("%.1f,%.1f ", x, y)
            dots[i] = sprintf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"#0969da\">" \
                "<title>%s: %s (%s to %s)</title></circle>", x, y, escaped(commits[panel, i]), \
                shown(medians[panel, i]), shown(least[panel, i]), shown(most[panel, i]))
        }
        printf "<polygon points=\"%s%s\" fill=\"#0969da\" fill-opacity=\"0.2\"/>\n", upper, lower
        printf "<polyline points=\"%s\" fill=\"none\" stroke=\"#0969da\" stroke-width=\"1.5\"/>\n", line
        for (i = 1; i <= count; i++) print dots[i]
    }
    print "</svg>"
}
