/* Convolutions of few channels, and what lies between them: images (n, channels, height, width) of 32-bit floats.
 *
 * oneDNN's kernels want eight channels or more. Here the numbers that are worked on at once are neighbours in a row instead.
 * Rows lie one after another in a line, each with its padding before it, which is that of the row above behind; so do images.
 * A place of the kernel is then one offset, the same all along the line, and only what stands at the borders is computed in vain.
 * tests/test_convolutions.py holds each to PyTorch's.
 */
#include "loops.h"

#include <stdlib.h>
#include <string.h>

typedef float lanes __attribute__((vector_size(32), aligned(4)));
enum { LANES = 8, BEYOND = 128 }; /* numbers that may be read or written behind a line's end */
enum { WANTED = 800 };            /* numbers in a line, or as many as an image has */

typedef struct {
    int64_t n, side, padding, height, width, out_height, out_width;
    int64_t stride;   /* from row to row */
    int64_t rows;     /* from image to image */
    int64_t together; /* images in a line */
    int64_t area, out_area; /* from channel to channel */
} Lines;

INLINE Lines lines_of(int64_t n, int64_t height, int64_t width, int64_t side, int64_t padding) {
    Lines l = {.n = n, .side = side, .padding = padding, .height = height, .width = width};
    l.out_height = height + 2 * padding - side + 1;
    l.out_width = width + 2 * padding - side + 1;
    l.stride = width + padding;
    l.rows = height + padding;
    l.together = WANTED / (l.rows * l.stride);
    l.together = l.together < 1 ? 1 : l.together > n ? n : l.together;
    l.area = (l.together * l.rows + padding) * l.stride + side + BEYOND;
    l.out_area = l.together * l.rows * l.stride + BEYOND;
    return l;
}

/* Where the last place that counts of so many images ends. */
INLINE int64_t length_of(const Lines *l, int64_t images) {
    return (images * l->rows - (l->rows - l->out_height)) * l->stride;
}

/* Where a row of an image lies in the line of its channel. */
INLINE int64_t place_of(const Lines *l, int64_t image, int64_t y) { return (image * l->rows + y) * l->stride; }

/* From images to lines, each row at an offset. */
INLINE void spread(const float *restrict images, float *restrict line, int64_t n, int64_t channels, int64_t height, int64_t width, const Lines *l, int64_t area, int64_t offset) {
    for (int64_t row = 0; row < n * channels * height; row++) {
        int64_t image = row / (channels * height), channel = row / height % channels;
        memcpy(line + channel * area + place_of(l, image, row % height) + offset, images + row * width, width * sizeof *line);
    }
}

/* From a line of each output channel to images. */
INLINE void collect(const float *restrict line, float *restrict images, int64_t n, int64_t channels, const Lines *l) {
    for (int64_t row = 0; row < n * channels * l->out_height; row++) {
        int64_t image = row / (channels * l->out_height), channel = row / l->out_height % channels;
        memcpy(images + row * l->out_width, line + channel * l->out_area + place_of(l, image, row % l->out_height), l->out_width * sizeof *line);
    }
}

/* How many output channels are computed at once, of so many that are left. With them go as many lanes or places of the kernel as the
 * 16 registers of AVX2 have room for: sums for each pair, and what one step needs. */
INLINE int64_t block_of(int64_t left) { return left == 3 || left == 5 || left == 6 ? 3 : left < 4 ? left : 4; }

INLINE void correlate_block(int outs, int vectors, const float *restrict line, const float *restrict weights, const float *restrict bias, float *restrict out, int64_t inputs, const Lines *l, int64_t length) {
    for (int64_t q = 0; q < length; q += vectors * LANES) {
        const float *weight = weights;
        lanes sums[4][8];
        for (int o = 0; o < outs; o++)
            for (int v = 0; v < vectors; v++) sums[o][v] = (lanes){} + bias[o];
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t y = 0; y < l->side; y++) {
                const float *row = line + i * l->area + y * l->stride + q;
                for (int64_t x = 0; x < l->side; x++, weight += outs) {
                    lanes numbers[8];
                    for (int v = 0; v < vectors; v++) numbers[v] = *(const lanes *)(row + x + v * LANES);
                    for (int o = 0; o < outs; o++)
                        for (int v = 0; v < vectors; v++) sums[o][v] += numbers[v] * weight[o];
                }
            }
        for (int o = 0; o < outs; o++)
            for (int v = 0; v < vectors; v++) *(lanes *)(out + o * l->out_area + q + v * LANES) = sums[o][v];
    }
}

/* Weights in the order in which they are asked for; mirrored, and with inputs and outputs exchanged, where `turned`. */
INLINE void pack(const float *restrict weights, float *restrict packed, int64_t inputs, int64_t outputs, int64_t side, int turned) {
    int64_t places = side * side;
    for (int64_t o = 0, outs; o < outputs; o += outs) {
        outs = block_of(outputs - o);
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t place = 0; place < places; place++)
                for (int64_t k = o; k < o + outs; k++)
                    *packed++ = turned ? weights[(i * outputs + k + 1) * places - 1 - place] : weights[(k * inputs + i) * places + place];
    }
}

/* out (n, outputs, ...) = bias + the correlation of images (n, inputs, height, width), padded, with weights (outputs, inputs, side, side);
 * where `turned`, with the mirrored ones of weights (inputs, outputs, side, side). padding < side. Returns 0, or 1 without memory. */
EXPORT int correlate(const float *images, const float *weights, const float *bias, float *out, int64_t n, int64_t inputs, int64_t height, int64_t width, int64_t outputs, int64_t side, int64_t padding, int turned) {
    Lines l = lines_of(n, height, width, side, padding);
    float *line = calloc(inputs * l.area, sizeof *line), *result = malloc(outputs * l.out_area * sizeof *result);
    float *packed = malloc(outputs * inputs * side * side * sizeof *packed), *none = calloc(outputs, sizeof *none);
    int failed = !line || !result || !packed || !none;
    if (!failed) pack(weights, packed, inputs, outputs, side, turned);
    for (int64_t first = 0; first < n && !failed; first += l.together) {
        int64_t here = n - first < l.together ? n - first : l.together, length = length_of(&l, here);
        spread(images + first * inputs * height * width, line, here, inputs, height, width, &l, l.area, padding * (l.stride + 1));
        for (int64_t o = 0, outs; o < outputs; o += outs) {
            const float *weight = packed + o * inputs * side * side, *start = (bias ? bias : none) + o;
            float *place = result + o * l.out_area;
            outs = block_of(outputs - o);
            switch (outs) {
            case 4: correlate_block(4, 3, line, weight, start, place, inputs, &l, length); break;
            case 3: correlate_block(3, 4, line, weight, start, place, inputs, &l, length); break;
            case 2: correlate_block(2, 5, line, weight, start, place, inputs, &l, length); break;
            default: correlate_block(1, 8, line, weight, start, place, inputs, &l, length);
            }
        }
        collect(result, out + first * outputs * l.out_height * l.out_width, here, outputs, &l);
    }
    free(line), free(result), free(packed), free(none);
    return failed;
}

INLINE void products(int outs, int places, const float *restrict gradient, const float *restrict line, const int64_t *restrict offsets, float *restrict weights, int64_t step, const Lines *l, int64_t length) {
    lanes sums[4][9];
    for (int o = 0; o < outs; o++)
        for (int k = 0; k < places; k++) sums[o][k] = (lanes){};
    for (int64_t q = 0; q < length; q += LANES) {
        lanes numbers[9];
        for (int k = 0; k < places; k++) numbers[k] = *(const lanes *)(line + offsets[k] + q);
        for (int o = 0; o < outs; o++) {
            lanes slope = *(const lanes *)(gradient + o * l->out_area + q);
            for (int k = 0; k < places; k++) sums[o][k] += numbers[k] * slope;
        }
    }
    for (int o = 0; o < outs; o++)
        for (int k = 0; k < places; k++)
            for (int lane = 0; lane < LANES; lane++) weights[o * step + k] += sums[o][k][lane];
}

/* Of one input and up to four outputs. */
INLINE void all_products(int outs, const float *gradient, const float *line, const int64_t *offsets, float *weights, int64_t step, const Lines *l, int64_t length) {
    int64_t places = l->side * l->side, k = 0;
    for (; outs == 1 && k + 9 <= places; k += 9) products(outs, 9, gradient, line, offsets + k, weights + k, step, l, length);
    for (; outs <= 2 && k + 5 <= places; k += 5) products(outs, 5, gradient, line, offsets + k, weights + k, step, l, length);
    for (; k + 3 <= places; k += 3) products(outs, 3, gradient, line, offsets + k, weights + k, step, l, length);
    for (; k < places; k++) products(outs, 1, gradient, line, offsets + k, weights + k, step, l, length);
}

/* weights (outputs, inputs, side, side) = the gradient of correlate's, from that of its output (n, outputs, ...); where an image is
 * not finite, more of them are not numbers than would have to be. Returns as correlate. */
EXPORT int correlate_weights(const float *images, const float *gradient, float *weights, int64_t n, int64_t inputs, int64_t height, int64_t width, int64_t outputs, int64_t side, int64_t padding) {
    Lines l = lines_of(n, height, width, side, padding);
    int64_t places = side * side;
    float *line = calloc(inputs * l.area, sizeof *line), *slopes = calloc(outputs * l.out_area, sizeof *slopes);
    int64_t *offsets = malloc(places * sizeof *offsets);
    int failed = !line || !slopes || !offsets;
    for (int64_t place = 0; place < places && !failed; place++) offsets[place] = place / side * l.stride + place % side;
    memset(weights, 0, outputs * inputs * places * sizeof *weights);
    for (int64_t first = 0; first < n && !failed; first += l.together) {
        int64_t here = n - first < l.together ? n - first : l.together, length = length_of(&l, here);
        spread(images + first * inputs * height * width, line, here, inputs, height, width, &l, l.area, padding * (l.stride + 1));
        spread(gradient + first * outputs * l.out_height * l.out_width, slopes, here, outputs, l.out_height, l.out_width, &l, l.out_area, 0);
        for (int64_t o = 0; o < outputs && here < l.together; o++) memset(slopes + o * l.out_area + length, 0, LANES * sizeof *slopes);
        for (int64_t o = 0, outs; o < outputs; o += outs) {
            outs = block_of(outputs - o);
            for (int64_t i = 0; i < inputs; i++) {
                const float *slope = slopes + o * l.out_area, *numbers = line + i * l.area;
                float *weight = weights + (o * inputs + i) * places;
                switch (outs) {
                case 4: all_products(4, slope, numbers, offsets, weight, inputs * places, &l, length); break;
                case 3: all_products(3, slope, numbers, offsets, weight, inputs * places, &l, length); break;
                case 2: all_products(2, slope, numbers, offsets, weight, inputs * places, &l, length); break;
                default: all_products(1, slope, numbers, offsets, weight, inputs * places, &l, length);
                }
            }
        }
    }
    free(line), free(slopes), free(offsets);
    return failed;
}

/* From a row of an image to that of a patch, from `start` to `end`; added the other way where `fold`. */
INLINE void copy_row(int64_t side, float *restrict row, float *restrict own, int64_t start, int64_t end, int fold) {
    int whole = start == 0 && end == side;
    if (fold && whole)
        for (int64_t j = 0; j < side; j++) row[j] += own[j];
    else if (fold)
        for (int64_t j = start; j < end; j++) row[j] += own[j];
    else if (whole)
        for (int64_t j = 0; j < side; j++) own[j] = row[j];
    else
        for (int64_t j = 0; j < side; j++) own[j] = j >= start && j < end ? row[j] : 0;
}

INLINE void copy_patches(int64_t side, float *restrict images, float *restrict patches, int64_t n, int64_t channels, int64_t height, int64_t width, int64_t down, int64_t across, int64_t stride, int64_t padding, int fold) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t y = 0; y < down; y++)
            for (int64_t x = 0; x < across; x++) {
                int64_t left = x * stride - padding, start = left < 0 ? -left : 0, end = left + side > width ? width - left : side;
                for (int64_t c = 0; c < channels; c++)
                    for (int64_t k = 0; k < side; k++, patches += side) {
                        int64_t line = y * stride - padding + k;
                        float *row = images + ((i * channels + c) * height + line) * width + left;
                        copy_row(side, row, patches, start, line >= 0 && line < height ? end : start, fold);
                    }
            }
}

/* Every patch of an image that a kernel meets (im2col): patches (n, down, across, channels, side, side) of images (n, channels, height,
 * width) with zeros around. Where `fold` (col2im), they are added to the places of the images on which they lie instead. */
EXPORT void unfold(float *images, float *patches, int64_t n, int64_t channels, int64_t height, int64_t width, int64_t down, int64_t across, int64_t side, int64_t stride, int64_t padding, int fold) {
    if (side == 4) /* the usual one, and known to the compiler here */
        copy_patches(4, images, patches, n, channels, height, width, down, across, stride, padding, fold);
    else
        copy_patches(side, images, patches, n, channels, height, width, down, across, stride, padding, fold);
}

/* Without a branch, which a processor cannot foresee here: b where so, else a. */
INLINE float either(int so, float a, float b) {
    union { float number; int32_t bits; } x = {a}, y = {b};
    x.bits = (x.bits & ~-so) | (y.bits & -so);
    return x.number;
}

INLINE float larger(float a, float b) { return either((b > a) | (b != b), a, b); }

/* Max pooling, windows of two by two; what is not a number is the largest. */
EXPORT void pool(const float *restrict images, float *restrict out, int64_t planes, int64_t height, int64_t width) {
    int64_t down = height / 2, across = width / 2;
    for (int64_t row = 0; row < planes * down; row++) {
        const float *above = images + (row / down * height + row % down * 2) * width, *below = above + width;
        float *best = out + row * across;
        for (int64_t x = 0; x < across; x++)
            best[x] = larger(larger(above[2 * x], above[2 * x + 1]), larger(below[2 * x], below[2 * x + 1]));
    }
}

/* Gradient of the images from that of what pool made of them: to the first of equals, and none to what pool dropped. */
EXPORT void pool_back(const float *restrict gradient, const float *restrict out, const float *restrict images, float *restrict result, int64_t planes, int64_t height, int64_t width) {
    int64_t down = height / 2, across = width / 2;
    if (planes && (height % 2 || width % 2)) memset(result, 0, planes * height * width * sizeof *result);
    for (int64_t row = 0; row < planes * down; row++) {
        int64_t place = (row / down * height + row % down * 2) * width;
        const float *above = images + place, *below = above + width, *best = out + row * across, *slope = gradient + row * across;
        float *first = result + place, *second = first + width;
        for (int64_t x = 0; x < across; x++) {
            int a = above[2 * x] == best[x], b = !a & (above[2 * x + 1] == best[x]), c = !(a | b) & (below[2 * x] == best[x]);
            first[2 * x] = either(a, 0, slope[x]);
            first[2 * x + 1] = either(b, 0, slope[x]);
            second[2 * x] = either(c, 0, slope[x]);
            second[2 * x + 1] = either(a | b | c, slope[x], 0);
        }
    }
}

/* Nearest upsampling: out (planes, 2 height, 2 width). */
EXPORT void upsample(const float *restrict images, float *restrict out, int64_t planes, int64_t height, int64_t width) {
    for (int64_t row = 0; row < planes * height; row++) {
        const float *numbers = images + row * width;
        float *twice = out + 4 * row * width;
        for (int64_t x = 0; x < width; x++) twice[2 * x] = twice[2 * x + 1] = numbers[x];
        memcpy(twice + 2 * width, twice, 2 * width * sizeof *twice);
    }
}

/* Gradient (planes, height, width) of the images, from that of what upsample made of them. */
EXPORT void upsample_back(const float *restrict gradient, float *restrict out, int64_t planes, int64_t height, int64_t width) {
    for (int64_t row = 0; row < planes * height; row++) {
        const float *above = gradient + 4 * row * width, *below = above + 2 * width;
        for (int64_t x = 0; x < width; x++) out[row * width + x] = above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1];
    }
}

/* out (n, columns, rows) of numbers (n, rows, columns): eight rows at once, for whole lines of what is written. */
EXPORT void turn(const float *restrict numbers, float *restrict out, int64_t n, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < n; i++, numbers += rows * columns, out += rows * columns) {
        int64_t row = 0;
        for (; row + LANES <= rows; row += LANES)
            for (int64_t column = 0; column < columns; column++)
                for (int k = 0; k < LANES; k++) out[column * rows + row + k] = numbers[(row + k) * columns + column];
        for (; row < rows; row++)
            for (int64_t column = 0; column < columns; column++) out[column * rows + row] = numbers[row * columns + column];
    }
}
