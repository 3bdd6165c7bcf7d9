/* Kernels for what every machine of the architecture has: SSE2 or NEON. */
#include "kernel_table.h"

#define MARTLET_LEVEL 0
#include "impl/all.h"

const KernelTable martlet_table_baseline = TABLE;
