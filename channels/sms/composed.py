"""An SMS as libGammu would return it, made from what a citizen wrote: for tools that have no phone."""

from datetime import datetime
from typing import Any, Final

from channels.sms.alphabet import GSM7
from channels.sms.record import encode_record
from gateway.ports import RawMessage

_NO_HEADER: Final[dict[str, Any]] = {
    "AllParts": -1,
    "ID16bit": -1,
    "ID8bit": -1,
    "PartNumber": -1,
    "Text": b"",
    "Type": "NoUDH",
}


def compose(reporter: str, text: str, moment: datetime, external_id: str) -> RawMessage:
    """One SMS in the channel's raw form; a long one is whole, as its parts are once they have been joined.

    Args:
        reporter: The sender's number.
        text: What was written.
        moment: The service centre's time stamp.
        external_id: The message's identity.
    """
    plain = GSM7.issuperset(text)
    fields = {
        "Class": -1,
        "Coding": "Default_No_Compression" if plain else "Unicode_No_Compression",
        "DateTime": moment,
        "Folder": 1,
        "Location": 1,
        "Memory": "SM",
        "Number": reporter,
        "State": "UnRead",
        "Text": text,
        "Type": "Deliver",
        "UDH": _NO_HEADER,
    }
    return RawMessage(external_id, encode_record(fields), reporter)
