/*
 * What both stand-in libraries have in common: where they lie, what they are told there, and what they leave there.
 *
 *     scenario   lines of KEY=VALUE: how the driver behaves
 *     calls      a line for each call: PROCESS NAME ARGUMENTS; a call that a strict driver would not forgive begins with
 *                FAULT, which no test may find
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void in_directory(const char *name, char *path, size_t len) {
    Dl_info info;
    dladdr((void *)in_directory, &info);
    const char *slash = strrchr(info.dli_fname, '/');
    snprintf(path, len, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname, name);
}

/* The value of a key of the scenario, or `otherwise`. */
static const char *scenario(const char *key, const char *otherwise) {
    static __thread char line[256];
    char path[4096];
    in_directory("scenario", path, sizeof path);
    FILE *file = fopen(path, "r");
    if (!file) return otherwise;
    size_t len = strlen(key);
    const char *found = otherwise;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, key, len) && line[len] == '=') { found = line + len + 1; break; }
    }
    fclose(file);
    return found;
}

static long scenario_number(const char *key, long otherwise) {
    const char *value = scenario(key, NULL);
    return value ? strtol(value, NULL, 0) : otherwise;
}

static void record(const char *format, ...) {
    char line[512], path[4096];
    int len = snprintf(line, sizeof line, "%d ", (int)getpid());
    va_list arguments;
    va_start(arguments, format);
    len += vsnprintf(line + len, sizeof line - len - 1, format, arguments);
    va_end(arguments);
    line[len++] = '\n';
    in_directory("calls", path, sizeof path);
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (write(file, line, len) != len) abort();
    close(file);
}
