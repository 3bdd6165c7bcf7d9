/* What the level files and the dispatcher share. */
#ifndef KERNEL_TABLE_H
#define KERNEL_TABLE_H

#include "martlet_kernels.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MARTLET_WIDE 4096
#define MARTLET_WIDE_OF(C) ((C) > MARTLET_WIDE ? (C) : MARTLET_WIDE)
#define MARTLET_NORM_ROWS 4 /* rows of per-channel constants a part keeps */

#define MARTLET_FIELD(NAME) MartletKernel NAME;
typedef struct KernelTable {
    MARTLET_KERNELS(MARTLET_FIELD)
} KernelTable;

extern const KernelTable martlet_table_baseline;
#if defined(__x86_64__)
extern const KernelTable martlet_table_avx2, martlet_table_avx512, martlet_table_avx512_bf16;
#endif

#endif
