"""The words of Indonesian complaints, as data: what numbers belong to, and which words say nothing of the matter.

A change here raises ``normalise.VERSION``.
"""

from typing import Final


def spelt(text: str) -> dict[str, tuple[str, ...]]:
    """``full: short short …`` line by line, as a table from each short form to the words that it stands for."""
    table: dict[str, tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        full, _, shorts = line.partition(":")
        for short in shorts.split():
            table[short] = tuple(full.split())
    return table


def _set(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


NUMBER_WORDS: Final = spelt(
    """
    0: nol
    1: satu
    2: dua
    3: tiga
    4: empat
    5: lima
    6: enam
    7: tujuh
    8: delapan
    9: sembilan
    10: sepuluh
    11: sebelas
    1 minggu: seminggu
    1 bulan: sebulan
    1 tahun: setahun
    1 hari: sehari
    1 jam: sejam
    1 kilogram: sekilo
    """
)
"""Numbers in letters."""

BEFORE_NUMBERS: Final = _set(
    "rt rw kilometer blok gang sd sdn mi smp smpn mts sma sman smk smkn mtsn lantai kelas usia umur tanggal jam",
    "pasal ayat jalur zona ke dusun kode lorong gate blok tiang gardu gerbang tower rs tps pasar sektor unit",
    "triwulan semester tahap golongan tipe periode jilid",
)
"""A number behind one of these belongs to it: RT 5 RW 2 is not RT 2 RW 5."""

BEHIND_NUMBERS: Final = _set(
    "hari minggu bulan tahun jam menit orang jiwa warga meter kilometer kali rumah juta ribu miliar titik lubang unit",
    "sak liter kilogram gram sentimeter milimeter watt va kwh ton hektar buah",
    "kelas lantai persen siswa guru keluarga pohon tiang",
)
"""A number before one of these counts it."""

UNITS: Final = {
    "m": "meter", "cm": "sentimeter", "mm": "milimeter", "g": "gram", "l": "liter", "lt": "liter", "w": "watt"
}  # fmt: skip
"""What these mean behind a number, and nowhere else."""

ROMANS: Final = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}
"""Roman numerals, behind what is numbered."""

PROGRAMMES: Final = ("kip", "kks", "kps", "pkh", "sl", "nik", "bpjs", "kis", "plat", "nopol")
"""Words that citizens glue to the number that follows."""

REPORTING: Final = _set(
    "lapor melapor laporan melaporkan dilaporkan lapo aduan mengadu pengaduan adu sms kirim mengirim dikirim hubungi",
    "telepon menelepon telpon chat tanya bertanya sampaikan menyampaikan disampaikan mention tweet email",
)
"""How often somebody has done this says nothing of the matter: "sudah 3x lapor"."""

RELATIVES: Final = {"bapak": "ayah", "ibu": "ibunda"}
WHOSE: Final = _set("saya kami aku mertua kandung tiri angkat")
"""*Ibu saya* is somebody's mother, and no form of address."""

SCHOOLS: Final = {"sd": "sdn", "smp": "smpn", "sma": "sman", "smk": "smkn", "mts": "mtsn"}
"""What a state school is called in short, with *negeri* behind the kind of school."""

TENS: Final = {"belas": 10, "puluh": 10, "ratus": 100}

RESPONSES: Final = _set("tanggapan respon respons jawaban balasan kabar konfirmasi ditanggapi direspon dijawab dibalas")
"""How long one of these has been missing says nothing of the matter either: "3 minggu belum ada tanggapan"."""

MONTHS: Final = spelt(
    """
    1: januari jan
    2: februari pebruari feb
    3: maret mar
    4: april apr
    5: mei
    6: juni jun
    7: juli jul
    8: agustus agust agt agu
    9: september sept sep
    10: oktober okt
    11: november nopember nov nop
    12: desember des
    """
)
"""The months, behind the number of a day."""

AMOUNTS: Final = {"ribu": 1_000, "juta": 1_000_000, "miliar": 1_000_000_000, "k": 1_000}
"""What multiplies the number before it."""

PLATES: Final = _set(
    "a b d e f g h k l m n p r s t w z aa ab ad ae ag ba bb bd be bg bh bk bl bm bn bp da db dc dd de dg dh dk dl dm",
    "dn dr ds dt ea eb ed kb kh kt ku pa pb",
)
"""What the number plate of a vehicle begins with, by region."""

NAMES_FOLLOW: Final = _set(
    "desa kelurahan kecamatan kabupaten kota provinsi dusun kampung gang perumahan pasar sungai waduk terminal",
    "stasiun bernama nama an tanjung teluk bukit gunung pulau muara lubuk",
)
"""What follows one of these is the name of a place or a person."""

QUALIFIERS: Final = _set(
    "baru lama kulon wetan lor kidul utara selatan timur barat tengah hilir hulu girang indah jaya asri permai raya",
    "besar kecil bawah luar i ii iii iv v",
)
"""Behind the name of a place one of these makes another place of it: Tanjung and Tanjung Baru."""

DAYTIMES: Final = _set("pagi siang sore malam subuh")
"""What a report can be about, behind the greetings."""
MEANT: Final = _set("bersama minta meminta bisa boleh harus mau benar umum penting kecil rakyat tempat banyak lama")
"""Weightless words that say something where another one stands in their place."""

UNTIL_FOLLOWS: Final = DAYTIMES | {"sekarang", "saat", "besok", "jam", "hari", "kapan", *(month for month in MONTHS)}
"""Before one of these *smp* is *sampai*, and no school."""

ROUTES: Final = _set("rute jurusan trayek relasi koridor lintas")
"""Behind one of these two names are a way, from the first to the second."""

NEGATIONS: Final = _set("tidak belum bukan jangan tanpa")
AFFIRMATIONS: Final = _set("sudah telah selesai pernah")
OUTCOMES: Final = _set("terima diperbaiki dibenahi ditangani ditinjau diselesaikan selesai diatasi ditertibkan")
"""Whether something has happened, or not; and the weightless words of which that can be said."""

WEIGHTLESS: Final = _set(
    # function words
    "yang di ke dari pada kepada dalam untuk dengan dan atau juga saja akan adalah ialah yaitu yakni oleh tentang",
    "karena sebab kalau jika bila agar supaya maka tetapi tapi namun sedangkan sehingga serta lalu kemudian setelah",
    "sebelum ketika saat waktu sejak semenjak sampai hingga antara para sang si ini itu tersebut tsb begitu demikian",
    "sudah telah pernah sedang lagi lg masih msh selalu sering kadang sekali sangat amat lebih paling terlalu cukup",
    "hanya bisa dapat harus mau ingin hendak perlu boleh ada apa siapa kapan dimana mana kenapa mengapa bagaimana",
    "berapa kok sih deh dong nih ya yah iya lah kah pun tuh loh lho kan toh per bagi hal pihak secara sebagai",
    "seperti bahwa bukan jadi menjadi terus trus trs langsung malah justru bahkan padahal sekarang kini tadi",
    # who speaks and who is spoken to
    "saya kami kita anda kamu mereka dia beliau pak bapak bu ibu mas mbak mba kang neng teh bang gan sis bro om",
    "tante min mimin",
    "admin pemerintah pejabat dinas instansi terkait berwenang bupati walikota gubernur menteri presiden camat lurah",
    "kades bpk yth yang terhormat hormat tim lapor laporan melapor melaporkan pelapor aduan mengadu pengaduan",
    # greetings, courtesies, pleas
    "assalamualaikum assalamu alaikum assalamualaikm ass askum aslm aslmkm wr wb wrwb warahmatullahi wabarakatuh",
    "wassalam wassalamualaikum salam selamat pagi siang sore malam hallo halo hai hi punten permisi maaf",
    "mohon tolong harap berharap harapan minta meminta dimohon bantu dibantu membantu bantuannya bantu",
    "perhatian perhatiannya perhatikan diperhatikan memperhatikan segera secepatnya cepat cepetan lekas",
    "ditindaklanjuti tindaklanjuti tindaklanjut menindaklanjuti tindak lanjut lanjutnya ditindak tindakan ditangani",
    "penanganan penanganannya menangani ditanggapi tanggapan tanggapannya tanggapi respon responnya direspon respons",
    "jawaban jawabannya dijawab jawab kabar kabarnya solusi solusinya diatasi atasi mengatasi diselesaikan",
    "selesaikan penyelesaian penyelesaiannya kejelasan kejelasannya kepastian info informasi informasinya",
    "diperbaiki perbaiki memperbaiki perbaikan perbaikannya dibenahi ditinjau tinjau meninjau peninjauan dicek cek",
    "ditertibkan terima kasih kasihnya sebelumnya sekian wassalam matur suwun nuhun hatur pisan trim demikian",
    "disampaikan sampaikan menyampaikan sampai tunggu menunggu ditunggu menanti nantikan semoga moga mugi insya allah",
    "kerjasama kerjasamanya atas sudi kiranya sekiranya dimaksud berikut perihal sehubungan bersama dg aduan via",
    "sms twitter email pesan rt retweet viralkan viral bagikan share sebarkan cc up ditunggu jangan biarkan",
    "dibiarkan didiamkan diabaikan abaikan serius peduli kepedulian kasihan kasian sungguh sungguh benar",
    "lama kelamaan sekian apalagi banyak warga masyarakat keselamatan demi kepentingan umum",
    "seorang keluhan ucapkan mengucapkan diucapkan bantuan bantuannya pimpinan tempat infowarga pelayananpublik tuntas",
    "mengganggu sejahtera tanya bertanya menanyakan foto terlampir lampiran dilampirkan kali rupiah tanggal lain",
    "rakyat kecil urgent penting darurat keadaan mau kecewa resah meresahkan ujar parah sekali memprihatinkan",
    "nomor nama kata kemarin besok nanti tegas nya sebesar kapolda kapolres kapolsek kapolri kadis danramil dirut",
    "woy woi please surel email imel help piye iki pripun wass beres",
    "percuma bosan capek lelah entah nyata janji janjinya dijanjikan nihil hasil hasilnya perubahan realisasi tks",
)
"""Words that are said in every complaint: two texts that differ in them alone tell of the same matter."""

EVERYDAY: Final = _set(
    "pencaharian pdam didata bpjs iuran dimintai saldo token pupuk angkot karcis perempatan pertigaan galian ppdb",
    "oknum samsat sembarangan calo berkutu betonisasi apek honor honorer transparan diaspal aspal begal mampet",
    "didaftarkan polsek polres polda sembako rimbun lalat ptsl antrean blangko kubangan dilayani ditingkatkan",
    "ditipu karaoke umkm toilet lansia paspor loket posyandu raskin spbu bansos tanggul retribusi pungli tirta",
    "lapuk becek plat rambu ngetem transmigrasi disnaker ketenagakerjaan ledeng travel koridor dicuri gulita",
    "error inspektorat sosialisasi jerigen anyir satpol terpal bambu fogging digaji zonasi dihubungi sepi",
    "tikungan selokan gudang polindes elpiji cuti masker ojol legalisir posko reklamasi gatal gorong drainase",
    "amblas ambles telekomunikasi rusun rusunawa digesek jembret belatung embung pengemis amdal pensiunan mudik",
    "mandor satpas kulkas maling narkoba nyamuk puso plafon kemenag login diberhentikan resi genset ketabrak",
    "keserempet becak gabah jurang berisik abrasi pelampung pesangon wifi garmen insentif knalpot satpam notas",
    "difabel booking copet logistik rendemen serum skck pengaspalan cctv terpeleset berlumut penjambretan rapel",
    "mesum laundry sidak kemarau menyalip materai bagasi flyover pertalite trotoar nekat sopir mubazir reklame",
    "musala ambulans",
)
"""Common words that the dictionary of :mod:`gateway.dedup.lexicon` lacks: they are no names."""

SERVICE_TAGS: Final = _set("lapor lapor1708 ayolapor laporpak spanlapor")
"""Hashtags of the service itself."""

LOOK_ALIKES: Final = str.maketrans(
    dict(zip("аеорсухіѕјкмтнвԁԛԝӏгп", "aeopcyxisjkmthbdqwlrn", strict=True))
    | dict(zip("αορειηκντυβχ", "aopeinkvtubx", strict=True))
    | {"ı": "i", "ł": "l", "ø": "o"}
)
"""Cyrillic and Greek letters that look like Latin ones, in lower case (after Unicode's confusables, UTS 39)."""
