"""Every kernel in Triton's language is compiled for a GPU that need not be there: the interpreter of the other tests takes more than
the compiler does. Run by `tests/test_tiled.py` in a process of its own, where nothing is interpreted.

    python -m tests.compile_kernels
"""

from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from aecore.training.engines import moves, tiles

POINTERS = {"images": "*u8", "chosen": "*i64", "order": "*i64", "clock": "*i64", "table": "*i32"}
FLOATS = ("slope", "share", "span", "low", "decay", "times")
INTEGERS = (
    "m",
    "n",
    "k",
    "d",
    "w_n",
    "w_k",
    "pixels",
    "n_kl",
    "terms",
    "stride",
    "padding",
    "h_in",
    "w_in",
    "h_out",
    "w_out",
)
CUT = {"EXACT": "ieee", "M": 16, "N": 16, "K": 64}
BETAS = {"BETA1": 0.9, "BETA2": 0.999}


def kind_of(name: str, kernel: str) -> str:
    if name in POINTERS:
        return POINTERS[name]
    if name in INTEGERS or name[:2] in ("x_", "g_", "k_") or (name, kernel) == ("share", "weights_of_convolution"):
        return "i32"
    return "fp32" if name in FLOATS else "*fp32"


def compiled(kernel: Any, capability: int, **constants: object) -> None:
    name = kernel.fn.__name__
    signature = {each: "constexpr" if each in constants else kind_of(each, name) for each in kernel.arg_names}
    places = {(kernel.arg_names.index(each),): value for each, value in constants.items()}
    triton.compile(ASTSource(kernel, signature, places), target=GPUTarget("cuda", capability, 32))


def all_of(capability: int, kinds: range) -> None:
    for kind in kinds:
        compiled(tiles.forward, capability, KIND=kind, **CUT)
        compiled(tiles.backward, capability, KIND=kind, **CUT)
        compiled(tiles.end, capability, KIND=kind, LOSS=kind % 3, **CUT)
    for precision in ("tf32", "bf16"):
        cut = CUT | {"EXACT": precision}
        compiled(tiles.forward, capability, KIND=1, **cut)
        compiled(moves.update, capability, ADAM=True, DECOUPLED=False, EPSILON=1e-8, **BETAS, **cut)
    compiled(tiles.gather, capability, P=1024)
    compiled(tiles.draw, capability, P=256)
    compiled(tiles.undraw, capability, P=256)
    compiled(tiles.weights_of_convolution, capability, **CUT)
    compiled(moves.take, capability, P=1024)
    compiled(moves.keep, capability, UNREAD=1024, P=32)
    compiled(moves.paced, capability, P=32, **BETAS)
    for flag in (False, True):
        rule = {"DECOUPLED": flag, "EPSILON": 1e-8} | BETAS
        compiled(moves.adam, capability, P=1024, **rule)
        compiled(moves.update, capability, ADAM=flag, **rule, **CUT)
        compiled(moves.finish, capability, DRAWN=flag, ADAM=flag, P=256, **BETAS)


if __name__ == "__main__":
    all_of(80, range(1, 2))
    all_of(90, range(8))
    print("compiled")
