/* Parsing of faults, and the log. */

#include "faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char of_process[512];

/* Faults of the sessions that are opened from now on; an empty text takes them back. */
__attribute__((visibility("default"))) void fake_faults(const char *text)
{
    snprintf(of_process, sizeof of_process, "%s", text);
}

static int is(const char *item, const char *key, const char **value)
{
    size_t length = strlen(key);
    if (strncmp(item, key, length) != 0 || (item[length] != '=' && item[length] != 0))
        return 0;
    *value = item[length] ? item + length + 1 : "1";
    return 1;
}

static void read_item(struct faults *faults, const char *item)
{
    const char *value;
    if (is(item, "driver", &value))
        sscanf(value, "%u.%u", &faults->major, &faults->minor);
    else if (is(item, "sessions", &value))
        faults->sessions = atol(value);
    else if (is(item, "busy", &value))
        faults->busy = atol(value);
    else if (is(item, "lock_busy", &value))
        faults->lock_busy = atol(value);
    else if (is(item, "lost", &value))
        faults->lost = atol(value);
    else if (is(item, "lost_sessions", &value))
        faults->lost_sessions = atol(value);
    else if (is(item, "hang", &value))
        faults->hang = atol(value);
    else if (is(item, "hang_open", &value))
        faults->hang_open = 1;
    else if (is(item, "crash", &value))
        faults->crash = 1;
    else if (is(item, "no_device", &value))
        faults->no_device = 1;
    else if (is(item, "fixed_rate", &value))
        faults->fixed_rate = 1;
    else if (is(item, "cqp_only", &value))
        faults->cqp_only = 1;
    else if (is(item, "low_power", &value))
        faults->low_power = 1;
    else if (is(item, "no_hevc", &value))
        faults->no_hevc = 1;
    else if (is(item, "packed", &value))
        faults->packed = 1;
    else if (is(item, "no_derive", &value))
        faults->no_derive = 1;
    else if (is(item, "overshoot", &value))
        faults->overshoot = (unsigned)atol(value);
    else if (is(item, "late", &value))
        faults->late = atol(value);
    else if (is(item, "log", &value))
        snprintf(faults->log, sizeof faults->log, "%s", value);
    else {
        fprintf(stderr, "the fake driver knows no fault \"%s\"\n", item);
        abort();
    }
}

void faults_read(struct faults *faults)
{
    const char *text = of_process[0] ? of_process : getenv(FAULTS_VARIABLE);
    char items[512], *rest = items, *item;
    *faults = (struct faults){.major = 13, .sessions = 8, .busy = NEVER, .lock_busy = NEVER,
                              .lost = NEVER, .lost_sessions = 1L << 30, .hang = NEVER, .overshoot = 100};
    snprintf(items, sizeof items, "%s", text ? text : "");
    while ((item = strsep(&rest, ",")))
        if (*item)
            read_item(faults, item);
}

void faults_log(const struct faults *faults, const char *format, ...)
{
    if (!faults->log[0])
        return;
    FILE *file = fopen(faults->log, "a");
    if (!file)
        return;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    /* One write: lines of several threads do not mix. */
    fprintf(file, "%s\n", line);
    fclose(file);
}

int faults_told(const struct faults *faults, int code, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    faults_log(faults, "fault: %s", text);
    return code;
}
