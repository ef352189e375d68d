#include "sha256_lanes.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

// AVX2 for its three-operand forms: without them the hash values do not stay in registers, and their way
// through memory costs as much as hashing in turn wins.
#define TARGET __attribute__((target("sha,avx2")))
#define INLINE static inline __attribute__((always_inline)) TARGET
#define UNROLL _Pragma("clang loop unroll(full)")

enum { lanes = sha256_lanes_count, block_size = 64, digest_size = 32, length_size = 8 };

// FIPS 180-4, section 4.2.2.
static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

// The hash value in the order that the SHA instructions want: words A B E F and C D G H, highest first.
typedef struct {
  __m128i abef, cdgh;
} state;

// FIPS 180-4, section 5.3.3.
INLINE state initial_state(void) {
  const state value = {
    _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c),
    _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19),
  };
  return value;
}

// Swaps the bytes of each 32-bit word.
INLINE __m128i swapped(__m128i words) {
  return _mm_shuffle_epi8(words, _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
}

// The next four words of the message schedule, from the sixteen before them.
INLINE __m128i schedule(__m128i w0, __m128i w1, __m128i w2, __m128i w3) {
  const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
  return _mm_sha256msg2_epu32(sum, w3);
}

INLINE void four_rounds(state *value, __m128i words) {
  value->cdgh = _mm_sha256rnds2_epu32(value->cdgh, value->abef, words);
  value->abef = _mm_sha256rnds2_epu32(value->abef, value->cdgh, _mm_shuffle_epi32(words, 0x0e));
}

// Hashes one block of each message.
INLINE void take_block(state values[lanes], const uint8_t *const blocks[lanes]) {
  state now[lanes];
  __m128i words[lanes][4];
  UNROLL for (int lane = 0; lane < lanes; lane++) now[lane] = values[lane];
  UNROLL for (int group = 0; group < 16; group++) {
    const int w0 = group & 3, w1 = (group + 1) & 3, w2 = (group + 2) & 3, w3 = (group + 3) & 3;
    const __m128i constants = _mm_load_si128((const __m128i *)(round_constants + 4 * group));
    UNROLL for (int lane = 0; lane < lanes; lane++) {
      __m128i *const w = words[lane];
      w[w0] = group < 4 ? swapped(_mm_loadu_si128((const __m128i *)(blocks[lane] + 16 * group)))
                        : schedule(w[w0], w[w1], w[w2], w[w3]);
      four_rounds(&now[lane], _mm_add_epi32(w[w0], constants));
    }
  }
  UNROLL for (int lane = 0; lane < lanes; lane++) {
    values[lane].abef = _mm_add_epi32(values[lane].abef, now[lane].abef);
    values[lane].cdgh = _mm_add_epi32(values[lane].cdgh, now[lane].cdgh);
  }
}

INLINE void store_digest(state value, uint8_t *digest) {
  const __m128i feba = _mm_shuffle_epi32(value.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(value.cdgh, 0xb1);
  _mm_storeu_si128((__m128i *)digest, swapped(_mm_blend_epi16(feba, dchg, 0xf0)));
  _mm_storeu_si128((__m128i *)(digest + 16), swapped(_mm_alignr_epi8(dchg, feba, 8)));
}

// Ends a message whose last `left` bytes are at `tail`: the bit 1, zeros, and the length in bits (FIPS 180-4,
// section 5.1.1). Returns the bytes of the last one or two blocks.
static size_t pad(uint8_t tail[2 * block_size], size_t left, uint64_t length) {
  const size_t size = left + 1 + length_size <= block_size ? block_size : 2 * block_size;
  memset(tail + left, 0, size - left);
  tail[left] = 0x80;
  for (int index = 0; index < length_size; index++) {
    tail[size - 1 - index] = (uint8_t)(length * 8 >> 8 * index);
  }
  return size;
}

TARGET void sha256_lanes(
  const uint8_t *prefix, size_t prefix_count, const uint8_t *first, const uint8_t *second,
  const uint8_t *third, size_t count, uint8_t *digests
) {
  const uint8_t *next[lanes] = {first, second, third};
  const uint64_t length = (uint64_t)prefix_count + count;
  uint8_t tails[lanes][2 * block_size];
  const uint8_t *blocks[lanes];
  state values[lanes];
  for (int lane = 0; lane < lanes; lane++) values[lane] = initial_state();
  // The first block begins with the prefix.
  size_t filled = prefix_count;
  if (filled > 0) {
    const size_t room = block_size - filled, taken = count < room ? count : room;
    for (int lane = 0; lane < lanes; lane++) {
      memcpy(tails[lane], prefix, filled);
      if (taken > 0) memcpy(tails[lane] + filled, next[lane], taken);
      next[lane] += taken;
      blocks[lane] = tails[lane];
    }
    filled += taken;
    count -= taken;
    if (filled == block_size) {
      take_block(values, blocks);
      filled = 0;
    }
  }
  for (; count >= block_size; count -= block_size) {
    take_block(values, next);
    for (int lane = 0; lane < lanes; lane++) next[lane] += block_size;
  }
  size_t size = 0;
  for (int lane = 0; lane < lanes; lane++) {
    if (count > 0) memcpy(tails[lane] + filled, next[lane], count);
    size = pad(tails[lane], filled + count, length);
  }
  for (size_t offset = 0; offset < size; offset += block_size) {
    for (int lane = 0; lane < lanes; lane++) blocks[lane] = tails[lane] + offset;
    take_block(values, blocks);
  }
  for (int lane = 0; lane < lanes; lane++) store_digest(values[lane], digests + lane * digest_size);
}

bool sha256_lanes_available(void) {
  unsigned int eax, ebx, ecx, edx;
  // Asks the operating system too, as CPUID alone does not.
  if (!__builtin_cpu_supports("avx2")) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx >> 29 & 1);
}

#else

bool sha256_lanes_available(void) { return false; }

void sha256_lanes(
  const uint8_t *prefix, size_t prefix_count, const uint8_t *first, const uint8_t *second,
  const uint8_t *third, size_t count, uint8_t *digests
) {
  __builtin_trap();
}

#endif
