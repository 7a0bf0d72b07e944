"""Measures the messages that are made to take long: ``python -m tests.fuzz.large``; each in a process of its own.

Ends with 1 if one takes more than 2 s of processor time or 200 MB beyond what the process had before.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gateway.errors import Quarantine
from tests.corpus import mail as corpus
from tests.fuzz import large_records
from tests.fuzz.targets import Target, targets

MOST_SECONDS: Final = 2.0
MOST_MEGABYTES: Final = 200
_CPU_LIMIT: Final = 60
_MESSAGES: Final[Mapping[str, Mapping[str, Callable[[], bytes]]]] = {
    "mail": corpus.LARGE,
    "twitter": large_records.POSTS,
    "sms": large_records.SMS,
}


def measured(target: Target, name: str, make: Callable[[], bytes]) -> int:
    """Parses one message in this process, prints what it took, and says whether that was too much."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_LIMIT, _CPU_LIMIT))
    target.parse(target.built_in[0])  # whatever is made once
    raw = make()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here on
    before = _peak()
    start = time.process_time()
    try:
        parsed = target.parse(raw)
        outcome = f"text {len(parsed.text)}, files {len(parsed.attachments)}"
    except Quarantine as error:
        outcome = f"quarantine: {error}"
    seconds = time.process_time() - start
    megabytes = (_peak() - before) // 1024
    print(  # noqa: T201 - a report for a person
        f"{target.name:8} {name:34} {len(raw) / 1e6:5.1f} MB  {seconds:5.2f} s  {megabytes:4} MB  {outcome}", flush=True
    )
    return int(seconds > MOST_SECONDS or megabytes > MOST_MEGABYTES)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> int:
    """Measures all; returns 1 if any took too much."""
    tried = failed = 0
    for target in targets():
        for name, make in _MESSAGES.get(target.name, {}).items():
            child = os.fork()
            if child == 0:
                os._exit(measured(target, name, make))
            tried += 1
            failed += os.waitpid(child, 0)[1] != 0
    print(f"{failed} of {tried} took more than {MOST_SECONDS} s or {MOST_MEGABYTES} MB")  # noqa: T201
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
