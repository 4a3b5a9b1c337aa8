"""What one person may have of a lab: nothing is limited unless somebody says so."""

from pydantic import Field

from aecore.config.base import Settings


class PersonLimits(Settings):
    """`per_person` in a lab's `settings.json`. An empty field is no limit."""

    waiting: int | None = Field(
        None, ge=1, le=100_000, title="Runs waiting", description="Runs that a person may have in the queue."
    )
    at_once: int | None = Field(
        None, ge=1, le=1024, title="Runs at once", description="Runs of a person that train at the same time."
    )
    hours: float | None = Field(
        None, gt=0, le=100_000, title="Hours of a run", description="A run that held its slots for longer is stopped."
    )
    gigabytes: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        title="Gigabytes",
        description="Disk that the runs of a person may take: then none is queued, and those that train save and wait. Deleted ones do not count.",
    )
