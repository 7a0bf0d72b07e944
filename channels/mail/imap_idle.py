"""What IMAPClient leaves out of IDLE (RFC 2177): news that came before anybody listened. Blocks; used in the thread."""

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError


def begin_idle(client: IMAPClient, timeout: float) -> bool:
    """Begins to idle. Whether something was said already: it lies in imaplib's buffer, where no poll sees it."""
    try:
        client.idle()
    except IMAPClientAbortError:
        raise
    except IMAPClientError:  # it said something else before it agreed, or it refused
        imap, tag = client._imap, client._idle_tag  # noqa: SLF001 - the library gives up here, the server does not
        while not imap.tagged_commands.get(tag):
            if imap._get_response() is None:  # noqa: SLF001 - likewise
                return True
        raise
    sock = client.socket()
    sock.settimeout(0)
    try:
        return bool(client._imap.file.peek(1))  # noqa: SLF001 - there is no other way to know
    except OSError:
        return False
    finally:
        sock.settimeout(timeout)


def announced(client: IMAPClient) -> bool:
    """Whether the server spoke of new mails since this was asked last."""
    told: list[bytes | None] = client._imap.response("EXISTS")[1]  # noqa: SLF001 - the library tells it of NOOP and IDLE only
    return told != [None]
