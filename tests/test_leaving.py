"""What visitors who have left held goes back to the machine, and nobody is held up while nobody leaves."""

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.runtime import Runtime
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from ui import leaving


class Page:
    """Something that holds itself, as a session does."""

    def __init__(self) -> None:
        self.own = self


def manager(seconds: int) -> Any:
    """Streamlit's own, which holds one session that was left, and forgets it after so many seconds."""
    left: Any = SimpleNamespace(id="left")
    storage = MemorySessionStorage(ttl_seconds=seconds)
    storage.save(SessionInfo(client=None, session=left, script_run_count=1))
    nothing: Any = None
    return WebsocketSessionManager(storage, nothing, nothing, nothing)


def test_a_session_that_was_left_is_held_for_a_while_and_then_forgotten() -> None:
    assert leaving.kept(manager(120)) == 1
    old = manager(0)
    assert leaving.kept(old) == 0
    assert len(old._session_storage._cache) == 0
    assert "_session_mgr" in Runtime.__init__.__code__.co_names, "where the manager is found"


def test_what_holds_itself_is_given_back() -> None:
    gc.disable()
    try:
        page = Page()
        seen = weakref.ref(page)
        del page
        assert seen() is not None
        leaving.given_back()
        assert seen() is None
    finally:
        gc.enable()


def test_it_is_given_back_only_when_somebody_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    held, looks, given = iter([0, 3, 3, 5, 2, 2, 0]), [], []

    def look(manager: Any) -> int:
        looks.append(next(held, None))
        if looks[-1] is None:
            raise asyncio.CancelledError  # the dashboard ends
        return looks[-1]

    monkeypatch.setattr(leaving, "EVERY", 0)
    monkeypatch.setattr(leaving, "kept", look)
    monkeypatch.setattr(leaving, "given_back", lambda: given.append(looks[-1]))
    monkeypatch.setattr(leaving, "Runtime", SimpleNamespace(instance=lambda: SimpleNamespace(_session_mgr=None)))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(leaving.tidied())
    assert given == [2, 0]
