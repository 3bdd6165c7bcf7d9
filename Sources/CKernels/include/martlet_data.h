/* Loops over the pixels of a data set: they run on every step, so they are C even when Swift is not optimised. */
#ifndef MARTLET_DATA_H
#define MARTLET_DATA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How one image of a batch is taken from the data set. */
typedef struct MartletImagePlan {
    int64_t index;        /* image of the data set */
    int32_t top, left;    /* source pixel of the output's first pixel; outside the image is black */
    int32_t flip;         /* mirror left and right, after cropping */
    int32_t cut_top, cut_bottom, cut_left, cut_right; /* half-open rectangle of the output set to 0 (the mean) */
} MartletImagePlan;

/* Writes n images of oh x ow pixels from pixels [.., h, w, c]; table[c][256] turns bytes into normalised floats.
 * out is [n, oh, ow, c] when channels_last, else [n, c, oh, ow]. */
void martlet_data_batch(const uint8_t *pixels, int64_t h, int64_t w, int64_t c, const MartletImagePlan *plans,
                        int64_t n, const float *table, int64_t oh, int64_t ow, int32_t channels_last, float *out);

/* out[i] = weight * in[i] + (1 - weight) * in[partner[i]], rows of `count` floats. */
void martlet_data_mix(const float *in, const int32_t *partner, int64_t n, int64_t count, float weight, float *out);

/* Records of `header` bytes followed by c planes of `plane` bytes become [n, plane, c]. */
void martlet_data_interleave(const uint8_t *records, int64_t n, int64_t header, int64_t c, int64_t plane,
                             uint8_t *out);

/* Adds the bytes of [count, c] to histogram[c][256]. */
void martlet_data_histogram(const uint8_t *pixels, int64_t count, int64_t c, int64_t *histogram);

/* Resizes n images [h, w, c] to [oh, ow, c]: along an axis that shrinks the mean of the covered pixels, along one
 * that grows linear interpolation between pixel centres. row is a buffer of ow * c floats. */
void martlet_data_resize(const uint8_t *in, int64_t n, int64_t h, int64_t w, int64_t c, int64_t oh, int64_t ow,
                         float *row, uint8_t *out);

/* Puts n images [h, w, c] in the middle of black ones [oh, ow, c], cropping what sticks out. */
void martlet_data_frame(const uint8_t *in, int64_t n, int64_t h, int64_t w, int64_t c, int64_t oh, int64_t ow,
                        uint8_t *out);

/* Counts rows of [n, classes] whose largest entry (the first of equals) is the label; negative labels are skipped. */
int64_t martlet_data_correct(const float *scores, const int32_t *labels, int64_t n, int64_t classes);

#ifdef __cplusplus
}
#endif
#endif
