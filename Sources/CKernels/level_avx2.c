/* Kernels for x86-64 with AVX2 and FMA. System headers stay outside the attribute. */
#include "kernel_table.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define MARTLET_LEVEL 1
#include "impl/all.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const KernelTable martlet_table_avx2 = TABLE;
#endif
