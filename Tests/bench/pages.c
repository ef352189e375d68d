// Says how fast libgcrypt encrypts or decrypts pages on one processor, where it is the engine of the tools:
//   pages encrypt|decrypt SECONDS
// prints bytes per second; exit status 2 where the tools have libcrypto.

#include "libgcrypt.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { page_size = 4096, nonce_size = 12, tag_size = 16, key_size = 32 };

// Between two looks at the clock.
enum { pages_at_once = 64 };

static uint8_t pages[pages_at_once][page_size], sealed[pages_at_once][page_size];
static uint8_t tags[pages_at_once][tag_size];
static gcry_cipher_hd_t cipher;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// As the tools do it: a nonce and a tag for each page.
static int seal(int page) {
  const uint8_t nonce[nonce_size] = {(uint8_t)page};
  return gcry_cipher_setiv(cipher, nonce, nonce_size) ||
         gcry_cipher_encrypt(cipher, sealed[page], page_size, pages[page], page_size) ||
         gcry_cipher_gettag(cipher, tags[page], tag_size);
}

static int open(int page) {
  const uint8_t nonce[nonce_size] = {(uint8_t)page};
  return gcry_cipher_setiv(cipher, nonce, nonce_size) ||
         gcry_cipher_decrypt(cipher, pages[page], page_size, sealed[page], page_size) ||
         gcry_cipher_checktag(cipher, tags[page], tag_size);
}

int main(int count, char **words) {
  if (count != 3) return 1;
  if (!has_vaes_without_avx512()) return 2;
  const int decrypts = !strcmp(words[1], "decrypt");
  const double seconds = atof(words[2]);
  const uint8_t key[key_size] = {1};
  if (!libgcrypt_begin() || gcry_cipher_open(&cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM, 0) ||
      gcry_cipher_setkey(cipher, key, key_size))
    return 1;
  for (int page = 0; page < pages_at_once; page++) {
    // Pages that nothing wrote are all the zero page.
    memset(pages[page], page + 1, page_size);
    if (seal(page)) return 1;
  }
  const double start = now();
  double elapsed = 0, done = 0;
  do {
    for (int page = 0; page < pages_at_once; page++) {
      if (decrypts ? open(page) : seal(page)) return 1;
    }
    done += sizeof pages;
    elapsed = now() - start;
  } while (elapsed < seconds);
  printf("%.0f\n", done / elapsed);
  return 0;
}
