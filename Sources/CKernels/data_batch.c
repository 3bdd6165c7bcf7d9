/* Assembly of training batches: crop, flip, normalise, cut out, mix. Letters: H W C source, OH OW output. */
#include "martlet_data.h"

#include <string.h>

static inline __attribute__((always_inline)) void write_row(const uint8_t *row, int64_t w, int64_t c, int64_t left,
                                                            int64_t ow, int32_t flip, const float *table, float *out,
                                                            int64_t pixel_stride, int64_t channel_stride) {
    for (int64_t x = 0; x < ow; x++) {
        int64_t sx = left + (flip ? ow - 1 - x : x);
        int inside = row != NULL && sx >= 0 && sx < w;
        for (int64_t k = 0; k < c; k++)
            out[x * pixel_stride + k * channel_stride] = table[k * 256 + (inside ? row[sx * c + k] : 0)];
    }
}

void martlet_data_batch(const uint8_t *pixels, int64_t h, int64_t w, int64_t c, const MartletImagePlan *plans,
                        int64_t n, const float *table, int64_t oh, int64_t ow, int32_t channels_last, float *out) {
    const int64_t pixel = channels_last ? c : 1, channel = channels_last ? 1 : oh * ow;
    for (int64_t i = 0; i < n; i++) {
        const MartletImagePlan *p = &plans[i];
        const uint8_t *image = pixels + p->index * h * w * c;
        float *to = out + i * oh * ow * c;
        for (int64_t y = 0; y < oh; y++) {
            int64_t sy = p->top + y;
            const uint8_t *row = sy >= 0 && sy < h ? image + sy * w * c : NULL;
            float *line = to + y * ow * pixel;
            if (c == 1)
                write_row(row, w, 1, p->left, ow, p->flip, table, line, 1, 1);
            else if (c == 3)
                write_row(row, w, 3, p->left, ow, p->flip, table, line, pixel, channel);
            else
                write_row(row, w, c, p->left, ow, p->flip, table, line, pixel, channel);
        }
        for (int64_t y = p->cut_top; y < p->cut_bottom; y++)
            for (int64_t x = p->cut_left; x < p->cut_right; x++)
                for (int64_t k = 0; k < c; k++) to[(y * ow + x) * pixel + k * channel] = 0;
    }
}

void martlet_data_mix(const float *in, const int32_t *partner, int64_t n, int64_t count, float weight, float *out) {
    for (int64_t i = 0; i < n; i++) {
        const float *restrict a = in + i * count, *restrict b = in + partner[i] * count;
        float *restrict to = out + i * count;
        for (int64_t j = 0; j < count; j++) to[j] = weight * a[j] + (1 - weight) * b[j];
    }
}

int64_t martlet_data_correct(const float *scores, const int32_t *labels, int64_t n, int64_t classes) {
    int64_t correct = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *row = scores + i * classes;
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++)
            if (row[k] > row[best]) best = k;
        /* A row of NaN has no largest entry: it must not count as a hit of class 0. */
        correct += labels[i] >= 0 && best == labels[i] && row[best] == row[best];
    }
    return correct;
}
