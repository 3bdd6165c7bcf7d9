/* SHA-256 (FIPS 180-4). */
#ifndef MARTLET_DIGEST_H
#define MARTLET_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void martlet_sha256(const void *bytes, size_t count, uint8_t digest[32]);

#ifdef __cplusplus
}
#endif
#endif
