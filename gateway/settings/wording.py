"""What citizens are told where the settings say nothing else; each fits one SMS in the default alphabet of GSM."""

from typing import Final

RECEIPT: Final = (
    "Terima kasih. Laporan Anda kami terima dengan Tracking ID #{tracking_id}. "
    "Simpan nomor ini untuk memantau tindak lanjutnya."
)
RECEIPT_EN: Final = (
    "Thank you. We have received your report; its tracking ID is #{tracking_id}. "
    "Please keep this number to follow what is done about it."
)
REPEAT: Final = (
    "Laporan ini sudah kami terima dengan Tracking ID #{tracking_id}. Balas STATUS untuk mengetahui tindak lanjutnya."
)
REPEAT_EN: Final = (
    "We already have this report under tracking ID #{tracking_id}. Reply STATUS to learn what is done about it."
)
STATUS: Final = "Laporan #{tracking_id} per {date}: {status}."
STATUS_EN: Final = "Report #{tracking_id} as of {date}: {status}."
STATUS_WITHHELD: Final = (
    "Laporan #{tracking_id} sudah kami terima. Perkembangannya tidak kami sampaikan di ruang publik."
)
STATUS_WITHHELD_EN: Final = "We have received report #{tracking_id}. We do not say in public how it stands."
NEWS_WITHHELD: Final = (
    "Ada perkembangan atas laporan Anda #{tracking_id} ({date}). Silakan pantau dengan Tracking ID itu."
)
QUESTION_WITHHELD: Final = (
    "Kami memerlukan keterangan Anda tentang laporan #{tracking_id} ({date}). Silakan pantau dengan Tracking ID itu."
)
UNKNOWN: Final = (
    "Kami tidak menemukan laporan Anda dengan nomor itu. Periksa Tracking ID (10 angka) yang kami kirim, "
    "lalu balas STATUS diikuti nomornya."
)
UNKNOWN_EN: Final = (
    "We have no report of yours with that number. Please check the tracking ID (10 digits) that we sent you, "
    "and reply STATUS and the number."
)
NO_REPORT: Final = "Kami belum menerima laporan dari Anda. Tuliskan laporan Anda: apa, di mana, dan kapan terjadinya."
NO_REPORT_EN: Final = "We have received no report from you yet. Please write what happened, where and when."
HELP: Final = (
    "Kirim laporan Anda: apa, di mana, kapan. Balas STATUS dan Tracking ID untuk memantaunya, "
    "STOP untuk berhenti menerima pemberitahuan, MULAI untuk menerima lagi."
)
HELP_EN: Final = (
    "Write your report: what, where, when. Reply STATUS and the tracking ID to see how it stands, "
    "STOP to end notifications, START to get them again."
)
HELP_PUBLIC: Final = (
    "Kirim laporan dengan tagar LAPOR dan sebut akun ini. Balas STATUS dan Tracking ID untuk memantau, "
    "STOP atau MULAI untuk menolak atau menerima pemberitahuan."
)
"""On X nothing is a report without both; written as they are, the stream would bring us our own post."""
STOPPED: Final = (
    "Anda tidak akan menerima pemberitahuan lagi. Laporan Anda tetap kami teruskan. "
    "Balas MULAI untuk menerima pemberitahuan lagi."
)
STOPPED_EN: Final = (
    "You will get no more notifications. Your reports are passed on as before. Reply START to be notified again."
)
STARTED: Final = "Anda akan menerima pemberitahuan tentang laporan Anda. Balas STOP untuk berhenti."
STARTED_EN: Final = "You will be notified about your reports. Reply STOP to end that."
