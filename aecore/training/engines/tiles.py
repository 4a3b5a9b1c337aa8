"""Kernels of a GPU for a step of dense layers, in Triton: what PyTorch takes five to ten kernels for is done where a product's
numbers lie in registers. Nothing is added by atomics: the same step gives the same bits.

Sizes: m images in a batch, n outputs and k inputs of a layer. A program makes one tile of a result.
"""

import triton
import triton.language as tl
from triton.language import constexpr

from aecore.training.engines.moves import added

NONE, RELU, LEAKY, ELU, GELU, SILU, TANH, SIGMOID = (constexpr(number) for number in range(8))
MSE, L1, BCE = (constexpr(number) for number in range(3))
PRODUCTS = {"fp32": "ieee", "tf32": "tf32", "bf16": "bf16"}
"""training.precision -> what `added` calls it."""
OF_INPUT = (GELU, SILU)
"""Activations whose derivative needs what went in."""
SHADE = constexpr(1 / 255)
"""As PyTorch divides by 255 on a GPU."""
SQRT_HALF, SHARPEST = constexpr(0.7071067811865476), constexpr(0.3989422804014327)
"""sqrt(1/2), and the density of a standard normal number at 0."""


@triton.jit
def activated(a, slope, KIND: constexpr):
    """An activation of a; `slope` is that of LeakyReLU and the alpha of ELU."""
    if KIND == RELU:
        y = tl.where(a < 0, 0.0, a)  # what is not a number stays so
    elif KIND == LEAKY:
        y = tl.where(a > 0, a, a * slope)
    elif KIND == ELU:
        y = tl.where(a > 0, a, (tl.exp(a) - 1) * slope)
    elif KIND == GELU:
        y = a * 0.5 * (1 + tl.erf(a * SQRT_HALF))
    elif KIND == SILU:
        y = a * tl.sigmoid(a)
    elif KIND == TANH:
        y = 2 * tl.sigmoid(2 * a) - 1
    elif KIND == SIGMOID:
        y = tl.sigmoid(a)
    else:
        y = a
    return y


@triton.jit
def back_through(g, kept, slope, KIND: constexpr):
    """A gradient g of an activation's output, taken to its input; `kept` is its output, or its input for GELU and SiLU."""
    if KIND == RELU:
        g = tl.where(kept <= 0, 0.0, g)
    elif KIND == LEAKY:
        g = tl.where(kept > 0, g, g * slope)
    elif KIND == ELU:
        g = tl.where(kept > 0, g, g * (kept + slope))
    elif KIND == GELU:
        density = SHARPEST * tl.exp(-0.5 * kept * kept)
        g = g * (0.5 * (1 + tl.erf(kept * SQRT_HALF)) + kept * density)
    elif KIND == SILU:
        share = tl.sigmoid(kept)
        g = g * (share * (1 + kept * (1 - share)))
    elif KIND == TANH:
        g = g * (1 - kept * kept)
    elif KIND == SIGMOID:
        g = g * (kept * (1 - kept))
    return g


@triton.jit
def product(x, w, rows, columns, m, inner, width, w_inner, w_column, EXACT: constexpr, K: constexpr):
    """A tile of x (m, inner) times w (inner, width): numbers of x lie row by row, those of w at its own strides."""
    total = tl.zeros((rows.shape[0], columns.shape[0]), tl.float32)
    for start in range(0, inner, K):
        along = start + tl.arange(0, K)
        left = tl.load(
            x + rows[:, None] * inner + along[None, :], mask=(rows < m)[:, None] & (along < inner)[None, :], other=0.0
        )
        right = tl.load(
            w + along[:, None] * w_inner + columns[None, :] * w_column,
            mask=(along < inner)[:, None] & (columns < width)[None, :],
            other=0.0,
        )
        total = added(total, left, right, EXACT)
    return total


@triton.jit
def tile(M: constexpr, N: constexpr):
    """Rows and columns of this program's tile."""
    return tl.program_id(0) * M + tl.arange(0, M), tl.program_id(1) * N + tl.arange(0, N)


@triton.jit
def places(rows, columns, m, n):
    """Where a tile lies in an (m, n) matrix, and what of it is inside."""
    return rows[:, None] * n + columns[None, :], (rows < m)[:, None] & (columns < n)[None, :]


@triton.jit
def affine(x, w, bias, rows, columns, m, inner, width, w_inner, w_column, EXACT: constexpr, K: constexpr):
    """As `product`, and the bias (width,)."""
    total = product(x, w, rows, columns, m, inner, width, w_inner, w_column, EXACT, K)
    return total + tl.load(bias + columns, mask=columns < width, other=0.0)[None, :]


@triton.jit
def gather(images, chosen, x, pixels, span, low, P: constexpr):
    """Row by row the chosen images, (N, pixels) uint8, as numbers of the value range in x (m, pixels)."""
    row, at = tl.program_id(0).to(tl.int64), tl.program_id(1) * P + tl.arange(0, P)
    image = tl.load(images + tl.load(chosen + row) * pixels + at, mask=at < pixels, other=0)
    tl.store(x + row * pixels + at, image.to(tl.float32) * SHADE * span + low, mask=at < pixels)


@triton.jit(do_not_specialize=["m"])
def forward(
    x,
    w,
    bias,
    before,
    after,
    m,
    n,
    k,
    w_k,
    w_n,
    slope,
    KIND: constexpr,
    EXACT: constexpr,
    M: constexpr,
    N: constexpr,
    K: constexpr,
):
    """after (m, n) = activation(x w + bias); `before` is what the activation was applied to, where its derivative needs that."""
    rows, columns = tile(M, N)
    a = affine(x, w, bias, rows, columns, m, k, n, w_k, w_n, EXACT, K)
    at, inside = places(rows, columns, m, n)
    if KIND == GELU or KIND == SILU:
        tl.store(before + at, a, mask=inside)
    tl.store(after + at, activated(a, slope, KIND), mask=inside)


@triton.jit(do_not_specialize=["m"])
def end(
    x,
    w,
    bias,
    target,
    gradient,
    losses,
    m,
    n,
    k,
    w_k,
    w_n,
    slope,
    share,
    KIND: constexpr,
    LOSS: constexpr,
    EXACT: constexpr,
    M: constexpr,
    N: constexpr,
    K: constexpr,
):
    """The last layer: a part of the loss of `target` (m, n), and the gradient (m, n) of the layer's product. Each pixel of each image
    counts `share`; cross-entropy is of logits."""
    rows, columns = tile(M, N)
    a = affine(x, w, bias, rows, columns, m, k, n, w_k, w_n, EXACT, K)
    at, inside = places(rows, columns, m, n)
    wanted = tl.load(target + at, mask=inside, other=0.0)
    y = activated(a, slope, KIND)
    off = y - wanted
    if LOSS == MSE:
        loss = off * off
        back = 2 * off
    elif LOSS == L1:
        loss = tl.abs(off)
        back = tl.where(off > 0, 1.0, tl.where(off < 0, -1.0, 0.0))
    else:
        loss = tl.maximum(a, 0.0) - a * wanted + tl.log(1 + tl.exp(-tl.abs(a)))
        back = tl.sigmoid(a) - wanted
    if KIND == GELU or KIND == SILU:
        back = back_through(back, a, slope, KIND)
    else:
        back = back_through(back, y, slope, KIND)
    tl.store(gradient + at, share * back, mask=inside)
    number = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    tl.store(losses + number, share * tl.sum(tl.where(inside, loss, 0.0)))


@triton.jit(do_not_specialize=["m"])
def backward(
    g,
    w,
    kept,
    gradient,
    m,
    n,
    k,
    w_n,
    w_k,
    slope,
    KIND: constexpr,
    EXACT: constexpr,
    M: constexpr,
    N: constexpr,
    K: constexpr,
):
    """From the gradient g (m, n) of a layer's product to that of the product before, (m, k), through the activation between."""
    rows, columns = tile(M, N)
    back = product(g, w, rows, columns, m, n, k, w_n, w_k, EXACT, K)
    at, inside = places(rows, columns, m, k)
    if KIND != NONE:
        back = back_through(back, tl.load(kept + at, mask=inside, other=0.0), slope, KIND)
    tl.store(gradient + at, back, mask=inside)


@triton.jit(do_not_specialize=["m"])
def draw(both, noise, code, parts, m, d, P: constexpr):
    """code (m, d) = mu + exp(log_var / 2) noise, with mu and log_var side by side in `both`; a part of the KL to N(0, I), the mean over the
    batch. Kingma & Welling 2014, appendix B."""
    at = tl.program_id(0) * P + tl.arange(0, P)
    inside, place = at < m * d, at // d * 2 * d + at % d
    mu, log_var = tl.load(both + place, mask=inside, other=0.0), tl.load(both + place + d, mask=inside, other=0.0)
    tl.store(code + at, mu + tl.exp(0.5 * log_var) * tl.load(noise + at, mask=inside, other=0.0), mask=inside)
    tl.store(parts + tl.program_id(0), tl.sum(0.5 * (mu * mu + tl.exp(log_var) - 1 - log_var)) / m)


@triton.jit(do_not_specialize=["m"])
def undraw(g, noise, weight, both, gradient, m, d, P: constexpr):
    """From the gradient g (m, d) of a code to that of its mean and log-variance, which lie in `both`; with that of the KL times the number
    `weight`."""
    at = tl.program_id(0) * P + tl.arange(0, P)
    inside, place = at < m * d, at // d * 2 * d + at % d
    mu, log_var = tl.load(both + place, mask=inside, other=0.0), tl.load(both + place + d, mask=inside, other=0.0)
    of_z, share = tl.load(g + at, mask=inside, other=0.0), tl.load(weight) / m
    moved = of_z * tl.load(noise + at, mask=inside, other=0.0) * tl.exp(0.5 * log_var)
    tl.store(gradient + place, of_z + share * mu, mask=inside)
    tl.store(gradient + place + d, 0.5 * (moved + share * (tl.exp(log_var) - 1)), mask=inside)


CHANGING = "m n k share h_in w_in h_out w_out stride padding k_h k_w x_b x_h g_b g_h".split()
"""Numbers that are other ones for each layer: it would be compiled for each."""


@triton.jit(do_not_specialize=CHANGING)
def weights_of_convolution(
    x,
    g,
    parts,
    m,
    n,
    k,
    h_in,
    w_in,
    h_out,
    w_out,
    stride,
    padding,
    k_h,
    k_w,
    share,
    x_b,
    x_c,
    x_h,
    x_w,
    g_b,
    g_c,
    g_h,
    g_w,
    EXACT: constexpr,
    M: constexpr,
    N: constexpr,
    K: constexpr,
):
    """A part of the gradient (n, k) of a convolution's weights, k = channels k_h k_w: the sum over `share` of the m = B h_out w_out places
    of what is above, g (B, n, h_out, w_out), times what it saw, x (B, channels, h_in, w_in). Any strides; parts (splits, n, k)."""
    ns, ks = tl.program_id(0) * N + tl.arange(0, N), tl.program_id(1) * K + tl.arange(0, K)
    channel, row, column = ks // (k_h * k_w), ks // k_w % k_h, ks % k_w
    right_of = channel * x_c + row * x_h + column * x_w
    begin = tl.program_id(2) * share
    total = tl.zeros((N, K), tl.float32)
    for start in range(begin, tl.minimum(begin + share, m), M):
        at = start + tl.arange(0, M)
        inside, image, place = at < tl.minimum(begin + share, m), at // (h_out * w_out), at % (h_out * w_out)
        h, w = place // w_out, place % w_out
        left_at = image * g_b + h * g_h + w * g_w
        left = tl.load(g + ns[:, None] * g_c + left_at[None, :], mask=(ns < n)[:, None] & inside[None, :], other=0.0)
        top, side = h * stride - padding, w * stride - padding
        seen_h, seen_w = top[:, None] + row[None, :], side[:, None] + column[None, :]
        seen = (seen_h >= 0) & (seen_h < h_in) & (seen_w >= 0) & (seen_w < w_in) & inside[:, None] & (ks < k)[None, :]
        right_at = image * x_b + top * x_h + side * x_w
        right = tl.load(x + right_at[:, None] + right_of[None, :], mask=seen, other=0.0)
        total = added(total, left, right, EXACT)
    at_parts = (tl.program_id(2) * n + ns)[:, None] * k + ks[None, :]
    tl.store(parts + at_parts, total, mask=(ns < n)[:, None] & (ks < k)[None, :])
