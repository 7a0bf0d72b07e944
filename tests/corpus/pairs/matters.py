"""What citizens of these pairs write about: templates with slots, none of them taken from a real message."""

from typing import Final

MATTERS: Final[dict[str, str]] = {
    # Programmes and cards: the trap of many people on one template.
    "bpjs": "Data Peserta tidak ditemukan a.n {nama} nomor kartu {kartu}. Mohon diaktifkan kembali kepesertaannya",
    "bpjs nik": "Mohon bantuan, kartu BPJS atas nama {nama} NIK {nik} tidak aktif padahal iuran dibayar setiap bulan",
    "sl": "{sl} Saya masyarakat kurang mampu, mohon didata sebagai penerima bantuan",
    "kip cair": "{kip} Dana bantuan KIP saya belum cair sampai sekarang. Kapan bisa diambil?",
    "kip sekolah": "{kip} anak saya {nama} di {sekolah} belum menerima dana KIP, teman-temannya sudah semua",
    "kks": "{kks} kartu saya saldo kosong sejak bulan lalu, padahal tetangga sudah menerima semua",
    "pkh": "PKH atas nama {nama} {desa} {kec} dicoret tanpa pemberitahuan, padahal keluarga kami masih tidak mampu",
    "bansos": "Bantuan sembako di {dusun} {rt} tidak merata, yang mampu malah dapat sedangkan janda tua tidak",
    "ktp": "E-KTP saya a.n {nama} NIK {nik} sudah rekam dari {tgl} sampai sekarang belum jadi, di kecamatan katanya "
    "blangko habis",
    "kk": "Kartu keluarga nomor {kk} salah tulis nama anak, sudah diurus ke Disdukcapil {kab} tapi disuruh bolak-balik",
    "akta": "Akta kelahiran anak saya {nama} didaftarkan {tgl} di {kab}, sampai hari ini belum selesai dan diminta "
    "uang {rp}",
    "prakerja": "Saya daftar bantuan UMKM dengan NIK {nik}, statusnya ditolak tanpa alasan yang jelas. Ke mana saya "
    "harus bertanya?",
    "rastra": "Beras bantuan di {desa} {kec} berkutu dan bau apek, tidak layak dimakan. Warga juga dipungut {rp} per "
    "karung",
    # Roads, bridges, lamps.
    "jalan rusak": "{jalan} {km} {kec} rusak parah, banyak lubang dan membahayakan pengendara. Mohon segera diperbaiki",
    "jalan desa": "Jalan penghubung {desa} dengan {desa2} {kec} rusak berat sudah lima tahun tidak pernah diaspal. "
    "Kalau hujan seperti kubangan kerbau",
    "lampu": "Lampu penerangan di {jalan} {rt} {kel} mati sudah dua minggu, warga takut lewat malam hari",
    "jembatan": "Jembatan gantung di {dusun} {desa} putus diterjang banjir tanggal {tgl}, anak sekolah harus memutar "
    "tujuh kilo",
    "drainase": "Saluran air depan rumah {jalan} {rumah} {kel} mampet, kalau hujan air masuk rumah. Sudah lapor RT "
    "tapi belum ada tindakan",
    "lampu merah": "Lampu merah di perempatan {jalan} dan {jalan2} {kab} mati sejak {hari} pagi, lalu lintas kacau",
    "longsor": "Tebing di {jalan} {km} longsor dan menutup separuh badan jalan. Belum ada petugas, tolong segera "
    "alat berat",
    "galian": "Bekas galian kabel di {jalan} {rumah} tidak ditutup lagi, kemarin ada ibu-ibu jatuh dari motor",
    "proyek": "Proyek betonisasi {jalan} {desa} baru selesai {tgl} sudah retak-retak. Anggarannya besar, tolong "
    "diperiksa",
    # Water, power, rubbish, noise.
    "pdam": "Air PDAM di {kel} {rt} tidak mengalir sejak {hari}, nomor pelanggan {pelanggan}. Kami beli air "
    "galon untuk mandi",
    "pln": "Listrik di {desa} {kec} padam setiap malam, meteran ID pelanggan {pelanggan} token tidak bisa masuk",
    "tagihan": "Tagihan listrik saya {pelanggan} bulan ini {rp}, biasanya tidak sampai setengahnya. Mohon dicek ulang "
    "meterannya",
    "sampah": "Sampah di {jalan} {rt} sudah tiga minggu tidak diangkut, baunya menyengat dan banyak lalat masuk rumah",
    "tps": "TPS liar di pinggir sungai {desa} makin menumpuk, setiap malam ada mobil bak {plat} buang sampah di situ",
    "pabrik": "Limbah pabrik tahu di {desa} {kec} dibuang ke kali, ikan mati semua dan air sumur warga jadi keruh",
    "karaoke": "Karaoke di {jalan} {rumah} buka sampai {jam} pagi, suaranya mengganggu warga yang mau istirahat",
    # Officials, money, schools, health.
    "pungli": "Pungutan di {sekolah} {kab}: tiap siswa diminta {rp} untuk seragam, yang belum bayar tidak boleh "
    "ikut ujian",
    "bos": "Kepala {sekolah} di {kec} tidak transparan soal dana BOS, orang tua tetap ditarik iuran {rp} tiap bulan",
    "zonasi": "Anak tetangga jaraknya lebih jauh diterima di {sekolah}, anak saya {nama} tidak. Mohon penjelasan "
    "PPDB {kab}",
    "puskesmas": "Puskesmas {kec} dokternya jarang ada, pasien antre dari {jam} baru dilayani siang",
    "rsud": "Ibu saya {nama} ditolak di RSUD {kab} tanggal {tgl} dengan alasan kamar penuh, padahal pakai BPJS",
    "guru honor": "Honor guru {sekolah} {kec} belum dibayar sejak bulan {tgl}, kami mohon kejelasan dari dinas "
    "pendidikan",
    "sertifikat": "Saya ikut PTSL di {desa}, berkas atas nama {nama} masuk {tgl}, sertifikat belum jadi dan dimintai "
    "{rp}",
    "dana desa": "Dana {desa} {kec} {kab} tidak jelas penggunaannya, papan proyek tidak ada dan warga tidak pernah "
    "diajak rapat",
    "parkir": "Tukang parkir di {jalan} minta {rp} tanpa karcis dan marah kalau ditanya. Mohon Dishub menertibkan",
    "samsat": "Di Samsat {kab} balik nama motor {plat} dimintai uang tambahan {rp} oleh oknum berseragam",
    "sim": "Ujian SIM di {kab} lewat calo langsung lulus bayar {rp}, yang jujur disuruh ulang terus",
    # Safety, transport.
    "begal": "Di {jalan} {km} sering terjadi begal antara {jam} sampai subuh. Mohon patroli polisi ditingkatkan",
    "pencuri": "Motor saya {plat} hilang di parkiran pasar {kec} tanggal {tgl}, sudah lapor Polsek tidak ada kabar",
    "penipuan": "Saya ditipu penjual online rekening a.n {nama} telepon {telp} sebesar {rp}. Tolong nomornya diblokir",
    "truk": "Truk tambang lewat {jalan} {desa} siang malam tanpa penutup, debunya masuk rumah. Salah satunya {plat}",
    "angkot": "Angkot {plat} jurusan {kec} ugal-ugalan dan menurunkan penumpang sembarangan, ongkosnya juga "
    "dinaikkan jadi {rp}",
    "kereta": "Palang pintu kereta di {jalan} {desa} rusak dan tidak ada penjaga, sudah dua kali hampir tertabrak",
    # Farmers and fishermen.
    "pupuk": "Pupuk subsidi di kios {nama} {desa} dijual {rp} per sak, jauh di atas harga resmi. Petani menjerit",
    "irigasi": "Saluran irigasi {desa} {kec} jebol sejak {tgl}, sawah kami kekeringan dan terancam gagal panen",
    "solar": "Solar untuk nelayan di {desa} {kab} kosong terus, perahu tidak bisa melaut sudah sepuluh hari",
    # Sundanese, Javanese, and between.
    "sunda jalan": "Punten bapak, jalan di {desa} {kec} tos lami ruksak, upami hujan leueur pisan. Nyuhunkeun enggal "
    "dibenerkeun",
    "sunda bansos": "Pa abdi warga {dusun} {rt} teu acan kengeng bantosan, padahal tos didata ku pa RT. Kumaha ieu teh",
    "jawa air": "Nuwun sewu pak, banyu PDAM ing {desa} {rt} wis suwe ora mili. Nyuwun tulung enggal didandani",
    "jawa lampu": "Pak lampu dalan ing {dusun} {kec} mati kabeh, nek bengi peteng ndhedhet. Kapan arep didandani?",
    "jawa ktp": "Kulo {nama} saking {desa}, KTP kulo dereng dados wiwit {tgl}. Nyuwun pirsa kapan dadosipun",
}
"""The messages by a name for their matter."""

LONG: Final = (
    "Perlu kami sampaikan bahwa keadaan ini sudah berlangsung lama dan sangat meresahkan warga sekitar",
    "Kami sudah menyampaikan hal ini kepada ketua RT, kepala desa dan camat, namun jawabannya selalu menunggu anggaran",
    "Sebagai warga yang taat membayar pajak kami merasa tidak diperhatikan",
    "Beberapa warga sudah mengalami kerugian, ada yang jatuh, ada yang sakit, ada yang kehilangan mata pencaharian",
    "Kami tidak menuntut banyak, kami hanya ingin ada petugas yang datang dan melihat sendiri keadaan di lapangan",
    "Foto dan keterangan saksi dapat kami berikan apabila diperlukan",
    "Besar harapan kami laporan ini ditindaklanjuti sampai tuntas dan tidak berhenti di meja saja",
    "Kami juga memohon agar identitas pelapor dilindungi karena ada pihak yang tidak senang apabila hal ini dilaporkan",
    "Demikian laporan ini kami buat dengan sebenarnya tanpa ada paksaan dari pihak mana pun",
)
"""Sentences that fit any matter: what long letters are made of."""

OPENINGS: Final = (
    "Yth. Bapak Presiden, ",
    "Yth. Bapak/Ibu pimpinan di tempat. ",
    "Assalamualaikum wr wb. ",
    "Selamat pagi admin, ",
    "Selamat siang bapak ibu yang terhormat. ",
    "Dengan hormat, ",
    "mohon maaf mengganggu pak, ",
    "Mau tanya min, ",
    "Kepada Yth Bupati. ",
    "Salam sejahtera. ",
)
ENDINGS: Final = (
    ". Terima kasih",
    ". Mohon segera ditindaklanjuti",
    ". Terima kasih atas perhatiannya, wassalam",
    ", mohon bantuannya pak",
    ". Trims",
    ". Mohon tanggapannya. Terimakasih 🙏",
    ". Atas perhatian Bapak kami ucapkan terima kasih",
    "!!!",
    ". mhn solusinya",
)
PLEAS: Final = (
    "Tolong pak",
    "Tolong dibantu ya pak bu",
    "Sudah 2x lapor belum ada tanggapan",
    "Kenapa laporan saya yang kemarin tidak dijawab",
    "Ini laporan kedua kali",
    "Mohon dengan sangat",
    "Kami menunggu jawabannya",
    "Sudah 3 minggu saya lapor tapi belum ditanggapi juga",
)
SERVICE_WORDS: Final = ("LAPOR ", "Lapor ", "LAPOR (spasi) ", "lapor: ")
KEYWORDS: Final = (*SERVICE_WORDS, "TANGKAB ", "LAPOR TANGKAB ", "BJN ", "KENDAL ", "DKI ")
HANDLES: Final = ("@dinas_rekaan", "@infowarga_x", "@kabar_kita", "@pemkab_contoh", "@halo_polisi_x")
TAGS: Final = ("#viral", "#tolong", "#infowarga", "#pelayananpublik")
SUBJECTS: Final = (
    "Laporan warga",
    "Pengaduan",
    "Mohon bantuan",
    "Keluhan masyarakat",
    "Mohon tindak lanjut",
    "Laporan",
)

ABBREVIATIONS: Final[dict[str, tuple[str, ...]]] = {
    "yang": ("yg",),
    "tidak": ("tdk", "gak", "ga", "tak"),
    "sudah": ("sdh", "udah", "udh"),
    "belum": ("blm", "blum"),
    "dengan": ("dgn",),
    "untuk": ("utk", "u/"),
    "saya": ("sy",),
    "dari": ("dr",),
    "kepada": ("kpd",),
    "karena": ("krn", "karna"),
    "mohon": ("mhn",),
    "tolong": ("tlg",),
    "banyak": ("byk",),
    "dapat": ("dpt",),
    "tahun": ("thn",),
    "bulan": ("bln",),
    "orang": ("org",),
    "sampai": ("smp", "sampe"),
    "tetapi": ("tp", "tapi"),
    "tapi": ("tp",),
    "juga": ("jg",),
    "kalau": ("klo", "kl", "kalo"),
    "rumah": ("rmh",),
    "nomor": ("no", "nmr"),
    "sekolah": ("sklh",),
    "bapak": ("bpk", "pak"),
    "sekarang": ("skrg", "skr"),
    "kenapa": ("knp",),
    "segera": ("sgr",),
    "setiap": ("tiap", "stiap"),
    "di": ("d",),
    "warga": ("wrg",),
    "masyarakat": ("masy",),
    "anak": ("ank",),
    "padahal": ("pdhl",),
    "tanggal": ("tgl",),
    "kami": ("kmi",),
    "malam": ("mlm",),
    "jalan": ("jln",),
    "kembali": ("kmbali",),
    "diperbaiki": ("d perbaiki",),
    "tos": ("atos",),
    "wis": ("wes",),
    "ora": ("ra",),
}
"""Full words and how they are shortened; read in both directions."""
