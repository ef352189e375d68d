// The part of libgcrypt (1.10 or newer) that the Cryptography module wraps.
#include <gcrypt.h>
#include <stdbool.h>

// Initialises the library for this process, unless the program that it is part of has done so. Its functions
// for that take variable arguments, which Swift cannot call. Keys are not locked into memory: libcrypto locks
// none either.
static inline bool libgcrypt_begin(void) {
  if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) return true;
  if (!gcry_check_version("1.10.0")) return false;
  gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
  gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
  return true;
}

#if defined(__x86_64__)
#include <cpuid.h>

// Whether the processor encrypts AES on registers of 256 bits and no wider ones (CPUID leaf 7: ECX bit 9 VAES,
// EBX bit 16 AVX-512F).
static inline bool has_vaes_without_avx512(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  return (c & 1u << 9) && !(b & 1u << 16);
}
#else
static inline bool has_vaes_without_avx512(void) { return false; }
#endif
