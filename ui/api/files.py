"""The files of a run's checkpoints, as they lie on the disk: streamed, resumable, with their digests."""

import base64
import re
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from aecore import manifest
from aecore.runs import Lab, LabError, rights
from aecore.runs.rights import Role
from ui import tickets
from ui.caching import NEVER
from ui.lab import visitor, whole

COMMITTED = re.compile(r"\d+-\d+")


class Kept(NamedTuple):
    """A file of a checkpoint."""

    name: str
    size: int
    sha256: str


def kept(checkpoint: Path) -> list[Kept]:
    """What a checkpoint holds, by its manifest. Raises OSError or ValueError where that cannot be read."""
    return [Kept(name, int(size), str(digest)) for name, (size, digest) in manifest.read(checkpoint)["files"].items()]


class Whole(FileResponse):
    chunk_size = 1 << 20
    """Bytes in memory at a time; Starlette's 64 KiB are many turns for gigabytes."""


def checkpoint(request: Request) -> Response:
    """`/api/checkpoint/{run}/{stamp}/{name}?ticket=`: a file of a checkpoint. Its ETag is its sha256; any range of it may be asked
    for, so that a download that broke off goes on."""
    run, stamp, name = (request.path_params[part] for part in ("run", "stamp", "name"))
    here = whole()
    who = tickets.holder(here, request.query_params.get("ticket", ""), run, stamp, name)
    if who is None or _somebody_else(who):
        return _said("This address holds for one person and one day: take it anew from the run's page.", 403)
    try:
        return _file(here.seen_by(rights.person(here.settings.access, who)), run, stamp, name)
    except LabError:
        return _said("There is no such run, or you may not see it any more.", 403)
    except (OSError, ValueError):
        return _said(
            "This checkpoint is not there any more, or cannot be read: the run's page has the newest one.", 404
        )


def _somebody_else(who: str) -> bool:
    asks = visitor()
    return asks.role is not Role.NOBODY and asks.name != who


def _file(seen: Lab, run: str, stamp: str, name: str) -> Response:
    folder = seen.run(run).checkpoints
    if not COMMITTED.fullmatch(stamp):
        raise FileNotFoundError(stamp)
    found = {one.name: one for one in kept(folder / stamp)}
    if name not in found:
        raise FileNotFoundError(name)
    path, digest = folder / stamp / name, found[name].sha256
    headers = {
        "ETag": f'"{digest}"',
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:",
        "Cache-Control": "private, no-transform",
        "Content-Encoding": "identity",  # weights do not compress, and a compressed answer has no ranges
    }
    return Whole(
        path, headers=headers, stat_result=path.stat(), media_type="application/octet-stream", filename=f"{run}-{name}"
    )


def _said(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence, status, NEVER)


ROUTES = [Route("/api/checkpoint/{run}/{stamp}/{name}", checkpoint)]
