/* Every kernel, compiled once for each level. */
#include "fused_sizes.h"
#include "vector.h"

#include "bfloat.h"
#include "gemm.h"

#include "conv2d.h"
#include "elementwise.h"
#include "normalize.h"
#include "reduce.h"
#include "layout.h"
#include "matmul.h"
#include "pool.h"
#include "loss.h"
#include "random.h"
#include "optimizer.h"
#include "channels.h"
#include "fused_conv.h"
#include "fused_chain.h"
#include "fused_sum.h"

#define ENTRY(NAME) .NAME = NAME,
#define TABLE {MARTLET_KERNELS(ENTRY)}
