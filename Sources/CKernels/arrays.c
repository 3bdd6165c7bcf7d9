#include "martlet_arrays.h"

#include <math.h>
#include <string.h>

double martlet_sum_of_squares(const float *x, int64_t n) {
    /* Eight running sums vectorise without reassociating anything the compiler was not told to. */
    double s[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) s[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < n; i++) s[0] += (double)x[i] * (double)x[i];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

int64_t martlet_first_nonfinite(const float *x, int64_t n) {
    for (int64_t start = 0; start < n; start += 1024) {
        int64_t end = start + 1024 < n ? start + 1024 : n;
        uint32_t found = 0;
        for (int64_t i = start; i < end; i++) {
            uint32_t bits;
            memcpy(&bits, &x[i], sizeof bits);
            found |= (bits & 0x7f800000u) == 0x7f800000u;
        }
        if (found)
            for (int64_t i = start; i < end; i++)
                if (!isfinite(x[i])) return i;
    }
    return -1;
}
