"""What is read from the PDU itself, where libGammu spoils it."""

import pytest

from channels.sms.debug_log import ucs2_text

HEAD = "00" + "{first}" + "0C91261801000010" + "0008" + "62111080000082"


def _pdu(user_data: bytes, *, header: bool = False) -> str:
    """An SMS-DELIVER without a service centre, from an invented number."""
    return HEAD.format(first="44" if header else "04") + f"{len(user_data):02X}" + user_data.hex().upper()


@pytest.mark.parametrize("text", ["a~b🙏xyz", "~~~~ab🙏", "", "Jl. Merdeka – depan “Pasar”", "\x01", "half \ud83d"])
def test_a_text_is_read_as_it_was_sent(text: str) -> None:
    """Surrogates too, half ones included."""
    assert ucs2_text(_pdu(text.encode("utf-16-be", "surrogatepass"))) == text


def test_the_header_of_a_part_is_no_text() -> None:
    """3GPP TS 23.040, clause 9.2.3.24: its first octet says how long it is."""
    assert ucs2_text(_pdu(bytes.fromhex("050003170201") + "bagian ~1".encode("utf-16-be"), header=True)) == "bagian ~1"


@pytest.mark.parametrize("pdu", ["", "00", "zz", "0004", "07", _pdu(b"\x00"), HEAD.format(first="04")])
def test_what_is_no_such_pdu_has_no_text(pdu: str) -> None:
    """Cut off, not hexadecimal, half a character: never an error."""
    assert ucs2_text(pdu) is None
