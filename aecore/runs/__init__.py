"""The lab's folder, its runs' folders and its database. Free of torch."""

from aecore.runs.folder import Inputs, RunFolder, SampleFile
from aecore.runs.index import Event, RunRow, events, owned_by, run, runs
from aecore.runs.lab import Lab, LabError

__all__ = [
    "Event",
    "Inputs",
    "Lab",
    "LabError",
    "RunFolder",
    "RunRow",
    "SampleFile",
    "events",
    "owned_by",
    "run",
    "runs",
]
