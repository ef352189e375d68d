// Calls that glibc exports but declares only under _GNU_SOURCE, which Swift's importer of
// glibc does not define.

// See rename(2).
int renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath,
              unsigned int flags);

// See sched_getaffinity(2); mask is a cpu_set_t of `size` bytes.
int sched_getaffinity(int pid, unsigned long size, void *mask);

// See statx(2); result is a struct statx of 256 bytes.
int statx(int dirfd, const char *path, int flags, unsigned int mask, void *result);

// See fallocate(2).
int fallocate(int fd, int mode, long offset, long length);

// See sync_file_range(2).
int sync_file_range(int fd, long offset, long length, unsigned int flags);

// See posix_spawn_file_actions_addchdir_np(3); actions is a posix_spawn_file_actions_t.
int posix_spawn_file_actions_addchdir_np(void *actions, const char *path);

// See prctl(2), which takes variable arguments: Swift cannot call it.
#include <sys/prctl.h>
static inline int forbid_core_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

// See mallopt(3). Freed pieces of `size` bytes and more go back to the system at once.
#include <malloc.h>
static inline int return_freed_memory(int size) {
  return mallopt(M_MMAP_THRESHOLD, size) && mallopt(M_TRIM_THRESHOLD, size);
}

// Makes a child that goes on, and lets the caller wait for it and end as it ends. Returns 0 in the
// child, and -1 with errno where there can be none. To be called before the process has threads:
// Swift cannot call fork.
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static inline int go_on_in_child(void) {
  int status;
  pid_t child = fork();
  if (child <= 0) return child;
  close(0);
  close(1);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (WIFSIGNALED(status)) {
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 70);
}
