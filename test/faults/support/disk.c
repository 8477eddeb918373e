// A disk with faults, put between a process and libc by LD_PRELOAD. It looks at files whose path contains BANYAN_DISK.
//
// BANYAN_DISK_SYNC_MS=20       fsync and fdatasync take that long
// BANYAN_DISK_SYNC_FAILS=3     the third of them fails with EIO
// BANYAN_DISK_FULL=<path>      while that file exists, what would make a file longer fails with ENOSPC
// BANYAN_DISK_KILL_AT=17       the process is killed in its 17th change of a file: a write is half done
// BANYAN_DISK_KILL_IN=<change> only such changes count: "sync events.db"
// BANYAN_DISK_KILLED=<path>    where it says what it was killed in
// BANYAN_DISK_TRACE=<path>     records every change and every sync, in their order
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *files, *full, *killed, *kill_in;
static long sync_ms, sync_fails, kill_at, changes, syncs;
static int trace = -1;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);

static long number(const char *name) {
  const char *value = getenv(name);
  return value ? atol(value) : 0;
}

__attribute__((constructor)) static void begin(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  files = getenv("BANYAN_DISK");
  full = getenv("BANYAN_DISK_FULL");
  killed = getenv("BANYAN_DISK_KILLED");
  kill_in = getenv("BANYAN_DISK_KILL_IN");
  sync_ms = number("BANYAN_DISK_SYNC_MS");
  sync_fails = number("BANYAN_DISK_SYNC_FAILS");
  kill_at = number("BANYAN_DISK_KILL_AT");
  const char *path = getenv("BANYAN_DISK_TRACE");
  if (path) trace = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

// The index of a WAL is only memory that processes share: it is made again after a crash.
static int is_file(const char *path) { return files && strstr(path, files) && !strstr(path, "-shm"); }

// The path of a file that is looked at, or NULL.
static const char *path_of(int fd, char *path, size_t size) {
  if (!files || fd <= 2 || fd == trace) return NULL;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  return is_file(path) ? path : NULL;
}

// One entry: what, a file, two numbers, and the bytes of a write.
static void record(const char *what, const char *path, long a, long b, const void *data, size_t size) {
  if (trace < 0) return;
  char head[4200];
  int length = snprintf(head, sizeof head, "%s %ld %ld %s\n", what, a, b, path);
  struct iovec parts[] = {{head, length}, {(void *)data, size}};
  if (writev(trace, parts, 2) != (ssize_t)(length + size)) abort();
}

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void die(const char *what, const char *path) {
  if (killed) {
    char text[4200];
    int length = snprintf(text, sizeof text, "%s %s\n", what, name_of(path));
    int file = open(killed, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (real_write(file, text, length) != length) abort();
  }
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Histories are written by us; the process is not killed in them.
static int is_time(const char *what, const char *path) {
  if (!kill_at || strstr(path, ".ndjson")) return 0;
  size_t length = strlen(what);
  if (kill_in && (strncmp(kill_in, what, length) || strcmp(kill_in + length + 1, name_of(path)))) return 0;
  return ++changes == kill_at;
}

static int no_space(int fd, off_t end) {
  struct stat stat;
  if (!full || access(full, F_OK) != 0) return 0;
  return fstat(fd, &stat) != 0 || end > stat.st_size;
}

static ssize_t change(int fd, const void *data, size_t size, off_t offset, int at_end) {
  char buffer[4096];
  const char *path = path_of(fd, buffer, sizeof buffer);
  if (!path) return at_end ? real_write(fd, data, size) : real_pwrite(fd, data, size, offset);
  if (at_end) {
    struct stat stat;
    int append = fcntl(fd, F_GETFL) & O_APPEND;
    offset = append && fstat(fd, &stat) == 0 ? stat.st_size : lseek(fd, 0, SEEK_CUR);
  }
  if (!strstr(path, ".ndjson") && no_space(fd, offset + size)) {
    errno = ENOSPC;
    return -1;
  }
  pthread_mutex_lock(&lock);
  if (is_time("write", path)) {
    real_pwrite(fd, data, size / 2, offset);
    die("write", path);
  }
  ssize_t done = at_end ? real_write(fd, data, size) : real_pwrite(fd, data, size, offset);
  int error = errno;
  if (done > 0) record("write", path, offset, done, data, done);
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t write(int fd, const void *data, size_t size) { return change(fd, data, size, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  return change(fd, data, size, offset, 0);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
  return change(fd, data, size, offset, 0);
}

int ftruncate(int fd, off_t size) {
  char buffer[4096];
  const char *path = path_of(fd, buffer, sizeof buffer);
  if (!path) return real_ftruncate(fd, size);
  pthread_mutex_lock(&lock);
  if (is_time("truncate", path)) die("truncate", path);
  int result = real_ftruncate(fd, size);
  int error = errno;
  if (result == 0) record("truncate", path, size, 0, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int synchronise(int fd, int (*real)(int)) {
  char buffer[4096];
  const char *path = path_of(fd, buffer, sizeof buffer);
  if (!path) return real(fd);
  pthread_mutex_lock(&lock);
  if (is_time("sync", path)) die("sync", path);
  long id = ++syncs;
  record("sync", path, id, 0, "", 0);
  pthread_mutex_unlock(&lock);
  if (sync_ms) {
    struct timespec time = {sync_ms / 1000, sync_ms % 1000 * 1000000};
    nanosleep(&time, NULL);
  }
  if (id == sync_fails) {
    pthread_mutex_lock(&lock);
    record("failed", path, id, 0, "", 0);
    pthread_mutex_unlock(&lock);
    errno = EIO;
    return -1;
  }
  int result = real(fd);
  int error = errno;
  pthread_mutex_lock(&lock);
  if (result == 0) record("synced", path, id, 0, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int fsync(int fd) { return synchronise(fd, real_fsync); }
int fdatasync(int fd) { return synchronise(fd, real_fdatasync); }

int unlink(const char *path) {
  if (!is_file(path)) return real_unlink(path);
  pthread_mutex_lock(&lock);
  if (is_time("unlink", path)) die("unlink", path);
  int result = real_unlink(path);
  int error = errno;
  if (result == 0) record("unlink", path, 0, 0, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
