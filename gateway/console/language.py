"""What the pages say, in Indonesian and in English: the one catalogue of their texts."""

import re
from collections.abc import Callable
from typing import Final, Literal, get_args

from aiohttp import web

Language = Literal["id", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
COOKIE: Final = "bahasa"

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # the frame of every page
    "gateway": ("Gerbang LAPOR", "LAPOR Gateway"),
    "skip": ("Langsung ke isi", "Skip to content"),
    "nav": ("Halaman", "Pages"),
    "nav.overview": ("Ringkasan", "Overview"),
    "nav.messages": ("Pesan", "Messages"),
    "nav.answers": ("Jawaban", "Answers"),
    "nav.senders": ("Pengirim", "Senders"),
    "nav.audit": ("Catatan audit", "Audit log"),
    "language": ("Bahasa", "Language"),
    "logout": ("Keluar", "Log out"),
    "open_door": (
        "Belum ada operator: siapa pun di komputer ini masuk sebagai “{name}”. Tambahkan operator dengan perintah",
        "No operator is configured: everybody on this machine is “{name}”. Add one with",
    ),
    "lost": ("Sambungan ke gerbang terputus sejak", "The connection to the gateway is lost since"),
    "lost.stale": ("Angka di halaman ini sudah lama.", "What this page shows is old."),
    "role.viewer": ("pengamat", "viewer"),
    "role.operator": ("operator", "operator"),
    # signing in
    "login": ("Masuk", "Log in"),
    "login.name": ("Nama", "Name"),
    "login.password": ("Kata sandi", "Password"),
    "login.wrong": ("Nama atau kata sandi salah.", "Wrong name or password."),
    "login.slow": ("Terlalu banyak percobaan; coba lagi nanti.", "Too many tries; try again later."),
    # the first page
    "overview": ("Ringkasan", "Overview"),
    "as_of": ("Keadaan pukul", "As of"),
    "verdict.up": ("Semua berjalan baik", "Everything works"),
    "verdict.attention": ("Ada yang perlu Anda tangani", "Something needs you"),
    "verdict.degraded": ("Ada gangguan", "Something is impaired"),
    "verdict.down": ("Ada yang tidak bekerja", "Something does not work"),
    "attention": ("Perlu ditangani", "Needs somebody"),
    "attention.none": ("Tidak ada yang menunggu Anda.", "Nothing waits for you."),
    "attention.held": ("pesan ditahan", "messages held"),
    "attention.quarantined": ("pesan di karantina", "messages in quarantine"),
    "attention.parked": ("peristiwa ditolak antrean", "events refused by the queue"),
    "attention.failed": ("jawaban gagal, 7 hari", "answers failed, 7 days"),
    "attention.unknown": ("jawaban tak pasti, 7 hari", "answers uncertain, 7 days"),
    "attention.channel": ("kanal perlu operator", "channel needs an operator"),
    "attention.down": ("tidak bekerja", "is down"),
    "channels": ("Kanal", "Channels"),
    "channels.none": ("Belum ada kanal yang dibuka.", "No channel is open yet."),
    "pipeline": ("Alur pesan", "Pipeline"),
    "pipeline.received": ("Diterima", "Received"),
    "pipeline.processed": ("Diolah", "Processed"),
    "pipeline.published": ("Diterbitkan", "Published"),
    "pipeline.answered": ("Dijawab", "Answered"),
    "waiting": ("menunggu", "waiting"),
    "waiting.none": ("tidak ada yang menunggu", "nothing waits"),
    "oldest": ("tertua", "oldest"),
    "per_minute": ("/menit", "/min"),
    "today": ("hari ini", "today"),
    "spark": ("Pesan per 15 menit selama 24 jam; terbanyak {most}", "Messages per 15 minutes, 24 hours; most {most}"),
    "last_message": ("Pesan terakhir", "Last message"),
    "since": ("sejak", "since"),
    "never": ("belum pernah", "never"),
    "systems": ("Antrean, basis data, bagian", "Queue, database, parts"),
    "broker": ("Antrean", "Queue"),
    "broker.confirm": ("Konfirmasi terakhir", "Last confirmation"),
    "store": ("Basis data", "Database"),
    "store.answer": ("Waktu jawab", "Answers in"),
    "store.away": ("Basis data tidak menjawab; angka ini dari pukul", "The database does not answer; figures of"),
    "free.database": ("Ruang kosong: basis data", "Free: database"),
    "free.journal": ("Ruang kosong: jurnal", "Free: journal"),
    "free.files": ("Ruang kosong: lampiran", "Free: attachments"),
    "parts": ("Bagian gerbang", "Parts of the gateway"),
    "name": ("Nama", "Name"),
    "state": ("Keadaan", "State"),
    "reason": ("Alasan", "Reason"),
    "gaps": ("Celah", "Gaps"),
    "gaps.none": ("Tidak ada celah.", "No gaps."),
    "gap.path": ("Jalur", "Path"),
    "gap.from": ("Dari", "From"),
    "gap.until": ("Sampai", "Until"),
    "gap.found": ("Ditemukan", "Found"),
    "gap.open": ("masih terbuka", "still open"),
    "gap.closed": ("tertutup", "closed"),
    "gap.recovered": ("dipulihkan", "recovered"),
    "gap.lost": ("hilang", "lost"),
    # states of channels and parts
    "up": ("Berjalan", "Works"),
    "degraded": ("Terganggu", "Impaired"),
    "down": ("Tidak bekerja", "Down"),
    "needs_operator": ("Perlu operator", "Needs an operator"),
    "paused": ("Dijeda", "Paused"),
    # what channels tell of themselves
    "fact.signal": ("Sinyal", "Signal"),
    "fact.network": ("Jaringan", "Network"),
    "fact.sim": ("Slot SIM", "SIM slots"),
    "fact.stream": ("Aliran", "Stream"),
    "fact.stream_age": ("Tanda hidup aliran", "Stream's last sign of life"),
    "fact.search_lag": ("Pencarian tertinggal", "Search lags"),
    "fact.connects": ("Sambungan, 15 menit", "Connects, 15 minutes"),
    "fact.waiting_posts": ("Kiriman menunggu", "Posts waiting"),
    "fact.waiting_mails": ("Surel menunggu", "Mails waiting"),
    "fact.mail_lag": ("Surel tertua menunggu", "Oldest mail has waited"),
    "fact.skipped": ("Surel dilewati", "Mails skipped"),
    "fact.gaps": ("Celah terbuka / hilang", "Gaps open / lost"),
    "fact.limit": ("Jawaban ditunda sampai", "Answers wait until"),
    "fact.answers": ("Jawaban menunggu", "Answers waiting"),
    # lists of messages
    "messages": ("Pesan", "Messages"),
    "all": ("semua", "all"),
    "filter": ("Saring", "Filter"),
    "channel": ("Kanal", "Channel"),
    "received": ("Diterima", "Received"),
    "decision": ("Keputusan", "Decision"),
    "message": ("Pesan", "Message"),
    "nothing": ("Tidak ada.", "None."),
    "older": ("Lebih lama", "Older"),
    "newest": ("Terbaru", "Newest"),
    "window": ("Ditelusuri {count} pesan sekaligus.", "{count} messages are looked through at a time."),
    "select": ("Pilih", "Select"),
    "selected": ("Yang dipilih", "Selected"),
    "all_shown": ("Semua di halaman ini", "All on this page"),
    "why": ("Alasan (tersimpan di catatan audit)", "Reason (kept in the audit log)"),
    "act.replay": ("Proses ulang", "Replay"),
    "act.accept": ("Terima", "Accept"),
    "act.discard": ("Buang", "Discard"),
    "done": ("Selesai: {done}. Tidak berubah: {left}.", "Done: {done}. Left as they were: {left}."),
    "done.one": ("Sudah dilakukan.", "Done."),
    "done.unchanged": ("Tidak ada yang berubah.", "Nothing has changed."),
    "done.queued": ("Pesan uji masuk antrean kirim.", "The test message is queued."),
    "search": ("Cari", "Search"),
    "search.label": ("Nomor laporan, pengirim, atau teks", "Tracking ID, sender or text"),
    "search.results": ("Hasil pencarian", "Search results"),
    "search.text": (
        "Teks dicari dalam {count} pesan terbaru (sampai {until}) saja: laporan menurut isi, lainnya data mentah.",
        "Text is sought in the newest {count} messages (back to {until}) only: in reports' texts, else in raw bytes.",
    ),
    "search.cut": ("Batas waktu pencarian tercapai.", "The search has used up its time."),
    "search.busy": (
        "Pencarian lain sedang berjalan; coba lagi sebentar.",
        "Another search is under way; try again in a moment.",
    ),
    "search.tracking": ("Pesan dari laporan {id}", "Messages of report {id}"),
    "search.sender": ("Pesan dari pengirim {key}", "Messages of sender {key}"),
    # one message
    "evidence": ("Bukti asli", "Raw evidence"),
    "evidence.size": ("{size} bita", "{size} bytes"),
    "evidence.cut": ("Hanya bagian awal yang ditampilkan.", "Only the beginning is shown."),
    "evidence.empty": ("Sudah dikosongkan.", "It has been emptied."),
    "evidence.masked": (
        "Nomor, alamat, dan nama disamarkan sejauh dikenali.",
        "Numbers, addresses and names are masked as far as they are recognised.",
    ),
    "evidence.viewer": ("Hanya operator yang melihat bukti asli.", "Only operators see the raw evidence."),
    "parsed": ("Yang dibaca gerbang", "What the gateway read"),
    "parsed.none": ("Belum atau tidak dapat dibaca.", "Not read yet, or unreadable."),
    "field.sender": ("Pengirim", "Sender"),
    "field.title": ("Judul", "Title"),
    "field.text": ("Teks", "Text"),
    "field.keyword": ("Kata kunci", "Keyword"),
    "field.sent": ("Dikirim warga", "Sent by the citizen"),
    "field.tracking": ("Nomor laporan", "Tracking ID"),
    "field.attachments": ("Lampiran", "Attachments"),
    "field.repeats": ("Pengulangan", "Repeats"),
    "timeline": ("Perjalanan pesan", "Custody ledger"),
    "actions": ("Tindakan", "Actions"),
    "unmask": ("Tampilkan pengirim dan bukti utuh", "Show the sender and all of the evidence"),
    "unmask.note": ("Tercatat di catatan audit.", "This is written into the audit log."),
    "unmask.gone": ("Tidak ada yang tahu lagi siapa penulisnya.", "Nobody here knows any more who wrote this."),
    "unmasked": ("Ditampilkan utuh; tercatat di catatan audit.", "Shown in clear; written into the audit log."),
    "block": ("Blokir pengirim", "Block the sender"),
    "unblock": ("Cabut blokir", "Unblock"),
    "erase": ("Hapus data warga", "Erase the citizen"),
    "more_of_sender": ("Semua pesan pengirim ini", "All messages of this sender"),
    # channels
    "pause": ("Jeda kanal", "Pause the channel"),
    "resume": ("Jalankan lagi", "Resume"),
    "pause.ordered": ("Dijeda oleh {operator}", "Paused by {operator}"),
    "test": ("Kirim pesan uji", "Send a test message"),
    "test.to": ("Ke nomor (+62…)", "To the number (+62…)"),
    "test.text": ("Teks", "Text"),
    "details": ("Rincian", "Details"),
    "details.raw": ("Semua keterangan kanal", "All that the channel tells"),
    # senders
    "senders": ("Pengirim", "Senders"),
    "blocked": ("Diblokir", "Blocked"),
    "blocked.since": ("Sejak", "Since"),
    "sender.key": ("Kunci", "Key"),
    "which": ("Warga yang mana", "Which citizen"),
    "which.how": ("Disebut dengan", "Named by"),
    "which.phone": ("nomor telepon", "phone number"),
    "which.email": ("alamat surel", "mail address"),
    "which.x": ("nomor pengguna X", "X user id"),
    "which.tracking_id": ("nomor laporan", "tracking ID"),
    "which.reporter": ("kunci", "key"),
    "which.message": ("pesan", "message"),
    "which.value": ("Nomor, alamat, atau kunci", "Number, address or key"),
    "erase.what": (
        "Pesan, teks, alamat, dan jawaban warga ini dikosongkan untuk selamanya. Keputusan dan catatan audit tinggal.",
        "This citizen's messages, texts, addresses and answers are emptied for good. Decisions and the audit stay.",
    ),
    "erase.sure": ("Saya yakin; ini tidak dapat dibatalkan.", "I am sure; this cannot be undone."),
    "erase.not_sure": (
        "Tandai bahwa Anda yakin; belum ada yang dihapus.",
        "Tick that you are sure; nothing was erased.",
    ),
    "erase.done": (
        "Dikosongkan: {messages} pesan, {reports} laporan, {answers} jawaban. Tak terbaca: {unreadable} (karantina).",
        "Emptied: {messages} messages, {reports} reports, {answers} answers. Unreadable: {unreadable}; see quarantine.",
    ),
    # answers, parked events, audit
    "answers": ("Jawaban yang tidak sampai", "Answers that did not arrive"),
    "parked": ("Peristiwa yang ditolak antrean", "Events that the queue refused"),
    "parked.next": (
        "Antrean menolaknya lima kali dan menerima yang lain; periksa batas dan kebijakan antrean.",
        "The queue refused each five times while it took others: look at its limits and policies.",
    ),
    "kind": ("Jenis", "Kind"),
    "answer.failed": ("gagal", "failed"),
    "answer.expired": ("kedaluwarsa", "expired"),
    "answer.unknown": ("tak pasti", "uncertain"),
    "answer.parked": ("ditolak antrean", "refused by the queue"),
    "audit": ("Catatan audit", "Audit log"),
    "audit.when": ("Kapan", "When"),
    "audit.who": ("Siapa", "Who"),
    "audit.what": ("Apa", "What"),
    "audit.on": ("Pada", "On"),
    # message states and decisions
    "message.received": ("Menunggu diolah", "To be processed"),
    "message.assembling": ("Menunggu bagian lain", "Waits for parts"),
    "message.processed": ("Selesai diolah", "Processed"),
    "message.held": ("Ditahan", "Held"),
    "message.quarantined": ("Karantina", "Quarantined"),
    "message.discarded": ("Dibuang", "Discarded"),
    "decision.report": ("laporan", "report"),
    "decision.repeat": ("pengulangan", "repeat"),
    "decision.update": ("tambahan", "update"),
    "decision.withdrawn": ("penarikan", "withdrawal"),
    "decision.command": ("perintah", "command"),
    "decision.held": ("ditahan", "held"),
    "decision.ignored": ("diabaikan", "ignored"),
    "decision.quarantined": ("karantina", "quarantined"),
    "answerkind.receipt": ("tanda terima", "receipt"),
    "answerkind.command": ("jawaban perintah", "command's answer"),
    "answerkind.reply": ("balasan instansi", "office's reply"),
    "answerkind.test": ("pesan uji", "test message"),
    # errors
    "error": ("Tidak dapat dilakukan", "This cannot be done"),
    "error.400": ("Permintaan tidak dapat dibaca.", "The request cannot be read."),
    "error.403": ("Anda tidak berhak melakukan ini.", "You may not do this."),
    "error.404": ("Tidak ditemukan.", "There is no such thing."),
    "error.409": ("Keadaan pesan tidak mengizinkannya.", "The message's state does not allow it."),
    "error.422": ("Isian belum benar.", "What you entered is not right."),
    "error.503": ("Basis data sedang tidak menjawab; coba lagi.", "The database does not answer; try again."),
    "error.other": ("Ada yang salah; lihat log gerbang.", "Something went wrong; see the gateway's log."),
    "back": ("Kembali ke ringkasan", "Back to the overview"),
}

_AT: Final = {language: place for place, language in enumerate(LANGUAGES)}
_STEPS: Final = (
    (r"committed", "disimpan dengan aman"),
    (r"released from its source", "dilepas dari sumbernya"),
    (r"sent by the citizen", "dikirim warga"),
    (r"processed: (.+)", r"diolah: {decision.\1}"),
    (r"event (\d+) decided: (.+)", r"peristiwa \1 diputuskan: \2"),
    (r"event (\d+) confirmed by the queue", r"peristiwa \1 dikonfirmasi antrean"),
    (r"event (\d+) parked", r"peristiwa \1 ditolak antrean"),
    (r"(receipt|command|reply|test) queued", r"{answerkind.\1} masuk antrean kirim"),
    (r"(receipt|command|reply|test) sent", r"{answerkind.\1} dikirim"),
    (r"(receipt|command|reply|test) delivered", r"{answerkind.\1} sampai"),
    (r"(receipt|command|reply|test) (failed|expired|unknown)", r"{answerkind.\1}: {answer.\2}"),
    (r"replayed", "diproses ulang"),
    (r"accepted", "diterima operator"),
    (r"discarded", "dibuang operator"),
)
"""Steps of the ledger in Indonesian; words in braces are keys of the catalogue."""

_KEY: Final = re.compile(r"\{([^{}]+)\}")

Texts = Callable[..., str]


def text(language: Language, key: str, /, **values: object) -> str:
    """A text of the catalogue, its values filled in.

    Raises:
        KeyError: There is none.
    """
    found = TEXTS[key][_AT[language]]
    return found.format(**values) if values else found


def word(language: Language, group: str, name: str) -> str:
    """A word of a group such as *decision*; one that the catalogue does not know stays as it is."""
    key = f"{group}.{name}" if group else name
    return text(language, key) if key in TEXTS else name


def step_text(language: Language, step: str) -> str:
    """A step of a message's ledger in words."""
    if language == "en":
        return step
    for pattern, indonesian in _STEPS:
        found = re.fullmatch(pattern, step)
        if found:
            return _KEY.sub(lambda key: _known(language, key[1]), found.expand(indonesian))
    return step


def _known(language: Language, key: str) -> str:
    return text(language, key) if key in TEXTS else key.rpartition(".")[2]


def language_of(request: web.Request) -> Language:
    """What a browser has chosen; Indonesian for one that has not."""
    return "en" if request.cookies.get(COOKIE) == "en" else "id"
