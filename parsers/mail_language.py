"""Tells Indonesian from English by their commonest words; in doubt neither."""

import re
from typing import Final

_SAMPLE: Final = 3_000
_FEWEST: Final = 2
_TIMES: Final = 2
_WORD: Final = re.compile(r"[a-z']+")
_INDONESIAN: Final = (
    "yang yg dan di ke dari tidak tdk saya sy kami kita ini itu dengan dgn untuk utk sudah sdh udah belum blm ada"
    " adalah pak bapak bu ibu mohon mhn tolong tlg jalan jl jln rusak sampai tapi karena krn juga bisa kapan"
    " kenapa bagaimana apakah akan oleh pada kepada kpd atau warga desa kecamatan kelurahan kabupaten terima kasih"
    " selamat pagi siang malam laporan lapor lagi sangat masih hari air listrik lampu sampah banjir"
)
_ENGLISH: Final = (
    "the and is are was of to in on at for from with this that it we i you my our your has have been not no please"
    " would like report there which since near road street broken when why how can could thank thanks dear sir"
    " madam hello regards will be by an as"
)
_IS_INDONESIAN: Final = frozenset(_INDONESIAN.split())
_IS_ENGLISH: Final = frozenset(_ENGLISH.split())


def of(text: str) -> str | None:
    """``id``, ``en``, or None.

    A language is told by at least two of its words, and twice as many as of the other.
    """
    words = _WORD.findall(text[:_SAMPLE].lower())
    indonesian = sum(map(_IS_INDONESIAN.__contains__, words))
    english = sum(map(_IS_ENGLISH.__contains__, words))
    if indonesian >= _FEWEST and indonesian >= _TIMES * english:
        return "id"
    return "en" if english >= _FEWEST and english >= _TIMES * indonesian else None
