"""One run's folder: what the trainer writes and the pages read, in formats that any tool opens."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aecore.analysis.watched import Inputs
from aecore.config import ConfigError, Facts, RunConfig, reads, writes
from aecore.runs import files

METRICS_HEADER = "step,epoch,split,name,value\n"
TIMING_HEADER = "step,epoch,seconds,images_per_second,device_memory,device_load\n"

MetricRow = tuple[int, int, str, str, float]
"""step, epoch, split, name, value."""


class TimingRow(NamedTuple):
    """How fast a run is, about every second."""

    step: int
    epoch: int
    seconds: float
    """Since the start of the training."""
    images_per_second: float
    device_memory: int
    """Bytes."""
    device_load: float | None = None
    """Share of the time in which the device was busy, 0 to 1; None where it is not known, and in older files."""


class SampleFile(NamedTuple):
    """What the model made of the inputs at one step."""

    x_hat: np.ndarray
    """(n <= 64, C, H, W) uint8."""
    codes: np.ndarray
    """(m <= 2000, D) float32."""
    errors: np.ndarray
    """(N,) float32: mean squared error per pixel, in [0,1] units, of every image of the watched split."""
    step: int
    epoch: int
    seconds: float
    """Seconds of training until then."""
    notable: np.ndarray | None = None
    """(k <= 128,) int64: places among the watched images of the best, typical and worst; None in older files."""
    notable_x_hat: np.ndarray | None = None
    """(k, C, H, W) uint8."""


MOMENT = ("step", "epoch", "seconds")


class RunFolder:
    """A run's folder by its path. Reading what is not there yet gives None or nothing; writing is atomic or append-only."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def log_path(self) -> Path:
        return self.path / "log.txt"

    def create(self, config: RunConfig) -> None:
        """Make the folder of a new run. Raises OSError, and leaves nothing behind then."""
        self.path.mkdir(parents=True)
        try:
            (self.path / "samples").mkdir()
            self.checkpoints.mkdir()
            files.write_text(self.path / "config.json", writes(config))
            files.flush(self.path.parent)  # the database says soon, durably, that the run exists
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def config(self) -> RunConfig:
        """The run's configuration. Raises ConfigError with a sentence where it is missing or damaged."""
        try:
            return reads((self.path / "config.json").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", "it is no text")
            raise ConfigError({"": f"The configuration of run {self.id} cannot be read: {why}."}) from None
        except ConfigError as error:
            named = {path: f"config.json of run {self.id}: {said}" for path, said in error.fields.items()}
            raise ConfigError(named) from None

    @property
    def reachable(self) -> bool:
        """Whether what the run was made of is still there and can be read."""
        try:
            return bool((self.path / "config.json").read_bytes())
        except OSError:
            return False

    def model(self) -> dict[str, Any] | None:
        """What the trainer wrote of its model at the start: facts, layers, parameters, code_shape, code_size, device, versions."""
        return files.told(self.path, "model.json")

    def write_model(self, content: dict[str, Any]) -> None:
        files.write_json(self.path / "model.json", content)

    def facts(self) -> Facts | None:
        """Facts of the data that the run was trained on; None before it started."""
        model = self.model()
        return None if model is None else Facts.read(model["facts"])

    def result(self) -> dict[str, Any] | None:
        """Final figures: loss, mse, psnr, ssim, parameters, code_size, seconds, steps, images_per_second, reason."""
        return files.told(self.path, "result.json")

    def write_result(self, content: dict[str, Any]) -> None:
        files.write_json(self.path / "result.json", content)

    def metrics(self, after: int = 0, until: int | None = None) -> tuple[list[MetricRow], int]:
        """Rows from byte `after` on, `until` at most, and the byte to go on from. A line that is being written is left out."""
        lines, end = _complete_lines(self.path / "metrics.csv", after, until)
        fields = (line.split(",") for line in lines if not line.startswith("step"))
        return [(int(step), int(epoch), split, name, float(value)) for step, epoch, split, name, value in fields], end

    def append_metrics(self, rows: Iterable[MetricRow]) -> int:
        """Add rows to metrics.csv; returns the file's length in bytes."""
        return _append(self.path / "metrics.csv", METRICS_HEADER, "".join(map(metric_line, rows)))

    def timing(self, after: int = 0, until: int | None = None) -> tuple[list[TimingRow], int]:
        """Rows from byte `after` on, one about every second, up to byte `until` at most, and the byte to go on from."""
        lines, end = _complete_lines(self.path / "timing.csv", after, until)
        return [_timing(line) for line in lines if not line.startswith("step")], end

    def append_timing(self, row: TimingRow) -> None:
        _append(self.path / "timing.csv", TIMING_HEADER, timing_line(row))

    def sync_metrics(self) -> None:
        """See to it that the metrics survive a power failure: a checkpoint must not know of rows that are lost."""
        files.flush(self.path / "metrics.csv")

    def rewind(self, metrics_bytes: int, step: int) -> None:
        """Take back what an attempt wrote after its last checkpoint, of `step`; the metrics get a new inode."""
        metrics = self.path / "metrics.csv"
        if metrics.exists():
            with metrics.open("rb") as file:
                kept = file.read(metrics_bytes)
            files.write(metrics, lambda file: file.write(kept))
        lines, _ = _complete_lines(self.path / "timing.csv", 0)
        if lines:
            text = "".join(f"{line}\n" for line in lines[1:] if int(line.partition(",")[0]) <= step)
            files.write_text(self.path / "timing.csv", TIMING_HEADER + text)
        for later in [kept for kept in self.sample_steps() if kept > step]:
            self.drop_sample(later)

    def begin_from(self, parent: "RunFolder", checkpoint: Path, metrics_bytes: int) -> None:
        """Go on in this new folder where another run's checkpoint ended: its files are linked, they never change."""
        shutil.copytree(checkpoint, self.checkpoints / checkpoint.name, copy_function=_link)
        shutil.copytree(parent.path / "samples", self.path / "samples", copy_function=_link, dirs_exist_ok=True)
        for name in ("metrics.csv", "timing.csv"):
            if (parent.path / name).exists():
                shutil.copyfile(parent.path / name, self.path / name)
        self.rewind(metrics_bytes, int(checkpoint.name.partition("-")[0]))

    def inputs(self) -> Inputs | None:
        """The watched images; None before the first sample."""
        arrays = files.read_arrays(self.path / "samples" / "inputs.npz")
        words = {name: str(arrays[name]) for name in ("split", "target") if arrays and name in arrays}
        return None if arrays is None else Inputs(**(arrays | words))  # type: ignore[arg-type]

    def write_inputs(self, inputs: Any) -> None:
        """Keep the watched images: anything with the fields of `Inputs`."""
        given = {name: getattr(inputs, name) for name in Inputs._fields}
        arrays = {name: np.asarray(value) for name, value in given.items() if value is not None}
        files.write_arrays(self.path / "samples" / "inputs.npz", **arrays)

    def sample_steps(self) -> list[int]:
        """Steps of which there is a sample, in order."""
        return sorted(int(path.stem) for path in (self.path / "samples").glob("[0-9]*.npz"))

    def sample(self, step: int) -> SampleFile | None:
        """What the model made of the inputs at this step; None where no sample was taken."""
        arrays = files.read_arrays(self.sample_path(step))
        if arrays is None:
            return None
        moment: dict[str, Any] = {"step": step, "epoch": int(arrays["epoch"]), "seconds": float(arrays["seconds"])}
        return SampleFile(**(arrays | moment))

    def write_sample(self, sample: Any, step: int, epoch: int, seconds: float) -> None:
        """Keep a sample: anything with x_hat, codes and errors, and the notable images where it has them."""
        arrays = {name: getattr(sample, name, None) for name in SampleFile._fields if name not in MOMENT}
        known = {name: array for name, array in arrays.items() if array is not None}
        files.write_arrays(self.sample_path(step), **known, epoch=epoch, seconds=seconds)

    def drop_sample(self, step: int) -> None:
        self.sample_path(step).unlink(missing_ok=True)

    def sample_path(self, step: int) -> Path:
        """The file of the sample of this step, whether it is there or not."""
        return self.path / "samples" / f"{step:08d}.npz"

    def log(self, tail: int = 200) -> str:
        """The last lines that the run's process printed."""
        return files.tail(self.log_path, tail)

    def analysis(self, split: str) -> dict[str, np.ndarray] | None:
        """codes (n, D) float32, labels (n,), errors (n,), indices (n,) = place in that split; None before it was analysed.

        'measures', 'shown-test' and 'shown-watched' are what `aecore.analysis.columns` makes.
        """
        return files.read_arrays(self.path / "analysis" / f"{split}.npz")

    def analysis_metrics(self) -> dict[str, Any] | None:
        """Metrics on the test split and the baselines' at the same code size; None before the run was analysed."""
        return files.told(self.path, "analysis/metrics.json")

    def write_analysis(self, splits: dict[str, dict[str, np.ndarray]], metrics: dict[str, Any]) -> None:
        """Put a whole analysis in place at once: one .npz a split, and metrics.json."""
        made, old, place = (self.path / f"{prefix}analysis" for prefix in (f".{os.getpid()}-", ".old-", ""))
        for left in self.path.glob(".*-analysis"):  # of a process that was killed here
            if left in (made, old) or left.stat().st_mtime < time.time() - 3600:
                shutil.rmtree(left, ignore_errors=True)
        try:
            made.mkdir()
            for split, arrays in splits.items():
                files.write_arrays(made / f"{split}.npz", **arrays)
            files.write_json(made / "metrics.json", metrics)
            with contextlib.suppress(FileNotFoundError):
                place.rename(old)
            made.rename(place)
        finally:
            shutil.rmtree(made, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def metric_line(row: MetricRow) -> str:
    """One line of metrics.csv: nine significant digits say a 32-bit float exactly."""
    step, epoch, split, name, value = row
    return f"{step},{epoch},{split},{name},{value:.9g}\n"


def timing_line(row: TimingRow) -> str:
    """One line of timing.csv."""
    load = "" if row.device_load is None else f"{row.device_load:.3f}"
    return f"{row.step},{row.epoch},{row.seconds:.3f},{row.images_per_second:.1f},{row.device_memory},{load}\n"


def _timing(line: str) -> TimingRow:
    step, epoch, seconds, speed, memory, *load = line.split(",")
    known = float(load[0]) if load and load[0] else None
    return TimingRow(int(step), int(epoch), float(seconds), float(speed), int(memory), known)


def _complete_lines(path: Path, after: int, until: int | None = None) -> tuple[list[str], int]:
    try:
        with path.open("rb") as file:
            file.seek(after)
            content = file.read(-1 if until is None else max(0, until - after))
    except FileNotFoundError:
        return [], after
    end = content.rfind(b"\n") + 1
    return content[:end].decode("ascii").splitlines(), after + end


def _append(path: Path, header: str, text: str) -> int:
    """Add all of it or nothing: half a line would stay in the file for good, and whoever tries again would add it twice."""
    begin = path.stat().st_size if path.exists() else 0
    content = ((header if begin == 0 else "") + text).encode("ascii")
    try:
        with path.open("ab", buffering=0) as file:
            while content:
                content = content[file.write(content) :]
            end = file.tell()
    except OSError:  # closing can fail, too
        with contextlib.suppress(FileNotFoundError):
            os.truncate(path, begin)
        raise
    return end


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
    return target
