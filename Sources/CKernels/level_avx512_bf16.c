/* Kernels for x86-64 with the AVX-512 of servers with products of bf16 (F, BW, VL, DQ, BF16). System headers stay outside the attribute. */
#include "kernel_table.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")
#endif

#define MARTLET_LEVEL 3
#include "impl/all.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const KernelTable martlet_table_avx512_bf16 = TABLE;
#endif
