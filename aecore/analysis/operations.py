"""How much work one image is."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from aecore.config import Facts
from aecore.models import Autoencoder, Batch


def operations(model: Autoencoder, facts: Facts) -> int:
    """Multiplications and additions of the layers that encode and decode one image: two for each weight that is used once.

    Activations, norms and biases are not counted, as is the custom.
    """
    x, label = torch.zeros(1, *facts.shape, device=model.device), torch.zeros(1, dtype=torch.int64, device=model.device)
    with model.evaluating(), _Counter() as counter:
        model(Batch(x, x, label))
    return counter.total


MADE = torch._C.DispatchKey.CompositeImplicitAutograd
"""Of operations that are made of others. In C++: what Python has of some, such as `matmul`, imports sympy, half a second."""


def _recurrent(x: Tensor, into: Tensor, onward: Tensor, *rest: Any, out_val: Any) -> int:
    """Of one layer in one direction, x (steps, batch, features): each of its two matrices of weights once a step."""
    return 2 * len(x) * x.shape[1] * (into.numel() + onward.numel())


FORMULAS = flop_registry | {torch.ops.aten.mkldnn_rnn_layer: _recurrent}
"""PyTorch's own, which count an LSTM on a processor as nothing."""


class _Counter(TorchDispatchMode):
    """Adds up PyTorch's own formulas, as its `FlopCounterMode` does, which imports torch._dynamo, 1.7 seconds, so as to hide from it."""

    total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = FORMULAS.get(func._overloadpacket)
        if formula is None:
            with self:  # what has no formula may be made of operations that have one
                if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), MADE):
                    return func._op_dk(MADE, *args, **kwargs)
        out = func(*args, **kwargs)
        if formula is not None:
            self.total += int(formula(*args, **kwargs, out_val=out))
        return out
