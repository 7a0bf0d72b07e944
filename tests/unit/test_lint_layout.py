"""The layout's own linter finds what it is there to find."""

from pathlib import Path

import pytest

from tests.lint_layout import faults

GOOD_LOCK = "six==1.16.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("queue/x.py", '"""Says what it is for."""\n', "holds no Python"),
        ("config/x.py", '"""Says what it is for."""\n', "holds no Python"),
        ("gateway/x.py", "x = 1\n", "first line"),
        ("parsers/x.py", '"""\nLate."""\n' + "x = 1\n" * 500, "502 lines"),
        ("channels/x.py", '"""Says."""\ndef f() -> None:\n' + "    x = 1\n" * 60, "f has 61 lines"),
        ("requirements.lock", "six==1.16.0\n", "no hash"),
        ("requirements.lock", GOOD_LOCK + "--index-url https://example.org/simple\n", "download address"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, path: str, text: str, fault: str) -> None:
    """Each rule has a file that breaks it."""
    target = tmp_path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    assert any(fault in each for each in faults(tmp_path))


def test_a_good_layout_has_no_fault(tmp_path: Path) -> None:
    """A linter that always complains would be as useless as one that never does."""
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "x.py").write_text('"""Says what it is for."""\n')
    (tmp_path / "requirements.lock").write_text(GOOD_LOCK)
    assert list(faults(tmp_path)) == []
