"""Which code of the parsers an input reaches: the steps from one line to the next, seen by Python's own trace hook."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import parsers

_FOLDER: Final = str(Path(parsers.__file__).parent)

T = TypeVar("T")


class Reach:
    """The steps that were seen so far."""

    def __init__(self) -> None:
        self.steps: set[tuple[str, int, int]] = set()

    def widened(self, work: Callable[[], T]) -> tuple[T, bool]:
        """What ``work`` returns, and whether it took a step that none took before it."""
        before = len(self.steps)
        add = self.steps.add

        def enter(frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
            file = frame.f_code.co_filename
            if not file.startswith(_FOLDER):
                return None
            last = 0

            def step(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
                nonlocal last
                add((file, last, frame.f_lineno if event != "return" else -frame.f_lineno))
                last = frame.f_lineno
                return step

            return step

        traced = sys.gettrace()
        sys.settrace(enter)
        try:
            found = work()
        finally:
            sys.settrace(traced)
        return found, len(self.steps) > before
