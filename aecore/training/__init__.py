"""Training: a loop that is a generator of rows, the state that a checkpoint keeps, and the images on the device."""

from aecore.training import device, memory
from aecore.training.checkpoints import commit, kept_facts, load_model, restore
from aecore.training.data import Data, prepare
from aecore.training.loop import evaluate, train
from aecore.training.parallel import join
from aecore.training.rows import Diverged, Row
from aecore.training.schedule import images_in, learning_rate, total_steps
from aecore.training.state import Best, Engine, TrainState, start

__all__ = [
    "Best",
    "Data",
    "Diverged",
    "Engine",
    "Row",
    "TrainState",
    "commit",
    "device",
    "evaluate",
    "images_in",
    "join",
    "kept_facts",
    "learning_rate",
    "load_model",
    "memory",
    "prepare",
    "restore",
    "start",
    "total_steps",
    "train",
]
