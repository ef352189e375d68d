// PID 1 of the small Linux guest that Tests/peers/running.py moves while it runs. It prints once a
// second, as the boot sector of Fixtures/qemu does, in hexadecimal:
//
//   tick NUMBER CHAIN SUM
//
// CHAIN follows from the one before and from NUMBER; SUM is that of 1 MiB that nobody changes. In
// between it rewrites pages of a region, as many in a second as the last line that it read from its
// console says, and looks first whether each holds what it last wrote there: `BUG: page N` if not.
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { words = 4096 / 4, pages = 4096, fixed = 1 << 18, slices = 100 };

static uint32_t (*region)[words];
static uint32_t written[pages];
static uint32_t *constant;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

// What word `index` of a page holds after it was written for the `round`-th time.
static uint32_t content(uint32_t page, uint32_t round, uint32_t index) {
  return (page * 2654435761u ^ round * 2246822519u) + index * 3266489917u;
}

static void rewrite(uint32_t page) {
  uint32_t round = written[page];
  if (round > 0)
    for (uint32_t index = 0; index < words; index++)
      if (region[page][index] != content(page, round, index)) {
        printf("BUG: page %u word %u round %u\n", page, index, round);
        break;
      }
  written[page] = ++round;
  for (uint32_t index = 0; index < words; index++) region[page][index] = content(page, round, index);
}

static uint32_t sum(void) {
  uint32_t total = 0;
  for (uint32_t index = 0; index < fixed; index++) total += constant[index];
  return total;
}

// The rate that the last whole line of the console gives, or the one before.
static unsigned rate(unsigned before) {
  static char line[32];
  static size_t size;
  struct pollfd console = {0, POLLIN, 0};
  while (poll(&console, 1, 0) > 0) {
    char byte;
    if (read(0, &byte, 1) != 1) break;
    if (byte != '\n' && byte != '\r') {
      if (size + 1 < sizeof line) line[size++] = byte;
      continue;
    }
    line[size] = 0;
    if (size > 0) before = (unsigned)strtoul(line, NULL, 10);
    size = 0;
  }
  return before;
}

int main(void) {
  struct termios terminal;
  if (tcgetattr(0, &terminal) == 0) {
    terminal.c_lflag &= ~(ECHO | ICANON);
    tcsetattr(0, TCSANOW, &terminal);
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  int access = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS;
  region = mmap(NULL, sizeof *region * pages, access, kind, -1, 0);
  constant = mmap(NULL, sizeof *constant * fixed, access, kind, -1, 0);
  if (region == MAP_FAILED || constant == MAP_FAILED) {
    puts("BUG: no memory");
    pause();
  }
  uint32_t value = 0x20240101;
  for (uint32_t index = 0; index < fixed; index++) {
    if (index % 64 == 0) value = value * 1664525 + 1013904223;
    constant[index] = value;
  }
  uint32_t number = 0, chain = 0x51f15eed, page = 0;
  unsigned due = 0;
  uint64_t next = now();
  for (;;) {
    number++;
    chain = chain * 1664525 + 1013904223 + number;
    printf("tick %08x %08x %08x\n", number, chain, sum());
    next += 1000;
    for (unsigned slice = 0; slice < slices && now() < next; slice++) {
      due = rate(due);
      for (unsigned index = due * slice / slices; index < due * (slice + 1) / slices; index++) {
        rewrite(page);
        page = (page + 1) % pages;
      }
      int64_t left = (int64_t)(next - now()) / (slices - slice);
      if (left > 0) usleep((useconds_t)left * 1000);
    }
    int64_t left = (int64_t)(next - now());
    if (left > 0) usleep((useconds_t)left * 1000);
    if (left < -5000) next = now();
  }
}
