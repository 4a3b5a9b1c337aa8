/* Loops over the numbers of a dense network's step: one pass over memory where PyTorch takes several.
 *
 * All numbers are 32-bit floats; a matrix has n rows, one after the other. Compiled without -ffinite-math-only: a number
 * that is not finite stays one, so that the loss tells of it; and without -fassociative-math, on which the rounding in power
 * rests: sums that may be taken in any order say so. Near 0 tanh and ELU keep 1e-7 absolute, not relative.
 * tests/test_loops.py holds each to PyTorch's.
 */
#include "loops.h"

#include <math.h>
#include <string.h>

#define ROUND 12582912.0f /* 1.5 2^23: added and taken away again it leaves a whole number */

enum activation { NONE, RELU, LEAKY_RELU, ELU, SIGMOID, TANH };
enum loss { MSE, L1, BCE };
enum { BLOCK = 2048 };
enum { NARROW = 256, TOGETHER = 64 }; /* numbers in a row, and rows, that are summed before they are added to the rest */
#define MOST 88.0f /* whose power of e a float holds */
enum { SAFE = 64 }; /* so many numbers from 1 to 2 have a product that a float holds */

/* e^x within 2e-7 of itself, by powers of two and a polynomial: Cephes, expf (Moshier 1992). */
INLINE float power(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > MOST ? MOST : x;
    float twos = x * 1.44269504f + ROUND - ROUND;
    float rest = (x - twos * 0.693359375f) + twos * 2.12194440e-4f; /* ln 2 in two parts, the first without a rounding */
    float value = 1.9875691500e-4f;
    value = value * rest + 1.3981999507e-3f;
    value = value * rest + 8.3334519073e-3f;
    value = value * rest + 4.1665795894e-2f;
    value = value * rest + 1.6666665459e-1f;
    value = value * rest + 5.0000001201e-1f;
    value = value * rest * rest + rest + 1.0f;
    union { int32_t bits; float number; } scale = {((int32_t)twos + 127) << 23};
    return value * scale.number;
}

INLINE void activate(int kind, float slope, float *restrict row, int64_t width) {
    switch (kind) {
    case RELU:
        for (int64_t j = 0; j < width; j++) row[j] = row[j] < 0 ? 0 : row[j];
        break;
    case LEAKY_RELU:
        for (int64_t j = 0; j < width; j++) row[j] = row[j] < 0 ? slope * row[j] : row[j];
        break;
    case ELU:
        for (int64_t j = 0; j < width; j++) row[j] = row[j] < 0 ? slope * (power(row[j]) - 1) : row[j];
        break;
    case SIGMOID:
        for (int64_t j = 0; j < width; j++) row[j] = 1 / (1 + power(-row[j]));
        break;
    case TANH:
        for (int64_t j = 0; j < width; j++) row[j] = 1 - 2 / (1 + power(2 * row[j]));
        break;
    }
}

/* From the gradient of an activation's output to that of its input. */
INLINE void go_back(int kind, float slope, float *restrict gradient, const float *restrict out, int64_t width) {
    switch (kind) {
    case RELU:
        for (int64_t j = 0; j < width; j++) gradient[j] = out[j] <= 0 ? 0 : gradient[j];
        break;
    case LEAKY_RELU:
        for (int64_t j = 0; j < width; j++) gradient[j] *= out[j] <= 0 ? slope : 1;
        break;
    case ELU:
        for (int64_t j = 0; j < width; j++) gradient[j] *= out[j] <= 0 ? out[j] + slope : 1;
        break;
    case SIGMOID:
        for (int64_t j = 0; j < width; j++) gradient[j] *= out[j] * (1 - out[j]);
        break;
    case TANH:
        for (int64_t j = 0; j < width; j++) gradient[j] *= 1 - out[j] * out[j];
        break;
    }
}

/* The loss of one row, and its gradient, which counts share. */
INLINE float differ(int loss, const float *restrict out, const float *restrict target, float *restrict gradient, float share, int64_t width) {
    float total = 0;
    switch (loss) {
    case MSE:
#pragma omp simd reduction(+ : total)
        for (int64_t j = 0; j < width; j++) {
            float error = out[j] - target[j];
            total += error * error;
            gradient[j] = 2 * share * error;
        }
        break;
    case L1:
#pragma omp simd reduction(+ : total)
        for (int64_t j = 0; j < width; j++) {
            float error = out[j] - target[j];
            total += fabsf(error);
            gradient[j] = error > 0 ? share : error < 0 ? -share : error * share;
        }
        break;
    case BCE: /* of logits: log(1 + e^-|z|) as the logarithm of a product of many */
        for (int64_t first = 0; first < width; first += SAFE) {
            int64_t here = first + SAFE < width ? SAFE : width - first;
            float factors[SAFE], costs[SAFE], product = 1, cost = 0;
            for (int64_t k = 0; k < here; k++) {
                float logit = out[first + k], wanted = target[first + k];
                float small = power(-fabsf(logit));
                factors[k] = 1 + small;
                costs[k] = (logit < 0 ? 0 : logit) - logit * wanted;
                gradient[first + k] = share * ((logit < 0 ? small : 1) / (1 + small) - wanted);
            }
#pragma omp simd reduction(+ : cost) reduction(* : product)
            for (int64_t k = 0; k < here; k++) {
                cost += costs[k];
                product *= factors[k];
            }
            total += cost + logf(product);
        }
        break;
    }
    return total;
}

/* Of loops.py: both must speak of the same arguments. */
__attribute__((visibility("default"))) const int32_t VERSION = 5;

/* out (n, width) = low + images[chosen] (high - low) / 255, of images (N, width) in bytes. */
EXPORT void gather(const uint8_t *restrict images, const int64_t *restrict chosen, float low, float high, float *restrict out, int64_t n, int64_t width) {
    float scale = (high - low) / 255;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *image = images + chosen[i] * width, *next = images + chosen[i + 1 < n ? i + 1 : i] * width;
        for (int64_t j = 0; j < width; j += 64) __builtin_prefetch(next + j);
        for (int64_t j = 0; j < width; j++) {
            float pixel = image[j] * scale + low;
            out[i * width + j] = pixel > high ? high : pixel; /* not a rounding more */
        }
    }
}

/* The bias (width) and the activation in place. */
EXPORT void forward(int kind, float slope, const float *restrict bias, float *restrict out, int64_t n, int64_t width) {
    for (int64_t i = 0; i < n; i++) {
        float *row = out + i * width;
        for (int64_t j = 0; j < width; j++) row[j] += bias[j];
        activate(kind, slope, row, width);
    }
}

/* Takes the gradient of an activation's output to that of its input, which may lie in the same place, and sums it over the rows: bias (width). */
EXPORT void backward(int kind, float slope, const float *gradient, const float *restrict out, float *result, float *restrict bias, int64_t n, int64_t width) {
    float few[NARROW], *total = width <= NARROW ? few : bias; /* of very many rows, sums of sums: each rounding counts less */
    memset(bias, 0, width * sizeof *bias);
    for (int64_t i = 0; i < n; i++) {
        float *row = result + i * width;
        if (result != gradient) memcpy(row, gradient + i * width, width * sizeof *row);
        go_back(kind, slope, row, out + i * width, width);
        if (total == few && i % TOGETHER == 0) memset(few, 0, sizeof few);
        for (int64_t j = 0; j < width; j++) total[j] += row[j];
        if (total == few && (i % TOGETHER == TOGETHER - 1 || i == n - 1))
            for (int64_t j = 0; j < width; j++) bias[j] += few[j];
    }
}

/* The activation of n numbers elsewhere: block by block, so that each is in place in the cache. */
EXPORT void forward_to(int kind, float slope, const float *restrict before, float *restrict out, int64_t n) {
    for (int64_t first = 0, here; first < n; first += here) {
        here = n - first < BLOCK ? n - first : BLOCK;
        memcpy(out + first, before + first, here * sizeof *out);
        activate(kind, slope, out + first, here);
    }
}

/* And the way back through it. */
EXPORT void backward_to(int kind, float slope, const float *restrict gradient, const float *restrict out, float *restrict result, int64_t n) {
    for (int64_t first = 0, here; first < n; first += here) {
        here = n - first < BLOCK ? n - first : BLOCK;
        memcpy(result + first, gradient + first, here * sizeof *result);
        go_back(kind, slope, result + first, out + first, here);
    }
}

/* The last bias and activation in place, the loss against the target, the gradient of what the activation was given, and its sum
 * over the rows: slope_of_bias (width). Returns the loss: the sum over all numbers, each counting share. */
EXPORT double end(int kind, float slope, int loss, const float *restrict bias, float *restrict out, const float *restrict target, float *restrict gradient, float share, float *restrict slope_of_bias, int64_t n, int64_t width) {
    double total = 0;
    memset(slope_of_bias, 0, width * sizeof *slope_of_bias);
    for (int64_t i = 0; i < n; i++) {
        float *row = out + i * width, *slopes = gradient + i * width;
        for (int64_t j = 0; j < width; j++) row[j] += bias[j];
        activate(kind, slope, row, width);
        total += differ(loss, row, target + i * width, slopes, share, width);
        go_back(kind, slope, slopes, row, width);
        for (int64_t j = 0; j < width; j++) slope_of_bias[j] += slopes[j];
    }
    return total * share;
}

/* z (n, size) = mu + e^(log_var / 2) noise, of `both` (n, mu and log_var). Returns the sum of their KL from a standard normal distribution. */
EXPORT double draw(const float *restrict both, const float *restrict noise, float *restrict z, int64_t n, int64_t size) {
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *mu = both + 2 * i * size, *log_var = mu + size, *drawn = noise + i * size;
        float *code = z + i * size, cost = 0;
#pragma omp simd reduction(+ : cost)
        for (int64_t j = 0; j < size; j++) {
            code[j] = mu[j] + power(0.5f * log_var[j]) * drawn[j];
            cost += mu[j] * mu[j] + (log_var[j] > MOST ? INFINITY : power(log_var[j])) - 1 - log_var[j];
        }
        total += cost;
    }
    return 0.5 * total;
}

/* The gradients of mu and log_var in their places, from that of z and of the KL, which counts share. */
EXPORT void draw_back(const float *restrict of_z, const float *restrict noise, float *restrict both, float share, int64_t n, int64_t size) {
    for (int64_t i = 0; i < n; i++) {
        float *mu = both + 2 * i * size, *log_var = mu + size;
        const float *slope = of_z + i * size, *drawn = noise + i * size;
        for (int64_t j = 0; j < size; j++) {
            mu[j] = slope[j] + share * mu[j];
            log_var[j] = 0.5f * (slope[j] * drawn[j] * power(0.5f * log_var[j]) + share * (power(log_var[j]) - 1));
        }
    }
}

/* The loss of each row against its target, the mean over its numbers, and the gradient of that mean. */
EXPORT void losses(int loss, const float *restrict out, const float *restrict target, float *restrict gradient, float *restrict means, int64_t n, int64_t width) {
    float share = 1.0f / width;
    for (int64_t i = 0; i < n; i++)
        means[i] = share * differ(loss, out + i * width, target + i * width, gradient + i * width, share, width);
}

/* A step of Adam (Kingma & Ba 2015) as PyTorch's fused kernel takes it; decay is decoupled as Loshchilov & Hutter 2019 have it, or
 * part of the gradient. Counts steps on. */
EXPORT void adam(float *restrict values, const float *restrict gradients, float *restrict first, float *restrict second, float *restrict steps, int64_t n, double beta1, double beta2, double epsilon, double rate, double decay, int decoupled) {
    *steps += 1;
    float size = rate / (1 - pow(beta1, *steps)), root = 1 / sqrt(1 - pow(beta2, *steps));
    float kept = decoupled ? 1 - rate * decay : 1, pulled = decoupled ? 0 : decay, least = epsilon;
    float share1 = 1 - beta1, remain2 = beta2, share2 = 1 - beta2;
    for (int64_t j = 0; j < n; j++) {
        float gradient = gradients[j] + pulled * values[j];
        first[j] += share1 * (gradient - first[j]);
        second[j] = remain2 * second[j] + share2 * gradient * gradient;
        values[j] = kept * values[j] - size * first[j] / (sqrtf(second[j]) * root + least);
    }
}
