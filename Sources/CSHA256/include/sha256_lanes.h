#ifndef SHA256_LANES_H
#define SHA256_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Messages that are hashed at once.
enum { sha256_lanes_count = 3 };

// Whether this processor has what `sha256_lanes` is made of: the SHA extensions (CPUID leaf 7, EBX bit 29) and
// AVX2, and an operating system that keeps the AVX registers. False on other architectures.
bool sha256_lanes_available(void);

// SHA-256 (FIPS 180-4) of three messages of the same length, hashed in turn so that the instructions of one
// run while those of the others wait for their results.
//
// A message is `prefix_count` bytes at `prefix`, the same for all and less than 64, and `count` bytes of its own.
// `digests` receives 32 bytes for each message. To be called only where `sha256_lanes_available` is true.
void sha256_lanes(
  const uint8_t *prefix, size_t prefix_count, const uint8_t *first, const uint8_t *second,
  const uint8_t *third, size_t count, uint8_t *digests);

#endif
