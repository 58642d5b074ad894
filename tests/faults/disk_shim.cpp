// Stands between a process and the C library's file calls (LD_PRELOAD): writes down, in order, everything that changes
// the files under one folder, and lets single calls fail on command. It decides nothing about what a power cut leaves;
// that is disk_model.py. Linux only.
//
//   DISK_SHIM_ROOT    the folder; calls on anything else pass untouched
//   DISK_SHIM_LOG     where the record goes (absent: nothing is recorded; disk_shim_begin sets both anew)
//   DISK_SHIM_FAULTS  a file of rules, read again at every call: "<call> <part of the path> <errno> <matches to let pass>",
//                     calls: write sync open truncate rename unlink read (absent or empty file: nothing fails)

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <map>
#include <string>
#include <utility>

namespace {

using Inode = std::pair<dev_t, ino_t>;

struct State {
    std::string root, faults;
    int log = -1;
    int32_t next_file = 1;
    std::map<int, std::pair<int32_t, std::string>> open_files;  // descriptor -> file, path
    std::map<Inode, int32_t> files;
    std::string rules;
    std::map<std::string, long> passed;  // rule -> matches so far
};

pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

State &state() {
    static State *made = [] {
        auto *fresh = new State;
        const char *root = getenv("DISK_SHIM_ROOT");
        const char *log = getenv("DISK_SHIM_LOG");
        const char *faults = getenv("DISK_SHIM_FAULTS");
        if (root != nullptr) fresh->root = root;
        if (faults != nullptr) fresh->faults = faults;
        if (log != nullptr)
            fresh->log = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        return fresh;
    }();
    return *made;
}

struct Guard {
    Guard() { pthread_mutex_lock(&mutex); }
    ~Guard() { pthread_mutex_unlock(&mutex); }
};

template <typename Function> Function real(const char *name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

std::string absolute(int folder, const char *path) {
    if (path[0] == '/') return path;
    char base[4096];
    if (folder == AT_FDCWD) {
        if (syscall(SYS_getcwd, base, sizeof base) <= 0) return path;
        return std::string(base) + "/" + path;
    }
    std::string link = "/proc/self/fd/" + std::to_string(folder);
    ssize_t length = readlink(link.c_str(), base, sizeof base - 1);
    if (length <= 0) return path;
    return std::string(base, (size_t)length) + "/" + path;
}

bool ours(const std::string &path) {
    const std::string &root = state().root;
    return !root.empty() && path.compare(0, root.size(), root) == 0 &&
           (path.size() == root.size() || path[root.size()] == '/');
}

void put(const void *data, size_t length) {
    const char *rest = static_cast<const char *>(data);
    while (length > 0) {
        ssize_t done = syscall(SYS_write, state().log, rest, length);
        if (done <= 0) abort();  // a record with holes would prove nothing
        rest += done;
        length -= (size_t)done;
    }
}

// kind, file, offset, length of the text, length of the data, then both. Data of zeros alone is not stored: kind 'z'.
void record(char kind, int32_t file, int64_t offset, const std::string &text, const void *data, int64_t length) {
    if (state().log < 0) return;
    struct __attribute__((packed)) {
        char kind;
        int32_t file;
        int64_t offset;
        int32_t text;
        int64_t length;
    } head{kind, file, offset, (int32_t)text.size(), length};
    const char *bytes = static_cast<const char *>(data);
    bool zeros = kind == 'w' && length >= 512 && bytes[0] == 0 && memcmp(bytes, bytes + 1, (size_t)length - 1) == 0;
    if (zeros) head.kind = 'z';
    put(&head, sizeof head);
    put(text.data(), text.size());
    if (kind == 'w' && !zeros) put(data, (size_t)length);
}

// The errno that a call on this path has to fail with; 0: it goes through.
int fault(const char *call, const std::string &path) {
    State &now = state();
    if (now.faults.empty()) return 0;
    int file = (int)syscall(SYS_openat, AT_FDCWD, now.faults.c_str(), O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) return 0;
    char text[2048];
    ssize_t length = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    if (length <= 0) return 0;
    text[length] = 0;
    if (now.rules != text) {
        now.rules = text;
        now.passed.clear();
    }
    char *rest = nullptr;
    for (char *line = strtok_r(text, "\n", &rest); line != nullptr; line = strtok_r(nullptr, "\n", &rest)) {
        char wanted[32], part[512];
        int error = 0;
        long skip = 0;
        if (sscanf(line, "%31s %511s %d %ld", wanted, part, &error, &skip) < 3) continue;
        if (strcmp(wanted, call) != 0 || path.find(part) == std::string::npos) continue;
        if (now.passed[line]++ >= skip) return error;
    }
    return 0;
}

bool refused(const char *call, const std::string &path) {
    int error = fault(call, path);
    if (error == 0) return false;
    errno = error;
    return true;
}

int opened(int descriptor, const std::string &path, bool existed, int flags) {
    if (descriptor < 0) return descriptor;
    struct stat found;
    if (fstat(descriptor, &found) != 0 || !(S_ISREG(found.st_mode) || S_ISDIR(found.st_mode))) return descriptor;
    State &now = state();
    Inode inode{found.st_dev, found.st_ino};
    if (S_ISDIR(found.st_mode)) {
        now.open_files[descriptor] = {0, path};
        return descriptor;
    }
    bool known = existed && now.files.count(inode) != 0;
    if (!known) {
        now.files[inode] = now.next_file++;
        record(existed ? 'o' : 'c', now.files[inode], 0, path, nullptr, 0);
    }
    int32_t file = now.files[inode];
    now.open_files[descriptor] = {file, path};
    if (existed && (flags & O_TRUNC) != 0) record('t', file, 0, path, nullptr, 0);
    return descriptor;
}

template <typename Call> int open_with(int folder, const char *given, int flags, Call call) {
    std::string path = absolute(folder, given);
    if (!ours(path)) return call();
    Guard guard;
    if (refused("open", path)) return -1;
    struct stat found;
    bool existed = stat(path.c_str(), &found) == 0;
    return opened(call(), path, existed, flags);
}

mode_t mode_of(int flags, va_list rest) { return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0; }

const std::pair<int32_t, std::string> *file_of(int descriptor) {
    if (state().root.empty()) return nullptr;
    auto found = state().open_files.find(descriptor);
    return found == state().open_files.end() ? nullptr : &found->second;
}

template <typename Call> ssize_t written(int descriptor, const void *data, off64_t offset, Call call) {
    Guard guard;
    auto *file = file_of(descriptor);
    if (file == nullptr || file->first == 0) return call();
    if (refused("write", file->second)) return -1;
    if (offset < 0) {
        offset = (fcntl(descriptor, F_GETFL) & O_APPEND) != 0 ? lseek(descriptor, 0, SEEK_END)
                                                              : lseek(descriptor, 0, SEEK_CUR);
    }
    ssize_t done = call();
    if (done > 0) record('w', file->first, offset, "", data, done);
    return done;
}

template <typename Call> int synced(int descriptor, Call call) {
    Guard guard;
    auto *file = file_of(descriptor);
    if (file == nullptr) return call();
    if (refused("sync", file->second)) return -1;
    int done = call();
    if (done == 0) record(file->first == 0 ? 'd' : 's', file->first, 0, file->second, nullptr, 0);
    return done;
}

template <typename Call> int truncated(int descriptor, off64_t length, Call call) {
    Guard guard;
    auto *file = file_of(descriptor);
    if (file == nullptr) return call();
    if (refused("truncate", file->second)) return -1;
    int done = call();
    if (done == 0) record('t', file->first, length, file->second, nullptr, 0);
    return done;
}

template <typename Call> int moved(const std::string &from, const std::string &to, Call call) {
    if (!ours(from) && !ours(to)) return call();
    Guard guard;
    if (refused("rename", to)) return -1;
    int done = call();
    if (done == 0) record('r', 0, 0, from + '\n' + to, nullptr, 0);
    return done;
}

template <typename Call> int removed(const std::string &path, Call call) {
    if (!ours(path)) return call();
    Guard guard;
    if (refused("unlink", path)) return -1;
    struct stat found;
    bool there = lstat(path.c_str(), &found) == 0;
    int done = call();
    if (done == 0) {
        record('u', 0, 0, path, nullptr, 0);
        if (there) state().files.erase(Inode{found.st_dev, found.st_ino});  // the number may be given to another file
    }
    return done;
}

}  // namespace

extern "C" {

// What the process itself says about this moment of the record: an acknowledgement, a phase.
void disk_shim_mark(const char *text) {
    Guard guard;
    record('m', 0, 0, text, nullptr, 0);
}

// From here on another folder is written down, in another file.
void disk_shim_begin(const char *root, const char *log) {
    Guard guard;
    State &now = state();
    if (now.log >= 0) syscall(SYS_close, now.log);
    now.root = root;
    now.log = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (now.log < 0) abort();
    now.next_file = 1;
    now.open_files.clear();
    now.files.clear();
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    static auto next = real<int (*)(const char *, int, ...)>("open");
    return open_with(AT_FDCWD, path, flags, [&] { return next(path, flags, mode); });
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    static auto next = real<int (*)(const char *, int, ...)>("open64");
    return open_with(AT_FDCWD, path, flags, [&] { return next(path, flags, mode); });
}

int openat64(int folder, const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    static auto next = real<int (*)(int, const char *, int, ...)>("openat64");
    return open_with(folder, path, flags, [&] { return next(folder, path, flags, mode); });
}

int close(int descriptor) {
    static auto next = real<int (*)(int)>("close");
    Guard guard;
    if (!state().root.empty()) state().open_files.erase(descriptor);
    return next(descriptor);
}

ssize_t write(int descriptor, const void *data, size_t length) {
    static auto next = real<ssize_t (*)(int, const void *, size_t)>("write");
    return written(descriptor, data, -1, [&] { return next(descriptor, data, length); });
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    static auto next = real<ssize_t (*)(int, const void *, size_t, off_t)>("pwrite");
    return written(descriptor, data, offset, [&] { return next(descriptor, data, length, offset); });
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    static auto next = real<ssize_t (*)(int, const void *, size_t, off64_t)>("pwrite64");
    return written(descriptor, data, offset, [&] { return next(descriptor, data, length, offset); });
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    static auto next = real<ssize_t (*)(int, const struct iovec *, int)>("writev");
    if (file_of(descriptor) != nullptr) abort();  // nobody here writes so; should that change, it must be recorded
    return next(descriptor, parts, count);
}

ssize_t pread64(int descriptor, void *data, size_t length, off64_t offset) {
    static auto next = real<ssize_t (*)(int, void *, size_t, off64_t)>("pread64");
    {
        Guard guard;
        auto *file = file_of(descriptor);
        if (file != nullptr && refused("read", file->second)) return -1;
    }
    return next(descriptor, data, length, offset);
}

int fsync(int descriptor) {
    static auto next = real<int (*)(int)>("fsync");
    return synced(descriptor, [&] { return next(descriptor); });
}

int fdatasync(int descriptor) {
    static auto next = real<int (*)(int)>("fdatasync");
    return synced(descriptor, [&] { return next(descriptor); });
}

int ftruncate(int descriptor, off_t length) noexcept {
    static auto next = real<int (*)(int, off_t)>("ftruncate");
    return truncated(descriptor, length, [&] { return next(descriptor, length); });
}

int ftruncate64(int descriptor, off64_t length) noexcept {
    static auto next = real<int (*)(int, off64_t)>("ftruncate64");
    return truncated(descriptor, length, [&] { return next(descriptor, length); });
}

int rename(const char *from, const char *to) noexcept {
    static auto next = real<int (*)(const char *, const char *)>("rename");
    return moved(absolute(AT_FDCWD, from), absolute(AT_FDCWD, to), [&] { return next(from, to); });
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) noexcept {
    static auto next = real<int (*)(int, const char *, int, const char *)>("renameat");
    return moved(absolute(from_folder, from), absolute(to_folder, to),
                 [&] { return next(from_folder, from, to_folder, to); });
}

int unlink(const char *path) noexcept {
    static auto next = real<int (*)(const char *)>("unlink");
    return removed(absolute(AT_FDCWD, path), [&] { return next(path); });
}

int unlinkat(int folder, const char *path, int flags) noexcept {
    static auto next = real<int (*)(int, const char *, int)>("unlinkat");
    return removed(absolute(folder, path), [&] { return next(folder, path, flags); });
}

int mkdir(const char *path, mode_t mode) noexcept {
    static auto next = real<int (*)(const char *, mode_t)>("mkdir");
    std::string whole = absolute(AT_FDCWD, path);
    Guard guard;
    int done = next(path, mode);
    if (done == 0 && ours(whole)) record('k', 0, 0, whole, nullptr, 0);
    return done;
}

}  // extern "C"
