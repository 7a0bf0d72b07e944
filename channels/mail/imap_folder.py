"""Opens a folder on an IMAP server, and what the server says of it. Blocks; used in the thread."""

from dataclasses import dataclass

from imapclient import IMAPClient


@dataclass(frozen=True, slots=True)
class Opened:
    """What the server said of the folder that was opened.

    Attributes:
        validity: Its UIDVALIDITY.
        next_uid: Its UIDNEXT; None where the server does not say it, as RFC 3501, 6.3.1 allows.
        last_uid: The highest UID that there may be.
        exists: How many mails lie there.
        flags: Those that it keeps, in lower case.
        capabilities: What the server can do, in upper case.
    """

    validity: int
    next_uid: int | None
    last_uid: int
    exists: int
    flags: frozenset[str]
    capabilities: tuple[str, ...]


def open_folder(client: IMAPClient, folder: str) -> Opened:
    """Opens a folder for reading and changing (RFC 9051, 6.3.2).

    Raises:
        IMAPClientReadOnlyError: It may only be read.
        IMAPClientError: The server does not open it.
    """
    capabilities = tuple(sorted(name.decode("ascii", "replace").upper() for name in client.capabilities()))
    found = client.select_folder(folder)
    exists = int(found.get(b"EXISTS", 0))
    next_uid = int(found.get(b"UIDNEXT", 0)) or None
    flags = found.get(b"PERMANENTFLAGS", found.get(b"FLAGS", ()))
    last_uid = next_uid - 1 if next_uid else max(client.search("*"), default=0) if exists else 0
    return Opened(
        int(found[b"UIDVALIDITY"]),
        next_uid,
        last_uid,
        exists,
        frozenset(flag.decode("ascii", "replace").lower() for flag in flags),
        capabilities,
    )
