/* Convolutions of many channels by Winograd's minimal filtering: S. Winograd, Arithmetic Complexity of Computations, 1980, and for
 * networks A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016, arXiv:1509.09308.
 *
 * Along one direction, `out` outputs of `taps` weights are values of a product of polynomials, that is known from its values at
 * in = out + taps - 1 points: out = A^T (G weights . B^T pixels), with `in` multiplications instead of out * taps. In two directions,
 * over channels, each pair of points is a product of matrices. Of a larger stride, each pixel of stride x stride (a phase) is a channel.
 * All is linear: the transposed matrices, in the other order, make the gradients.
 *
 * The large images (n, height, width, channels) are what a convolution takes, or a transposed one makes; the small ones
 * (n, below, across, outputs) the other way round; the weights (outputs, side, side, channels). Channels and outputs: multiples of 16.
 * Only for x86 with AVX2 and FMA, as all since about 2015: with shorter vectors it is ten times slower than PyTorch, and takes long to
 * compile. tests/test_convolutions.py holds each to PyTorch's.
 */
#include "loops.h"

/* Whether the processor has what the rest is compiled for. */
__attribute__((visibility("default"))) int winograd_runs(void) {
#ifdef __x86_64__
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}

#ifdef __x86_64__
#define AVX2 __attribute__((visibility("default"), target("avx2,fma")))
#undef INLINE
#define INLINE static inline __attribute__((always_inline, target("avx2,fma")))

#include <stdlib.h>
#include <string.h>

typedef float lanes __attribute__((vector_size(32), aligned(4)));
typedef int32_t whole __attribute__((vector_size(32), aligned(4)));
enum { LANES = 8, MOST = 6, ROWS = 6, WIDE = 16 }; /* a product has 6 x 16 sums in the registers of AVX2 */
enum { BLOCK = 48 };                               /* tiles that go through at once, within the cache */
enum { BESIDE = 32 };                              /* numbers between matrices, that they share no line of the cache */
_Static_assert(BLOCK % ROWS == 0, "a block is whole groups of rows: product fills them");

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define EACH(i, count) UNROLL for (int i = 0; i < (count); i++)
#define AT(place) (*(lanes *)(place))
#define OF(place) (*(const lanes *)(place))

/* At the points 0, 1, -1, 2 and infinity, and 0, 1, -1, 1/2, -2 and infinity. */
static const float PIXELS_5[5][5] = {{2, -1, -2, 1, 0}, {0, 2, 1, -1, 0}, {0, -2, 3, -1, 0}, {0, -1, 0, 1, 0}, {0, 2, -1, -2, 1}};
static const float PIXELS_6[6][6] = {{2, -3, -4, 3, 2, 0}, {0, -2, 1, 5, 2, 0}, {0, -2, 5, -1, -2, 0}, {0, 2, 1, -2, -1, 0}, {0, 1, -2, -1, 2, 0}, {0, 2, -3, -4, 3, 2}};
static const float POWERS_5[4][5] = {{1, 0, 0, 0, 0}, {1, 1, 1, 1, 1}, {1, -1, 1, -1, 1}, {1, 2, 4, 8, 16}};
static const float POWERS_6[5][5] = {{1, 0, 0, 0, 0}, {1, 1, 1, 1, 1}, {1, -1, 1, -1, 1}, {1, .5f, .25f, .125f, .0625f}, {1, -2, 4, -8, 16}};
static const float SCALE_5[5] = {1.f / 2, 1.f / 2, 1.f / 6, 1.f / 6, 1};
static const float SCALE_6[6] = {1.f / 2, 1.f / 6, 1.f / 6, 16.f / 15, 1.f / 30, 1.f / 2};

typedef enum { PIXELS, WEIGHTS, OUTPUTS } Matrix; /* B^T (in, in), G (in, taps), A (in, out) */

INLINE float power(int in, int i, int j, int count) {
    return i == in - 1 ? j == count - 1 : in == 5 ? POWERS_5[i][j] : POWERS_6[i][j];
}

INLINE float entry(Matrix matrix, int in, int i, int j, int count) {
    switch (matrix) {
    case PIXELS: return in == 5 ? PIXELS_5[i][j] : PIXELS_6[i][j];
    case WEIGHTS: return power(in, i, j, count) * (in == 5 ? SCALE_5[i] : SCALE_6[i]);
    default: return power(in, i, j, count);
    }
}

INLINE lanes plus(lanes sum, float factor, lanes number) {
    return factor == 0 ? sum : factor == 1 ? sum + number : factor == -1 ? sum - number : sum + factor * number;
}

/* to (in, in) = M from M^T, M (in, count) one of the matrices; where `back`, to (count, count) = M^T from M. */
INLINE void transform(Matrix matrix, int in, int count, int back, lanes from[MOST][MOST], lanes to[MOST][MOST]) {
    int rows = back ? count : in, depth = back ? in : count;
    lanes half[MOST][MOST];
    EACH(i, rows) EACH(j, depth) {
        half[i][j] = (lanes){};
        EACH(k, depth) half[i][j] = plus(half[i][j], back ? entry(matrix, in, k, i, count) : entry(matrix, in, i, k, count), from[k][j]);
    }
    EACH(i, rows) EACH(j, rows) {
        to[i][j] = (lanes){};
        EACH(k, depth) to[i][j] = plus(to[i][j], back ? entry(matrix, in, k, j, count) : entry(matrix, in, j, k, count), half[i][k]);
    }
}

typedef struct {
    int out, taps, stride, in, side; /* along one direction; known to the compiler */
    int64_t height, width, channels, below, across, outputs, padding;
    int64_t down, beside, tiles; /* in a column and in a row of a small image, and in all */
    int64_t block;               /* tiles that go through at once, and what product overwrites behind them */
    int64_t deep;                /* channels of all phases */
    int64_t large_apart, small_apart, points_apart; /* from one matrix to the next: of a block, and of weights */
} Shape;

/* Some of the images, (n, height, width, channels): NULL where they are not given, or not asked for. */
typedef struct {
    const float *from;
    const float *active; /* what the layer gave whose gradient they are, where it ends in a ReLU: at 0 there is none */
    float *to;
    float *total; /* their sum over all places, of each channel, added to what is there */
} Images;

/* What is asked for, by what is given:
 *
 *                          large                      small                      weights
 * convolution              from                       to                         weights, bias, relu
 *   its gradients          from, to                   from, active, total        weights, to_weights
 * transposed one           to                         from                       weights, bias, relu
 *   its gradients          from, active, total        from, to                   weights, to_weights
 *
 * One of the two `to` at most. */
typedef struct {
    Images large, small;
    const float *weights, *bias;
    float *to_weights;
    int64_t relu; /* whether what is made ends in one */
    int64_t n, height, width, channels, below, across, outputs, padding;
    int64_t taps; /* 2 (sides of 4, stride 2), or 3 or 5 (stride 1) */
} Task;

INLINE Shape shape_of(int out, int taps, int stride, const Task *task) {
    Shape s = {.out = out, .taps = taps, .stride = stride, .in = out + taps - 1, .side = taps * stride};
    s.height = task->height, s.width = task->width, s.channels = task->channels;
    s.below = task->below, s.across = task->across, s.outputs = task->outputs, s.padding = task->padding;
    s.down = (s.below + out - 1) / out, s.beside = (s.across + out - 1) / out, s.tiles = task->n * s.down * s.beside;
    s.deep = s.channels * stride * stride;
    s.block = s.tiles < BLOCK ? s.tiles + ROWS - 1 : BLOCK;
    s.large_apart = s.block * s.deep + BESIDE, s.small_apart = s.block * s.outputs + BESIDE, s.points_apart = s.deep * s.outputs + BESIDE;
    return s;
}

/* Where a pixel of a tile and phase lies in the large images, and where an output in the small ones; `beyond` where there is none. */
INLINE const float *pixel(const Shape *s, const float *images, const float *beyond, int64_t tile, int phase, int i, int j) {
    int64_t y = s->stride * (s->out * (tile / s->beside % s->down) + i) + phase / s->stride - s->padding;
    int64_t x = s->stride * (s->out * (tile % s->beside) + j) + phase % s->stride - s->padding;
    int64_t row = tile / (s->down * s->beside) * s->height + y;
    return y < 0 || y >= s->height || x < 0 || x >= s->width ? beyond : images + (row * s->width + x) * s->channels;
}

INLINE const float *output(const Shape *s, const float *images, const float *beyond, int64_t tile, int i, int j) {
    int64_t y = s->out * (tile / s->beside % s->down) + i, x = s->out * (tile % s->beside) + j;
    int64_t row = tile / (s->down * s->beside) * s->below + y;
    return y >= s->below || x >= s->across ? beyond : images + (row * s->across + x) * s->outputs;
}

/* Where the weights of a tap lie in those of an output. */
INLINE int64_t place_of(const Shape *s, int phase, int i, int j) {
    return ((s->stride * i + phase / s->stride) * s->side + s->stride * j + phase % s->stride) * s->channels;
}

INLINE lanes where(lanes number, whole so) { return (lanes)((whole)number & so); }

/* Whether a tile before this one has a pixel, too, and whether one behind it has. */
INLINE int before(const Shape *s, int64_t tile, int i, int j) {
    return (i < s->taps - 1 && tile / s->beside % s->down > 0) || (j < s->taps - 1 && tile % s->beside > 0);
}

INLINE int behind(const Shape *s, int64_t tile, int i, int j) {
    return (i >= s->out && tile / s->beside % s->down < s->down - 1) || (j >= s->out && tile % s->beside < s->beside - 1);
}

/* What is not a number stays so. */
INLINE lanes relu_of(lanes number) { return where(number, ~(number < 0)); }

typedef const float *Places[MOST][MOST];

/* Numbers of a tile, and of a gradient those that a ReLU let through. */
INLINE void read(int side, const Places places, const Places active, int64_t c, lanes from[MOST][MOST]) {
    EACH(i, side) EACH(j, side) from[i][j] = OF(places[i][j] + c);
    if (active[0][0])
        EACH(i, side) EACH(j, side) from[i][j] = where(from[i][j], ~(OF(active[i][j] + c) <= 0));
}

/* From large images to the matrices of a block, (in in, block, deep). */
INLINE void enter_large(const Shape *s, const Images *images, float *block, const float *zeros, int64_t first, int64_t count) {
    for (int64_t tile = 0; tile < count; tile++)
        for (int phase = 0; phase < s->stride * s->stride; phase++) {
            Places places, active;
            float *own = block + tile * s->deep + phase * s->channels;
            for (int i = 0; i < s->in; i++)
                for (int j = 0; j < s->in; j++) {
                    places[i][j] = pixel(s, images->from, zeros, first + tile, phase, i, j);
                    active[i][j] = images->active ? pixel(s, images->active, zeros, first + tile, phase, i, j) : NULL;
                }
            for (int64_t c = 0; c < s->channels; c += LANES) {
                lanes from[MOST][MOST], to[MOST][MOST], total = {};
                read(s->in, places, active, c, from);
                if (images->total) {
                    EACH(i, s->in) EACH(j, s->in) if (!before(s, first + tile, i, j)) total += from[i][j];
                    AT(images->total + c) += total;
                }
                transform(PIXELS, s->in, s->in, 0, from, to);
                EACH(i, s->in) EACH(j, s->in) AT(own + (i * s->in + j) * s->large_apart + c) = to[i][j];
            }
        }
}

/* From the matrices of a block to large images, with a bias and a ReLU. */
INLINE void leave_large(const Shape *s, float *images, const float *bias, int64_t relu, const float *block, float *nowhere, int64_t first, int64_t count) {
    for (int64_t tile = 0; tile < count; tile++)
        for (int phase = 0; phase < s->stride * s->stride; phase++) {
            float *places[MOST][MOST];
            const float *own = block + tile * s->deep + phase * s->channels;
            for (int i = 0; i < s->in; i++)
                for (int j = 0; j < s->in; j++) places[i][j] = (float *)pixel(s, images, nowhere, first + tile, phase, i, j);
            for (int64_t c = 0; c < s->channels; c += LANES) {
                lanes from[MOST][MOST], to[MOST][MOST], start = bias ? OF(bias + c) : (lanes){};
                EACH(i, s->in) EACH(j, s->in) from[i][j] = OF(own + (i * s->in + j) * s->large_apart + c);
                transform(PIXELS, s->in, s->in, 1, from, to);
                EACH(i, s->in) EACH(j, s->in) {
                    lanes sum = to[i][j] + (before(s, first + tile, i, j) ? OF(places[i][j] + c) : start);
                    AT(places[i][j] + c) = relu && !behind(s, first + tile, i, j) ? relu_of(sum) : sum;
                }
            }
        }
}

/* Pixels that no tile reaches, below and on the right: they have the bias alone, and their gradient is the bias's alone. */
INLINE void rest_of_large(const Shape *s, const Images *images, const float *bias, int64_t relu) {
    int64_t end = s->stride * (s->out * s->down + s->taps - 1) - s->padding, right = s->stride * (s->out * s->beside + s->taps - 1) - s->padding;
    if (end >= s->height && right >= s->width) return;
    int64_t pixels = s->tiles / (s->down * s->beside) * s->height * s->width;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0, k = p * s->channels; (p / s->width % s->height >= end || p % s->width >= right) && c < s->channels; c++, k++) {
            if (images->to) images->to[k] = !bias || (relu && bias[c] < 0) ? 0 : bias[c];
            if (images->total && !(images->active && images->active[k] <= 0)) images->total[c] += images->from[k];
        }
}

/* From small images to the matrices of a block, (in in, block, outputs). */
INLINE void enter_small(const Shape *s, const Images *images, float *block, const float *zeros, int64_t first, int64_t count) {
    for (int64_t tile = 0; tile < count; tile++) {
        Places places, active;
        float *own = block + tile * s->outputs;
        for (int i = 0; i < s->out; i++)
            for (int j = 0; j < s->out; j++) {
                places[i][j] = output(s, images->from, zeros, first + tile, i, j);
                active[i][j] = images->active ? output(s, images->active, zeros, first + tile, i, j) : NULL;
            }
        for (int64_t c = 0; c < s->outputs; c += LANES) {
            lanes from[MOST][MOST], to[MOST][MOST], total = {};
            read(s->out, places, active, c, from);
            if (images->total) {
                EACH(i, s->out) EACH(j, s->out) total += from[i][j];
                AT(images->total + c) += total;
            }
            transform(OUTPUTS, s->in, s->out, 0, from, to);
            EACH(i, s->in) EACH(j, s->in) AT(own + (i * s->in + j) * s->small_apart + c) = to[i][j];
        }
    }
}

/* From the matrices of a block to small images, with a bias and a ReLU. */
INLINE void leave_small(const Shape *s, float *images, const float *bias, int64_t relu, const float *block, float *nowhere, int64_t first, int64_t count) {
    for (int64_t tile = 0; tile < count; tile++) {
        float *places[MOST][MOST];
        const float *own = block + tile * s->outputs;
        for (int i = 0; i < s->out; i++)
            for (int j = 0; j < s->out; j++) places[i][j] = (float *)output(s, images, nowhere, first + tile, i, j);
        for (int64_t c = 0; c < s->outputs; c += LANES) {
            lanes from[MOST][MOST], to[MOST][MOST];
            EACH(i, s->in) EACH(j, s->in) from[i][j] = OF(own + (i * s->in + j) * s->small_apart + c);
            transform(OUTPUTS, s->in, s->out, 1, from, to);
            EACH(i, s->out) EACH(j, s->out) {
                if (bias) to[i][j] += OF(bias + c);
                AT(places[i][j] + c) = relu ? relu_of(to[i][j]) : to[i][j];
            }
        }
    }
}

INLINE lanes every(const float *numbers, int64_t apart) {
    lanes found = {};
    EACH(lane, LANES) found[lane] = numbers[lane * apart];
    return found;
}

/* Weights to panels of 16 columns for `product`: (in in, outputs / 16, deep, 16) to small images, with outputs as lanes, and
 * (in in, deep / 16, outputs, 16) to large ones. */
INLINE void panels_of(const Shape *s, int to_small, const float *weights, float *panels) {
    int64_t apart = s->side * s->side * s->channels;
    for (int64_t o = 0; o < s->outputs; o += to_small ? LANES : 1)
        for (int phase = 0; phase < s->stride * s->stride; phase++)
            for (int64_t c = 0; c < s->channels; c += to_small ? 1 : LANES) {
                lanes from[MOST][MOST], to[MOST][MOST];
                EACH(i, s->taps) EACH(j, s->taps) {
                    const float *own = weights + o * apart + place_of(s, phase, i, j) + c;
                    from[i][j] = to_small ? every(own, apart) : OF(own);
                }
                transform(WEIGHTS, s->in, s->taps, 0, from, to);
                int64_t d = phase * s->channels + c;
                float *own = panels + (to_small ? (o / WIDE * s->deep + d) * WIDE + o % WIDE : (d / WIDE * s->outputs + o) * WIDE + d % WIDE);
                EACH(i, s->in) EACH(j, s->in) AT(own + (i * s->in + j) * s->points_apart) = to[i][j];
            }
}

/* The gradient of weights from that of their matrices, (in in, outputs, deep). */
INLINE void weights_of(const Shape *s, const float *matrices, float *weights) {
    for (int64_t o = 0; o < s->outputs; o++)
        for (int phase = 0; phase < s->stride * s->stride; phase++)
            for (int64_t c = 0; c < s->channels; c += LANES) {
                lanes from[MOST][MOST], to[MOST][MOST];
                const float *own = matrices + o * s->deep + phase * s->channels + c;
                EACH(i, s->in) EACH(j, s->in) from[i][j] = OF(own + (i * s->in + j) * s->points_apart);
                transform(WEIGHTS, s->in, s->taps, 1, from, to);
                float *place = weights + o * s->side * s->side * s->channels + c;
                EACH(i, s->taps) EACH(j, s->taps) AT(place + place_of(s, phase, i, j)) = to[i][j];
            }
}

/* c (rows, 16) = or += the sum over depth of a (of rows, `below` apart, and depth, `along` apart) times b (depth, 16), `next` apart. */
INLINE void sums(int rows, int add, const float *restrict a, int64_t below, int64_t along, const float *restrict b, int64_t next, float *restrict c, int64_t apart, int64_t depth) {
    lanes left[ROWS], right[ROWS];
    EACH(r, rows) {
        left[r] = add ? OF(c + r * apart) : (lanes){};
        right[r] = add ? OF(c + r * apart + LANES) : (lanes){};
    }
    for (int64_t d = 0; d < depth; d++, a += along, b += next) {
        lanes x = OF(b), y = OF(b + LANES);
        EACH(r, rows) left[r] += a[r * below] * x, right[r] += a[r * below] * y;
    }
    EACH(r, rows) AT(c + r * apart) = left[r], AT(c + r * apart + LANES) = right[r];
}

/* to (count, columns) = from (count, depth) times panels (columns / 16, depth, 16); up to five rows behind are overwritten */
INLINE void product(int64_t count, const float *from, const float *panels, float *to, int64_t depth, int64_t columns) {
    for (int64_t column = 0; column < columns; column += WIDE)
        for (int64_t row = 0; row < count; row += ROWS)
            sums(ROWS, 0, from + row * depth, depth, 1, panels + column * depth, WIDE, to + row * columns + column, columns, depth);
}

/* to (outputs, deep) += small (count, outputs)^T times large (count, deep) */
INLINE void outer(int64_t outputs, int64_t deep, const float *small, const float *large, float *to, int64_t count) {
    for (int64_t column = 0; column < deep; column += WIDE) {
        int64_t o = 0;
        for (; o + ROWS <= outputs; o += ROWS)
            sums(ROWS, 1, small + o, 1, outputs, large + column, deep, to + o * deep + column, deep, count);
        for (; o < outputs; o += 2)
            sums(2, 1, small + o, 1, outputs, large + column, deep, to + o * deep + column, deep, count);
    }
}

/* The thread's own numbers, kept from call to call and never given back: new memory costs more than what is done in it. NULL where there is none. */
INLINE float *room_of(int64_t numbers) {
    static _Thread_local float *room;
    static _Thread_local int64_t size;
    if (numbers > size) {
        free(room);
        room = calloc(numbers, sizeof *room);
        size = room ? numbers : 0;
    }
    return room;
}

INLINE int go(Shape s, const Task *task) {
    int64_t matrices = s.in * s.in, most = s.channels > s.outputs ? s.channels : s.outputs;
    float *large = room_of(matrices * (s.large_apart + s.small_apart + 2 * s.points_apart) + 2 * most);
    if (!large) return 1;
    float *small = large + matrices * s.large_apart, *panels = small + matrices * s.small_apart, *slopes = panels + matrices * s.points_apart;
    float *zeros = slopes + matrices * s.points_apart, *nowhere = zeros + most;
    memset(zeros, 0, most * sizeof *zeros);
    if (task->small.to) panels_of(&s, 1, task->weights, panels);
    if (task->large.to) panels_of(&s, 0, task->weights, panels);
    if (task->large.to || task->large.total) rest_of_large(&s, &task->large, task->bias, task->relu);
    if (task->to_weights) memset(slopes, 0, matrices * s.points_apart * sizeof *slopes);
    for (int64_t first = 0, count; first < s.tiles; first += count) {
        count = s.tiles - first < s.block ? s.tiles - first : s.block;
        if (task->large.from) enter_large(&s, &task->large, large, zeros, first, count);
        if (task->small.from) enter_small(&s, &task->small, small, zeros, first, count);
        for (int64_t m = 0; m < matrices; m++) {
            float *of_large = large + m * s.large_apart, *of_small = small + m * s.small_apart;
            /* first: the product takes the place of what came in */
            if (task->to_weights) outer(s.outputs, s.deep, of_small, of_large, slopes + m * s.points_apart, count);
            if (task->small.to) product(count, of_large, panels + m * s.points_apart, of_small, s.deep, s.outputs);
            if (task->large.to) product(count, of_small, panels + m * s.points_apart, of_large, s.outputs, s.deep);
        }
        if (task->small.to) leave_small(&s, task->small.to, task->bias, task->relu, small, nowhere, first, count);
        if (task->large.to) leave_large(&s, task->large.to, task->bias, task->relu, large, nowhere, first, count);
    }
    if (task->to_weights) weights_of(&s, slopes, task->to_weights);
    return 0;
}

/* weights (outputs, size) and bias (outputs): their gradients from that of ReLU(patches (rows, size) weights^T + bias), (rows, outputs), and
 * from what it was, `active`. size: a multiple of 16, outputs of 2. Returns 0, or 1 without memory. */
AVX2 int patch_weights(const float *patches, const float *gradient, const float *active, float *weights, float *bias, int64_t rows, int64_t outputs, int64_t size) {
    float *let_through = room_of((BLOCK + 1) * outputs);
    if (!let_through) return 1;
    float *total = let_through + BLOCK * outputs;
    memset(weights, 0, outputs * size * sizeof *weights), memset(bias, 0, outputs * sizeof *bias);
    for (int64_t first = 0, count; first < rows; first += count) {
        count = rows - first < BLOCK ? rows - first : BLOCK;
        const float *slopes = gradient + first * outputs, *reached = active + first * outputs;
        for (int64_t k = 0; k < count * outputs; k++) let_through[k] = reached[k] <= 0 ? 0 : slopes[k];
        memset(total, 0, outputs * sizeof *total);
        for (int64_t k = 0; k < count * outputs; k += outputs)
            for (int64_t o = 0; o < outputs; o++) total[o] += let_through[k + o];
        for (int64_t o = 0; o < outputs; o++) bias[o] += total[o];
        outer(outputs, size, let_through, patches + first * size, weights, count);
    }
    return 0;
}

/* Does a task. Returns 0, or 1 without memory. */
AVX2 int winograd(const Task *task) {
    switch (task->taps) {
    case 2: return go(shape_of(4, 2, 2, task), task);
    case 3: return go(shape_of(4, 3, 1, task), task);
    default: return go(shape_of(2, 5, 1, task), task);
    }
}
#endif
