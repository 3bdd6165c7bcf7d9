/* Loops that prepare a data set once: layout, statistics, resizing. */
#include "martlet_data.h"

#include <string.h>

void martlet_data_interleave(const uint8_t *records, int64_t n, int64_t header, int64_t c, int64_t plane,
                             uint8_t *out) {
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *from = records + i * (header + c * plane) + header;
        uint8_t *to = out + i * c * plane;
        for (int64_t j = 0; j < plane; j++)
            for (int64_t k = 0; k < c; k++) to[j * c + k] = from[k * plane + j];
    }
}

void martlet_data_histogram(const uint8_t *pixels, int64_t count, int64_t c, int64_t *histogram) {
    for (int64_t j = 0; j < count; j++)
        for (int64_t k = 0; k < c; k++) histogram[k * 256 + pixels[j * c + k]]++;
}

/* The source interval or pair of pixels that output pixel o of `to` takes from `from` pixels. */
typedef struct Span {
    int64_t first, last; /* inclusive */
    double start, end;   /* covered interval when shrinking */
    double second;       /* weight of `last` when growing */
} Span;

static Span span(int64_t o, int64_t from, int64_t to) {
    Span s = {0, 0, 0, 0, 0};
    if (to <= from) {
        s.start = (double)o * (double)from / (double)to;
        s.end = (double)(o + 1) * (double)from / (double)to;
        s.first = (int64_t)s.start;
        s.last = (int64_t)s.end;
        if ((double)s.last >= s.end || s.last >= from) s.last--;
    } else {
        double centre = ((double)o + 0.5) * (double)from / (double)to - 0.5;
        if (centre < 0) centre = 0;
        s.first = (int64_t)centre;
        s.last = s.first + 1 < from ? s.first + 1 : s.first;
        s.second = centre - (double)s.first;
    }
    return s;
}

static double weight(const Span *s, int64_t i, int64_t from, int64_t to) {
    if (to > from) return s->first == s->last ? 1 : i == s->first ? 1 - s->second : s->second;
    double lower = (double)i > s->start ? (double)i : s->start;
    double upper = (double)(i + 1) < s->end ? (double)(i + 1) : s->end;
    return (upper - lower) / (s->end - s->start);
}

void martlet_data_resize(const uint8_t *in, int64_t n, int64_t h, int64_t w, int64_t c, int64_t oh, int64_t ow,
                         float *row, uint8_t *out) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t y = 0; y < oh; y++) {
            Span v = span(y, h, oh);
            for (int64_t j = 0; j < ow * c; j++) row[j] = 0;
            for (int64_t sy = v.first; sy <= v.last; sy++) {
                double wy = weight(&v, sy, h, oh);
                const uint8_t *line = in + (i * h + sy) * w * c;
                for (int64_t x = 0; x < ow; x++) {
                    Span u = span(x, w, ow);
                    for (int64_t sx = u.first; sx <= u.last; sx++) {
                        float share = (float)(wy * weight(&u, sx, w, ow));
                        for (int64_t k = 0; k < c; k++) row[x * c + k] += share * (float)line[sx * c + k];
                    }
                }
            }
            for (int64_t j = 0; j < ow * c; j++) out[(i * oh + y) * ow * c + j] = (uint8_t)(row[j] + 0.5f);
        }
}

void martlet_data_frame(const uint8_t *in, int64_t n, int64_t h, int64_t w, int64_t c, int64_t oh, int64_t ow,
                        uint8_t *out) {
    const int64_t top = (oh - h) / 2, left = (ow - w) / 2; /* negative where the image is cropped */
    const int64_t x0 = left > 0 ? left : 0, x1 = left + w < ow ? left + w : ow;
    memset(out, 0, (size_t)(n * oh * ow * c));
    for (int64_t i = 0; i < n; i++)
        for (int64_t y = top > 0 ? top : 0; y < oh && y - top < h; y++)
            memcpy(out + ((i * oh + y) * ow + x0) * c, in + ((i * h + y - top) * w + x0 - left) * c,
                   (size_t)((x1 - x0) * c));
}
