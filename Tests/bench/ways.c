// One way in which the kernel can move a file's bytes, and nothing else:
//   ways WAY THREADS BYTES FILE
// Each thread takes the next 256 KiB, or 1 MiB, until all is done. What is written comes from one buffer that stays in the
// processor's cache, and what is read goes there. The file that is written is on its disk at the end,
// where it has one. Exit status 2 where the file system refuses the way.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { small = 256 << 10, large = 1 << 20, page = 4096, most_threads = 8, refused = 2 };

typedef struct {
  const char *name;
  int reads, large, direct, allocated, mapped, spliced, started;
} way;

static const way ways[] = {
    {.name = "write"},
    {.name = "write-large", .large = 1},
    {.name = "started", .started = 1},
    {.name = "allocated", .allocated = 1},
    {.name = "mapped", .mapped = 1},
    {.name = "spliced", .spliced = 1},
    {.name = "direct", .direct = 1},
    {.name = "direct-allocated", .direct = 1, .allocated = 1},
    {.name = "read", .reads = 1},
    {.name = "read-mapped", .reads = 1, .mapped = 1},
    {.name = "read-direct", .reads = 1, .direct = 1},
};

static const way *chosen;
static int file;
static off_t size;
static ssize_t piece = small;
static char *whole;
static _Atomic off_t next_piece;

static void fail(const char *what) {
  const int error = errno;
  perror(what);
  exit(error == EINVAL || error == EOPNOTSUPP ? refused : 1);
}

static void splice_piece(const char *bytes, off_t at, int pipes[2]) {
  for (size_t done = 0; done < (size_t)piece;) {
    struct iovec rest = {.iov_base = (char *)bytes + done, .iov_len = (size_t)piece - done};
    const ssize_t given = vmsplice(pipes[1], &rest, 1, 0);
    if (given <= 0) fail("vmsplice");
    for (ssize_t left = given; left > 0;) {
      const ssize_t taken = splice(pipes[0], NULL, file, &at, (size_t)left, SPLICE_F_MOVE);
      if (taken <= 0) fail("splice");
      left -= taken;
    }
    done += (size_t)given;
  }
}

static void move_piece(char *bytes, off_t at, int pipes[2]) {
  if (chosen->mapped) {
    if (!chosen->reads) memcpy(whole + at, bytes, (size_t)piece);
    else memcpy(bytes, whole + at, (size_t)piece);
  } else if (chosen->spliced) {
    splice_piece(bytes, at, pipes);
  } else {
    const ssize_t done = chosen->reads ? pread(file, bytes, (size_t)piece, at)
                                       : pwrite(file, bytes, (size_t)piece, at);
    if (done < 0) fail(chosen->name);
    if (done != piece) {
      fprintf(stderr, "%s: moved %zd bytes of %zd\n", chosen->name, done, piece);
      exit(1);
    }
    if (chosen->started && at % (8 << 20) == 0 &&
        sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE)) {
      fail("sync_file_range");
    }
  }
}

static void *run(void *unused) {
  (void)unused;
  int pipes[2] = {-1, -1};
  char *bytes = aligned_alloc(page, (size_t)piece);
  if (!bytes) fail("memory");
  // Pages that nothing wrote are all the zero page.
  for (int at = 0; at < piece; at++) bytes[at] = (char)(at * 7);
  if (chosen->spliced && (pipe(pipes) || fcntl(pipes[1], F_SETPIPE_SZ, (int)piece) < 0)) fail("pipe");
  for (off_t at; (at = atomic_fetch_add(&next_piece, piece)) < size;) move_piece(bytes, at, pipes);
  return NULL;
}

int main(int count, char **words) {
  if (count != 5) return 1;
  for (size_t at = 0; at < sizeof ways / sizeof *ways; at++) {
    if (strcmp(ways[at].name, words[1]) == 0) chosen = &ways[at];
  }
  const int threads = atoi(words[2]);
  size = atoll(words[3]);
  if (!chosen || threads < 1 || threads > most_threads || size % large) return 1;
  if (chosen->large) piece = large;
  file = open(words[4], (chosen->reads ? O_RDONLY : O_RDWR | O_CREAT | O_TRUNC) |
                            (chosen->direct ? O_DIRECT : 0), 0600);
  if (file < 0) fail("open");
  if (chosen->allocated && fallocate(file, 0, 0, size)) fail("fallocate");
  if (chosen->mapped) {
    if (!chosen->reads && ftruncate(file, size)) fail("ftruncate");
    whole = mmap(NULL, (size_t)size, chosen->reads ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED,
                 file, 0);
    if (whole == MAP_FAILED) fail("mmap");
  }
  pthread_t others[most_threads];
  for (int at = 1; at < threads; at++) {
    errno = pthread_create(&others[at], NULL, run, NULL);
    if (errno) fail("thread");
  }
  run(NULL);
  for (int at = 1; at < threads; at++) pthread_join(others[at], NULL);
  if (!chosen->reads && fsync(file)) fail("fsync");
  return 0;
}
