"""A secret in the settings: a literal, ``env:NAME`` or ``file:/path``; never shown."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr


def resolve_secret(value: object) -> object:
    """Replaces ``env:NAME`` and ``file:/path`` by what they name.

    Raises:
        ValueError: The variable is not set, or the file cannot be read.
    """
    if not isinstance(value, str):
        return value
    if value.startswith("env:"):
        name = value.removeprefix("env:")
        if name not in os.environ:
            message = f"the environment variable {name} is not set"
            raise ValueError(message)
        return os.environ[name]
    if value.startswith("file:"):
        path = Path(value.removeprefix("file:"))
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            message = f"the file {path} cannot be read ({type(error).__name__})"
            raise ValueError(message) from error
    return value


Secret = Annotated[SecretStr, BeforeValidator(resolve_secret)]
"""The type of a secret setting."""
