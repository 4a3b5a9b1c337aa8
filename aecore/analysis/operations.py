"""How much work one image is."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from aecore.config import Facts
from aecore.models import Autoencoder, Batch


def operations(model: Autoencoder, facts: Facts) -> int:
    """Multiplications and additions of the layers that encode and decode one image: two for each weight that is used once.

    Activations, norms and biases are not counted, as is the custom.
    """
    x, label = torch.zeros(1, *facts.shape, device=model.device), torch.zeros(1, dtype=torch.int64, device=model.device)
    with model.evaluating(), FlopCounterMode(display=False) as counter:
        model(Batch(x, x, label))
    return int(counter.get_total_flops())
