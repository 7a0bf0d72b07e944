"""Measures the mails that are made to take long: ``python -m tests.fuzz.large``; each in a process of its own.

Ends with 1 if one takes more than 2 s of processor time or 200 MB beyond what the process had before.
"""

import os
import resource
import sys
import time
from pathlib import Path
from typing import Final

from gateway.parsing import Profile
from parsers import mail
from tests.corpus import mail as corpus

MOST_SECONDS: Final = 2.0
MOST_MEGABYTES: Final = 200
_CPU_LIMIT: Final = 60


def measured(name: str) -> int:
    """Parses one mail in this process, prints what it took, and says whether that was too much."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_LIMIT, _CPU_LIMIT))
    mail.parse([next(iter(corpus.stored().values()))], Profile())  # whatever is made once
    raw = corpus.LARGE[name]()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here on
    before = _peak()
    start = time.process_time()
    parsed = mail.parse([raw], Profile())
    seconds = time.process_time() - start
    megabytes = (_peak() - before) // 1024
    print(  # noqa: T201 - a report for a person
        f"{name:34} {len(raw) / 1e6:5.1f} MB  {seconds:5.2f} s  {megabytes:4} MB"
        f"  text {len(parsed.text)}, files {len(parsed.attachments)}",
        flush=True,
    )
    return int(seconds > MOST_SECONDS or megabytes > MOST_MEGABYTES)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> int:
    """Measures all; returns how many took too much."""
    failed = 0
    for name in corpus.LARGE:
        child = os.fork()
        if child == 0:
            os._exit(measured(name))
        failed += os.waitpid(child, 0)[1] != 0
    print(f"{failed} of {len(corpus.LARGE)} took more than {MOST_SECONDS} s or {MOST_MEGABYTES} MB")  # noqa: T201
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
