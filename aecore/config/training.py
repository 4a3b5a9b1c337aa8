"""How a model is trained."""

from typing import Literal

from pydantic import Field

from aecore.config.base import Config


class TrainingConfig(Config):
    """Optimiser, schedule, data order and where it runs."""

    epochs: int = Field(10, ge=1, le=100_000, title="Epochs", description="Passes over the training images.")
    batch_size: int = Field(128, ge=1, le=65536, title="Batch size", description="Images in one optimisation step.")
    optimiser: Literal["adam", "adamw", "sgd"] = Field(
        "adam", title="Optimiser", description="Adam, Adam with decoupled weight decay, or plain gradient descent."
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, title="Learning rate", description="Step size of the optimiser.")
    weight_decay: float = Field(
        0.0, ge=0, le=10, title="Weight decay", description="L2 penalty, or decoupled decay for AdamW."
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", title="Schedule", description="Keep the learning rate, or lower it to 0 along a half cosine."
    )
    warmup_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Warm-up steps",
        description="Steps in which the learning rate rises linearly from 0.",
    )
    clip_norm: float | None = Field(
        None, gt=0, title="Gradient clipping", description="Largest norm of the whole gradient. Empty does not clip."
    )
    early_stopping: int = Field(
        0,
        ge=0,
        le=10_000,
        title="Early stopping",
        description="Stop after this many epochs without a better loss. 0 never stops.",
    )
    watch_every: int = Field(
        1,
        ge=1,
        le=10_000,
        title="Watch every",
        description="Epochs between two evaluations of the held-out images; the untrained and the final model always are.",
    )
    augmentation: Literal["none", "flip", "shift"] = Field(
        "none", title="Augmentation", description="Mirror images at random, or move them by up to two pixels."
    )
    subset: int | None = Field(
        None, ge=1, title="Training images", description="Train on this many images only. Empty takes all."
    )
    subset_order: Literal["random", "file"] = Field(
        "random",
        title="Which of them",
        description="A seeded random choice, or the first ones in the order of the file.",
    )
    classes: tuple[str, ...] = Field(
        (), title="Classes", description="Train and watch these classes only, by name. Empty takes all."
    )
    shuffle: bool = Field(True, title="Shuffle", description="A new order of the images in each epoch.")
    max_steps: int | None = Field(
        None,
        ge=1,
        title="Step limit",
        description="End after this many steps even if epochs are left. Empty does not limit.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Seed", description="Seed of the weights, of the order and of the noise."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", title="Device", description="Where to train; auto takes a GPU when there is one."
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        title="GPUs",
        description="GPUs (or CPU slots) that train this run together; each takes its part of every batch.",
    )
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        title="Precision",
        description="32-bit floats; products of 19 bits on a GPU that has them (TF32); or products of bfloat16, on a GPU or a "
        "processor that has them.",
    )
    engine: Literal["auto", "eager", "graphs"] = Field(
        "auto",
        title="Engine",
        description="How a step is computed; auto takes the fastest tested way, eager PyTorch's own operations, graphs "
        "records steps as CUDA graphs (one GPU).",
    )
    exact: bool = Field(
        True,
        title="Exact",
        description="Fix engine and threads at the first step, so that a resumed run is the same byte for byte.",
    )
