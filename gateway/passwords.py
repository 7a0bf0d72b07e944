"""Hashes and checks the operators' passwords: Argon2id with the parameters that RFC 9106 recommends second."""

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

SHORTEST: Final = 12
"""Characters of a password. NIST SP 800-63B asks for length and for nothing else."""

LONGEST: Final = 256
_hasher = PasswordHasher()


def problem_of(password: str) -> str | None:
    """What is wrong with a new password, as the end of a sentence; None where nothing is."""
    if len(password) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    if len(password) > LONGEST:
        return f"has more than {LONGEST} characters"
    if "\0" in password:
        return "holds the character NUL"
    return None


def hashed(password: str) -> str:
    """A password's hash, with its own salt. Takes 64 MiB and a good part of a second; for a thread."""
    return _hasher.hash(password.encode("utf-8", "surrogatepass"))


def matches(password: str, known: str) -> bool:
    """Whether a password is that of a hash; likewise for a thread."""
    try:
        return _hasher.verify(known, password.encode("utf-8", "surrogatepass"))
    except (Argon2Error, InvalidHashError):
        return False


def is_outdated(known: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(known)


NOBODYS: Final = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5LW5vYm9keS1ubw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""A hash that no password has: checking against it takes as long as against a real one."""
