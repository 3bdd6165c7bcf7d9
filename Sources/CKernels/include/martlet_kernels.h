/* The calling convention of every kernel of the executor, and the kernels themselves.
 *
 * A kernel is a pure function of one call record: no allocation, no globals, no I/O. The executor runs `phases`
 * (stated by the operator) one after another, with a barrier between two, and every phase `parts` times, once a
 * thread. A kernel splits its work by `part` alone, always in the same way for the same `parts`, and adds partial
 * sums in order of `part`, so that a run is reproducible bit for bit. */
#ifndef MARTLET_KERNELS_H
#define MARTLET_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MartletCall {
    const void *const *in; /* operands, 64-byte aligned, contiguous in the layout of their type */
    void *const *out;      /* results, likewise */
    const int64_t *p;      /* integers: dimensions and attributes, as the kernel's comment lists them */
    const double *f;       /* real attributes */
    void *scratch;         /* 64-byte aligned, shared by all parts and phases of one call, not cleared */
    int32_t phase;         /* 0 ..< phases */
    int32_t part, parts;   /* this thread's share: part of 0 ..< parts */
} MartletCall;

typedef void (*MartletKernel)(const MartletCall *);

#ifdef __cplusplus
}
#endif
#endif
