/* Preloaded under SQLite: writes down, in order, what a process does to the files of one directory.
 *
 * RECORD_DIR is the directory, RECORD_LOG the log (outside of it). A record is: kind (1 octet), length of the path (2),
 * offset (8), length of the data (4), path, data; little-endian. Kinds: W write, S sync, T truncate, U unlink, C create,
 * D sync of the directory. SYNC_DELAY_US, without a log, only makes every sync wait that long.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int out = -1;
static const char *dir;
static long delay_us;

__attribute__((constructor)) static void begin(void) {
  const char *log = getenv("RECORD_LOG"), *delay = getenv("SYNC_DELAY_US");
  dir = getenv("RECORD_DIR");
  delay_us = delay ? atol(delay) : 0;
  if (log && dir) out = REAL(open64)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int ours(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, PATH_MAX - 1);
  if (n < 0) return 0;
  path[n] = 0;
  size_t m = strlen(dir);
  return !strncmp(path, dir, m) && (path[m] == '/' || path[m] == 0) && !strstr(path, "-shm") && !strstr(path, ".lock");
}

static void note(char kind, const char *path, uint64_t offset, const void *data, uint32_t size) {
  uint16_t length = strlen(path);
  size_t total = 15 + length + (data ? size : 0);
  char *record = malloc(total);
  record[0] = kind;
  memcpy(record + 1, &length, 2);
  memcpy(record + 3, &offset, 8);
  memcpy(record + 11, &size, 4);
  memcpy(record + 15, path, length);
  if (data) memcpy(record + 15 + length, data, size);
  if (REAL(write)(out, record, total) != (ssize_t)total) abort();
  free(record);
}

#define RECORDED(fd, kind, offset, data, size, call) \
  char path[PATH_MAX]; \
  if (out < 0 || !ours(fd, path)) return call; \
  pthread_mutex_lock(&lock); \
  __auto_type result = call; \
  if (result >= 0) note(kind, path, offset, data, size); \
  pthread_mutex_unlock(&lock); \
  return result

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  RECORDED(fd, 'W', offset, data, result, REAL(pwrite64)(fd, data, size, offset));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  RECORDED(fd, 'W', offset, data, result, REAL(pwrite)(fd, data, size, offset));
}

ssize_t write(int fd, const void *data, size_t size) {
  RECORDED(fd, 'W', lseek(fd, 0, SEEK_CUR) - result, data, result, REAL(write)(fd, data, size));
}

int ftruncate64(int fd, off64_t size) {
  RECORDED(fd, 'T', size, NULL, 0, REAL(ftruncate64)(fd, size));
}

int ftruncate(int fd, off_t size) {
  RECORDED(fd, 'T', size, NULL, 0, REAL(ftruncate)(fd, size));
}

static int synced(int fd, int (*call)(int)) {
  if (delay_us) usleep(delay_us);
  char path[PATH_MAX];
  if (out < 0 || !ours(fd, path)) return call(fd);
  /* What is written while a sync runs may or may not be part of it: the log says that it is not. */
  pthread_mutex_lock(&lock);
  int result = call(fd);
  if (result == 0) note(strcmp(path, dir) ? 'S' : 'D', path, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

static int opened(int fd, int flags) {
  char path[PATH_MAX];
  struct stat found;
  if (fd >= 0 && out >= 0 && (flags & O_CREAT) && ours(fd, path) && fstat(fd, &found) == 0 && found.st_size == 0) {
    pthread_mutex_lock(&lock);
    note('C', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
  }
  return fd;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    mode_t mode = 0; \
    if (flags & O_CREAT) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); } \
    return opened(REAL(name)(path, flags, mode), flags); \
  }

OPEN(open)
OPEN(open64)

int unlink(const char *path) {
  size_t m = out >= 0 ? strlen(dir) : 0;
  int watched = out >= 0 && !strncmp(path, dir, m) && path[m] == '/' && !strstr(path, "-shm");
  if (!watched) return REAL(unlink)(path);
  pthread_mutex_lock(&lock);
  int result = REAL(unlink)(path);
  if (result == 0) note('U', path, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return result;
}
