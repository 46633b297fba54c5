// Makes the operating system fail on request, for tests: loaded with LD_PRELOAD, it counts the calls that change
// something below a folder and lets one of them, or that one and all after it, fail.
//
//   MARTLET_FAULT_FOLDER  absolute path; only what lies below it counts
//   MARTLET_FAULT_AT      which call fails, from 1; 0 = none
//   MARTLET_FAULT_ERRNO   the error number it fails with
//   MARTLET_FAULT_LAST    the last call that fails (absent: the first is the only one)
//   MARTLET_FAULT_LOG     a file that gets one line a call: its number, name and path
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static atomic_int calls;

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static int lies_below(const char *path) {
    const char *folder = getenv("MARTLET_FAULT_FOLDER");
    char whole[PATH_MAX];
    if (!folder || !path) return 0;
    if (path[0] != '/') {
        char here[PATH_MAX / 2];
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(whole, sizeof whole, "%s/%s", here, path);
        path = whole;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

// Whether this call is to fail.
static int fails(const char *name, const char *path) {
    if (!lies_below(path)) return 0;
    int call = atomic_fetch_add(&calls, 1) + 1;
    const char *log = getenv("MARTLET_FAULT_LOG");
    if (log) {
        char line[PATH_MAX + 64];
        int count = snprintf(line, sizeof line, "%d %s %s\n", call, name, path);
        int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
        ssize_t (*real_write)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
        int file = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file >= 0) {
            real_write(file, line, (size_t)count);
            close(file);
        }
    }
    int first = number("MARTLET_FAULT_AT", 0);
    if (first == 0 || call < first || call > number("MARTLET_FAULT_LAST", first)) return 0;
    errno = number("MARTLET_FAULT_ERRNO", EIO);
    return 1;
}

static int descriptor_fails(const char *name, int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t count = readlink(link, path, sizeof path - 1);
    if (count <= 0) return 0;
    path[count] = 0;
    return fails(name, path);
}

#define REAL(result, name, ...) static result (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

static int changes(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0; }

#define OPEN(name)                                                                   \
    int name(const char *path, int flags, ...) {                                     \
        va_list list;                                                                \
        va_start(list, flags);                                                       \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(list, mode_t) : 0;    \
        va_end(list);                                                                \
        REAL(int, name, const char *, int, ...);                                     \
        if (changes(flags) && fails("open", path)) return -1;                        \
        return real(path, flags, mode);                                              \
    }
OPEN(open)
OPEN(open64)

#define WITH_DESCRIPTOR(result, name, label, parameters, arguments, ...)             \
    result name parameters {                                                         \
        REAL(result, name, __VA_ARGS__);                                             \
        if (descriptor_fails(label, descriptor)) return -1;                          \
        return real arguments;                                                       \
    }
WITH_DESCRIPTOR(ssize_t, write, "write", (int descriptor, const void *bytes, size_t count), (descriptor, bytes, count), int, const void *, size_t)
WITH_DESCRIPTOR(ssize_t, pwrite, "write", (int descriptor, const void *bytes, size_t count, off_t at), (descriptor, bytes, count, at), int, const void *, size_t, off_t)
WITH_DESCRIPTOR(ssize_t, pwrite64, "write", (int descriptor, const void *bytes, size_t count, off64_t at), (descriptor, bytes, count, at), int, const void *, size_t, off64_t)
WITH_DESCRIPTOR(int, fsync, "fsync", (int descriptor), (descriptor), int)
WITH_DESCRIPTOR(int, fdatasync, "fsync", (int descriptor), (descriptor), int)
WITH_DESCRIPTOR(int, ftruncate, "ftruncate", (int descriptor, off_t size), (descriptor, size), int, off_t)
WITH_DESCRIPTOR(int, ftruncate64, "ftruncate", (int descriptor, off64_t size), (descriptor, size), int, off64_t)

#define WITH_PATH(result, name, label, parameters, arguments, path, ...)             \
    result name parameters {                                                         \
        REAL(result, name, __VA_ARGS__);                                             \
        if (fails(label, path)) return -1;                                           \
        return real arguments;                                                       \
    }
WITH_PATH(int, mkdir, "mkdir", (const char *path, mode_t mode), (path, mode), path, const char *, mode_t)
WITH_PATH(int, rename, "rename", (const char *from, const char *to), (from, to), to, const char *, const char *)
WITH_PATH(int, renameat2, "exchange", (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags), to, int, const char *, int, const char *, unsigned)
WITH_PATH(int, symlink, "symlink", (const char *to, const char *path), (to, path), path, const char *, const char *)
WITH_PATH(int, statvfs, "statvfs", (const char *path, struct statvfs *status), (path, status), path, const char *, struct statvfs *)
WITH_PATH(int, statvfs64, "statvfs", (const char *path, struct statvfs64 *status), (path, status), path, const char *, struct statvfs64 *)
