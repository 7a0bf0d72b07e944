"""Checks of the layout that no linter knows; run as ``python -m tests.lint_layout``, one line for each fault."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PRODUCT = ("gateway", "channels", "parsers")
NO_PYTHON = ("queue", "config")
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def faults(root: Path) -> Iterator[str]:
    """Every fault below a folder, as a sentence."""
    for folder in NO_PYTHON:
        for path in (root / folder).rglob("*.py"):
            yield f"{path.relative_to(root)}: {folder}/ holds no Python, it would shadow the standard library"
    for folder in PRODUCT:
        for path in sorted((root / folder).rglob("*.py")):
            yield from _module_faults(path.relative_to(root), path.read_text(encoding="utf-8"))
    for path in root.glob("requirements*.lock"):
        yield from _lock_faults(path.relative_to(root), path.read_text(encoding="utf-8"))


def _module_faults(path: Path, text: str) -> Iterator[str]:
    tree = ast.parse(text)
    first_line = (ast.get_docstring(tree) or "").partition("\n")[0]
    if not first_line.endswith((".", "?", "!", ":")):
        yield f"{path}: the module's first line does not say in a sentence what it is for"
    lines = text.count("\n")
    if lines > LONGEST_FILE:
        yield f"{path}: {lines} lines, more than {LONGEST_FILE}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "migrations" not in path.parts:
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, more than {LONGEST_FUNCTION}"


def _lock_faults(path: Path, text: str) -> Iterator[str]:
    packages = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    for package in packages:
        if not _HASH.search(package):
            yield f"{path}: {package.split()[0]} has no hash"
    if re.search(r"https?://|--index-url|--find-links", text):
        yield f"{path}: it records a download address"


def main() -> int:
    """Prints every fault; returns 1 if there is one."""
    found = list(faults(Path(__file__).parents[1]))
    for fault in found:
        print(fault)  # noqa: T201 - a linter's output
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
