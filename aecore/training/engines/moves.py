"""Kernels of a GPU around the products of a recorded step, in Triton: what finds its images and notes its losses, and Adam.

Kernels of one program are started as one warp (`num_warps=1`): what they read and write again no other thread has written before. Numbers
that change from batch to batch are not specialised, so that a last, smaller batch is not compiled for.
"""

import triton
import triton.language as tl
from triton.language import constexpr


@triton.jit(do_not_specialize=["n"])
def take(order, clock, chosen, n, P: constexpr):
    """chosen (n,) = the next places of `order`; clock = [steps done, position in the order]. One program."""
    position = tl.load(clock + 1)
    for start in range(0, n, P):
        at = start + tl.arange(0, P)
        tl.store(chosen + at, tl.load(order + position + at, mask=at < n, other=0), mask=at < n)


@triton.jit(do_not_specialize=["n"])
def keep(losses, noted, clock, n, terms, UNREAD: constexpr, P: constexpr):
    """The losses (terms,) of a step among the last UNREAD ones; the clock goes on by one step of n images."""
    step, position, at = tl.load(clock), tl.load(clock + 1), tl.arange(0, P)
    inside = at < terms
    tl.store(noted + step % UNREAD * terms + at, tl.load(losses + at, mask=inside, other=0.0), mask=inside)
    tl.store(clock, step + 1)
    tl.store(clock + 1, position + n)


@triton.jit
def paced(losses, terms, steps, rate, times, pace, BETA1: constexpr, BETA2: constexpr, P: constexpr):
    """What `adam` goes by, as in `finish`; the rate goes `times`."""
    at = tl.arange(0, P)
    total = tl.sum(0 * tl.load(losses + at, mask=at < terms, other=0.0))
    walk(total == 0, steps, tl.load(rate).to(tl.float32) * times, pace, BETA1, BETA2)


@triton.jit
def walk(fine, steps, rate, pace, BETA1: constexpr, BETA2: constexpr):
    """One more of `steps` where it is `fine`, and pace = [rate / (1 - BETA1^steps), sqrt(1 - BETA2^steps), whether it is fine, rate]."""
    further = tl.where(fine, 1.0, 0.0)
    done = tl.load(steps) + further
    tl.store(steps, done)
    tl.store(pace, rate / (1 - power(BETA1, done)))
    tl.store(pace + 1, tl.sqrt(1 - power(BETA2, done)))
    tl.store(pace + 2, further)
    tl.store(pace + 3, rate)


@triton.jit
def power(BETA: constexpr, steps):
    """In 64 bits: 1 - 0.999 has four digits of 32."""
    one = tl.full((), BETA, tl.float64)
    return tl.exp(tl.log(one) * steps.to(tl.float64))


@triton.jit
def adam(
    values,
    gradients,
    first,
    second,
    pace,
    n,
    decay,
    DECOUPLED: constexpr,
    BETA1: constexpr,
    BETA2: constexpr,
    EPSILON: constexpr,
    P: constexpr,
):
    """Move n values by their gradients, unless a loss was not finite."""
    at = tl.program_id(0) * P + tl.arange(0, P)
    inside = at < tl.where(tl.load(pace + 2) > 0, n, 0)
    g = tl.load(gradients + at, mask=inside, other=0.0)
    rate, large, kept = tl.load(pace), tl.load(pace + 1), 1 - tl.load(pace + 3) * decay
    moved(values, first, second, at, g, inside, rate, large, kept, decay, DECOUPLED, BETA1, BETA2, EPSILON)


@triton.jit
def moved(
    values,
    first,
    second,
    at,
    g,
    inside,
    rate,
    large,
    kept,
    decay,
    DECOUPLED: constexpr,
    BETA1: constexpr,
    BETA2: constexpr,
    EPSILON: constexpr,
):
    """One update of the numbers at places `at` by their gradient g, and what they are then; `rate` and `large` as `walk` leaves
    them, `kept` is what a decay that is decoupled leaves."""
    p = tl.load(values + at, mask=inside, other=0.0)
    a, b = tl.load(first + at, mask=inside, other=0.0), tl.load(second + at, mask=inside, other=0.0)
    if DECOUPLED:
        p *= kept
    else:
        g += decay * p
    a += (1 - BETA1) * (g - a)
    b = BETA2 * b + (1 - BETA2) * g * g
    tl.store(first + at, a, mask=inside)
    tl.store(second + at, b, mask=inside)
    p = p - rate * a / (tl.sqrt(b) / large + EPSILON)
    tl.store(values + at, p, mask=inside)
    return p


@triton.jit
def added(total, left, right, EXACT: constexpr):
    """total + left right, by products 'ieee' or 'tf32', or of what 'bf16' leaves of the numbers, which tf32 has room for; sums have 32 bits."""
    if EXACT == "bf16":
        left, right = left.to(tl.bfloat16).to(tl.float32), right.to(tl.bfloat16).to(tl.float32)
        total = tl.dot(left, right, total, input_precision="tf32")
    else:
        total = tl.dot(left, right, total, input_precision=EXACT)
    return total


@triton.jit
def sum_of(parts, n, P: constexpr):
    total = tl.zeros((P,), tl.float32)
    for start in range(0, n, P):
        at = start + tl.arange(0, P)
        total += tl.load(parts + at, mask=at < n, other=0.0)
    return tl.sum(total)


@triton.jit(do_not_specialize=["n", "n_kl"])
def finish(
    parts,
    n,
    kl,
    n_kl,
    weight,
    losses,
    steps,
    rate,
    pace,
    DRAWN: constexpr,
    ADAM: constexpr,
    BETA1: constexpr,
    BETA2: constexpr,
    P: constexpr,
):
    """losses = [loss, reconstruction, weighted KL]; what `update` goes by where it is ADAM. One program, of one warp: what it reads and
    writes again, no other thread may have written before."""
    loss = sum_of(parts, n, P)
    tl.store(losses + 1, loss)
    if DRAWN:
        of_kl = tl.load(weight).to(tl.float32) * sum_of(kl, n_kl, P)
        tl.store(losses + 2, of_kl)
        loss += of_kl
    tl.store(losses, loss)
    if ADAM:
        walk(loss * 0 == 0, steps, tl.load(rate).to(tl.float32), pace, BETA1, BETA2)


@triton.jit(do_not_specialize=["m"])
def update(
    table,
    room,
    values,
    turned,
    gradients,
    first,
    second,
    pace,
    m,
    decay,
    ADAM: constexpr,
    DECOUPLED: constexpr,
    BETA1: constexpr,
    BETA2: constexpr,
    EPSILON: constexpr,
    EXACT: constexpr,
    M: constexpr,
    N: constexpr,
    K: constexpr,
):
    """For the tiles of all weights in `table` (int32, one row each, see `tiled.Tiled._tables`) the gradient g^T x, and that of the biases at
    the first column of tiles; then Adam (Kingma & Ba 2015; decoupled decay: Loshchilov & Hutter 2019), or into `gradients`. The weights
    (n, k) lie in `turned` a second time, as (k, n)."""
    row = table + tl.program_id(0) * 8
    g, x = room + tl.multiple_of(tl.load(row), 16), room + tl.multiple_of(tl.load(row + 1), 16)
    weight, bias = tl.load(row + 2), tl.load(row + 3)
    n, k = tl.load(row + 4), tl.load(row + 5)
    ns, ks = tl.load(row + 6) + tl.arange(0, N), tl.load(row + 7) + tl.arange(0, K)
    total, by_image = tl.zeros((N, K), tl.float32), tl.zeros((N, M), tl.float32)
    for start in range(0, m, M):
        rows = start + tl.arange(0, M)
        left = tl.load(g + rows[None, :] * n + ns[:, None], mask=(rows < m)[None, :] & (ns < n)[:, None], other=0.0)
        right = tl.load(x + rows[:, None] * k + ks[None, :], mask=(rows < m)[:, None] & (ks < k)[None, :], other=0.0)
        total = added(total, left, right, EXACT)
        by_image += left
    of_bias = tl.sum(by_image, 1)
    height = n
    if ADAM:
        n = tl.where(tl.load(pace + 2) > 0, n, 0)  # nothing is inside where the loss is not finite
    inside, edge = (ns < n)[:, None] & (ks < k)[None, :], (ns < n) & (ns * 0 + tl.load(row + 7) == 0)
    at, at_bias = weight + ns[:, None] * k + ks[None, :], bias + ns
    if ADAM:
        rate, large, kept = tl.load(pace), tl.load(pace + 1), 1 - tl.load(pace + 3) * decay
        p = moved(values, first, second, at, total, inside, rate, large, kept, decay, DECOUPLED, BETA1, BETA2, EPSILON)
        known = (ks < k)[:, None] & (ns < n)[None, :]
        tl.store(turned + weight + ks[:, None] * height + ns[None, :], tl.trans(p), mask=known)
        moved(values, first, second, at_bias, of_bias, edge, rate, large, kept, decay, DECOUPLED, BETA1, BETA2, EPSILON)
    else:
        tl.store(gradients + at, total, mask=inside)
        tl.store(gradients + at_bias, of_bias, mask=edge)
