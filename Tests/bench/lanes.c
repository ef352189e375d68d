// Says how fast the engine that hashes the leaves of a seal is on one processor:
//   lanes SECONDS
// prints bytes per second; exit status 2 where the processor lacks what the engine is made of.

#include "sha256_lanes.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// A leaf is a chunk of the seal, after the byte that says it is one.
enum { leaf_size = 262144 };

static uint8_t leaves[sha256_lanes_count][leaf_size];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **words) {
  if (count != 2) return 1;
  if (!sha256_lanes_available()) return 2;
  const double seconds = atof(words[1]);
  const uint8_t prefix = 0;
  uint8_t digests[sha256_lanes_count * 32];
  // Pages that nothing wrote are all the zero page.
  for (int lane = 0; lane < sha256_lanes_count; lane++) {
    for (int at = 0; at < leaf_size; at++) leaves[lane][at] = (uint8_t)(at * 7 + lane);
  }
  const double start = now();
  double elapsed = 0, hashed = 0;
  do {
    sha256_lanes(&prefix, 1, leaves[0], leaves[1], leaves[2], leaf_size, digests);
    hashed += sizeof leaves;
    elapsed = now() - start;
  } while (elapsed < seconds);
  printf("%.0f\n", hashed / elapsed);
  return 0;
}
