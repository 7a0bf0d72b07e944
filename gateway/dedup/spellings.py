"""How citizens write common words, as data: abbreviations, chat spellings, everyday and regional words.

The list is our own: indo-normalizer brings pandas along, basa rewrites numbers, and neither knows the words of
administration (kec, dsn, pdam). A change here raises ``normalise.VERSION``.
"""

from typing import Final

from gateway.dedup.words import spelt

ABBREVIATIONS: Final = spelt(
    """
    yang: yg yng yag sing nu anu
    tidak: tdk tak gak ga gk nggak ngga enggak engga kagak ndak tida ora teu henteu mboten ra ngak
    tidak: kaga tdak tiada
    belum: blm blom belom blum durung acan teuacan dereng
    sudah: sdh udah udh dah sampun udha wis wes geus atos
    dengan: dgn dg dng dngn dngan sama sm ama bareng barengan
    untuk: utk u tuk untk kanggo kangge buat bwt buwat guna unt
    dari: dr dri saka ti
    pada: pd pda
    kepada: kpd kpda
    dalam: dlm dalem
    di: d
    karena: krn karna krena krna karana soalnya gara gegara lantaran akibat
    kalau: klo kalo kl klu lamun klau jikalau
    bagaimana: bgmn gmn gimana bgaimana kumaha gimna
    kenapa: knp knapa kenpa ngapa naha
    mengapa: mngapa
    apa: ap apakah
    ada: ad wonten aya adanya
    adalah: adl adlh
    akan: akn
    atau: ato atw
    dan: dn
    juga: jg jga
    saja: aja sj sja bae
    saya: sy sya aku ku gue gw gua abdi kulo kula
    kami: kmi
    kita: kt
    anda: sampeyan
    mereka: mrk mreka
    orang: org orng jalmi
    warga: wrga wrg
    padahal: pdhl padhal
    setiap: tiap stiap tiep
    pernah: prnh pernh
    masyarakat: masy masyrkt msyarakat msyrkt mayarakat rakyat
    banyak: byk bnyk banyk
    sampai: sampe smpe smpai sampek nepi nganti
    sekarang: skrg skrng sekarng skarang
    kemarin: kmrn kemaren kmaren kmren
    sekali: skali sekle
    sangat: sgt sngt bgt banget bngt
    lebih: lbh lebh
    hanya: hny cuma cuman
    harus: hrs hrus
    bisa: bs bsa
    dapat: dpt dapet
    mohon: mhn mohn moon nyuwun
    tolong: tlg tlng tolg tulung tulungan plis please
    segera: sgr sgra
    bantuan: bntuan bantwan
    perbaikan: perbaikn prbaikan
    diperbaiki: dperbaiki diprbaiki dibenerin dibenahi
    laporan: lap lpr lporan
    terima kasih: trims trimakasih terimakasih thx makasih mksh trmksh tq thanks tks suwun nuhun matur hatur
    selamat: slamat met
    maaf: mf maap
    lain: laen lainnya
    nama: an
    atas nama: atasnama
    jalan: jl jln jlan jlnan
    jembatan: jmbtn jembtan jmbatan
    gang: gg
    dusun: dsn dukuh dkh
    desa: ds
    kelurahan: kel klurahan lurah
    kecamatan: kec kcmtn camat
    kabupaten: kab
    provinsi: prov propinsi prop
    kota: kt. kotamadya
    kampung: kp kampong kmpg
    perumahan: perum prum komplek kompleks
    nomor: no nmr nomer nmor
    kilometer: km
    meter: mtr
    rt: rukuntetangga
    rw: rukunwarga
    bulan: bln bln. wulan sasih
    tahun: thn th taun
    minggu: mggu mgg
    hari: hr hri dinten poe
    jam: pukul pkl
    tanggal: tgl tggl
    kali: x kl.
    rupiah: rp idr
    juta: jt
    ribu: rb rbu
    sekolah: sklh skolah skul
    rumah: rmh
    rumah sakit: rs rsud rsu
    puskesmas: pkm puskes
    kartu: krtu
    kartu keluarga: kk
    keluarga: klrg klg
    kartu tanda penduduk: ktp ektp
    pemerintah: pemda pemkab pemkot pemprov
    pak: pk bp pa
    bapak: bpk bapa bapake bpa
    bu: bund bunda
    ibu: ibuk ibue mak emak
    izin: ijin
    hektar: ha hektare
    antre: antri
    motor: mtor
    urus: ngurus
    depan: dpn dpan ngarep payuneun
    belakang: blkg blakang blkng
    samping: smping gigir
    dekat: dkt deket caket cedak
    antara: antra
    lampu: lmp lmpu
    listrik: lstrik setrum
    rusak: rsk rusk ruksak
    padam: pdm
    mati: paeh
    hujan: hjn ujan
    malam: mlm mlem malem
    pagi: pg
    siang: siank
    anak: ank bocah barudak
    lewat: lwt melalui mll mlalui
    kos: kost kosan
    informasi: info inform
    permasalahan: masalah mslh mslah masalahnya
    pembangunan: pmbangunan
    petugas: ptgs
    pelayanan: plynan playanan
    jakarta: jkt
    yogyakarta: jogja jogjakarta yogya diy
    surabaya: sby
    bandung: bdg
    semarang: smg
    semua: smua seluruh segenap sluruh
    seperti: spt sprt kyk kayak kaya kek ibarat
    tentang: ttg tntg soal mengenai perihal terkait
    jadi: jd jdi
    menjadi: mjd mnjd
    tetapi: tp tpi tapi
    sebelum: sblm sblum sebelom
    setelah: stlh stlah sesudah ssdh
    sebagai: sbg sbgai
    sehingga: shg shngga
    supaya: spy spya biar
    sedangkan: sdgkn sdgkan
    sedang: sdg
    sementara: smntr smentara
    walau: walaupun meski meskipun mskipun wlpn wlp
    jangan: jgn jgan
    bukan: bkn bkan
    masih: msh msih
    lagi: lg lgi
    dulu: dlu dl dahulu
    tadi: td tdi
    nanti: nt nti ntar entar
    besok: bsk bsok
    sering: srg sring kerap
    langsung: lgsg lgsung lsg lngsng
    sendiri: sndiri sendri
    benar: bnr bener betul
    terlalu: trlalu
    terus: trs trus
    tetap: ttp ttap
    masuk: msk msuk
    keluar: klr kluar
    datang: dtg dtang dateng
    pulang: plg plang
    kembali: kmbali balik
    diberi: dikasih dikasi diberikan
    memberi: ngasih memberikan
    antrean: antrian ngantri antri
    kata: ktnya katanya bilang bilangnya mengatakan ngomong berkata dibilang menyatakan
    sebelah: sblh sbelah
    sekitar: sktr skitar seputar kurleb
    beberapa: bbrp bbrapa
    berapa: brp brapa
    dimana: dmn dmana
    kemana: kmn kmana
    siapa: sapa sp
    kapan: kpn
    pakai: pake pakek memakai menggunakan make
    dipakai: dipake digunakan
    buka: bk
    tutup: ttup
    pelanggan: pel plgn plnggan
    kantor: ktr kntr kantr
    gedung: gdg gdng
    tempat: tmpt tmpat
    kepala sekolah: kepsek kasek
    kepala dusun: kadus
    lalu lintas: lantas lalin lalulintas
    lampu merah: trafficlight bangjo
    lampu jalan: pju
    rumah tidak layak huni: rtlh
    telepon: telp tlp tlpn telfon telpon telphone tlfn hubtelp
    hp: hape handphone ponsel henpon
    online: onlen onlain daring
    surel: imel
    masjid: mesjid msjid
    mushola: musholla musola mushalla musala
    sopir: supir
    nekat: nekad
    napas: nafas
    roboh: rubuh ambruk
    mabuk: mabok
    kebun: kebon
    cepat: cepet cpt cpat
    habis: abis hbs
    hilang: ilang
    hitung: itung
    hutan: utan
    hutang: utang
    negeri: negri
    perahu: prahu
    ambulans: ambulan ambulance ambulanc
    akta: akte
    ijazah: ijasah
    kuitansi: kwitansi
    apotek: apotik
    jadwal: jadual
    praktik: praktek
    risiko: resiko
    kualitas: kwalitas
    nasihat: nasehat
    sanksi: sangsi
    rezeki: rejeki rizki
    rapor: raport
    teknisi: tehnisi
    teknis: tehnis
    wudhu: wudlu wudu
    salat: sholat solat shalat
    jumat: jumaat
    ramadan: ramadhan
    magrib: maghrib mahgrib
    subuh: shubuh
    bendera: bndera
    bensin: bengsin
    solar: solr
    trotoar: trotoir
    bundaran: bunderan
    pulau: pulo
    sungai: sei sngai
    gunung: gn gng
    tanjung: tj tjg tanjong tg
    pasar: ps psr
    muara: mra
    simpang: spg simp
    almarhum: alm
    surat: srt
    harga: hrg hrga
    bayar: byr
    dibayar: dibyr dbayar
    uang: duit duwit uwang
    gaji: gj gajih
    kerja: krj kerjo
    air: aer banyu cai
    macet: mcet
    lubang: lobang
    berlubang: berlobang bolong
    tukang: tkg
    kecelakaan: laka lakalantas
    siswa: siswi
    murid: mrd
    bayi: baby
    jelek: jlk
    bagus: bgs
    jauh: jaoh
    tinggi: tnggi
    panas: pnas
    kotor: ktor
    bau: bauk
    penuh: pnuh
    kosong: ksong
    pecah: pcah
    bocor: bcor
    mulai: mlai
    selesai: slesai kelar rampung
    menunggu: nunggu nungguin
    perlu: prlu butuh
    sulit: susah sukar
    takut: tkut
    tengah: tngah
    ujung: ujng
    utara: utr
    selatan: slt slatan
    timur: tmr
    barat: brt
    sumatera: sumatra
    sumatera utara: sumut
    sumatera selatan: sumsel
    sumatera barat: sumbar
    jawa barat: jabar
    jawa tengah: jateng
    jawa timur: jatim
    kalimantan barat: kalbar
    kalimantan timur: kaltim
    kalimantan tengah: kalteng
    kalimantan selatan: kalsel
    sulawesi selatan: sulsel
    sulawesi utara: sulut
    sulawesi tengah: sulteng
    sulawesi tenggara: sultra
    nusa tenggara timur: ntt
    nusa tenggara barat: ntb
    kapal: kpl
    program: prog progrm
    triwulan: tw
    semester: smt smstr
    catatan sipil: capil
    dinas kependudukan dan catatan sipil: disdukcapil dukcapil
    dinas perhubungan: dishub
    dinas pendidikan: disdik dindik
    dinas kesehatan: dinkes
    dinas sosial: dinsos
    tenaga kerja: naker
    telkomsel: tsel
    tuberkulosis: tb tbc
    demam berdarah: dbd
    menit: mnt
    detik: dtk
    sentimeter: senti
    kilogram: kg kilo kilogrm
    gram: gr
    liter: ltr
    pengaduan: pngaduan
    identitas: idtts
    sertifikat: sertipikat sertfkt
    kementerian: kemen kemnterian
    terlambat: telat
    tahun: taon
    tidak: kada tra dak indak inda ndk katek gbs
    di: nang ning ndek
    bisa: iso
    beli: tuku meli
    ada: ono ana
    datang: teko rawuh
    banyak: akeh katah loba
    hari: dino
    kalau: nek lek men
    seperti: koyo kados
    jalan: dalan ratan
    hujan: udan
    dengan: karo sareng jeung
    saja: wae mawon
    bagaimana: piye pripun
    dijual: didol
    laku: payu
    air: aia toya
    setiap: tiok saben unggal
    terima kasih: nuwun makase makasi danke makasihh trimakasi
    bangun: bikin
    dibuat: dibikin
    mau: mo arep pengen pgn
    kata: blg
    dan: sarta
    sebentar: bentar
    malam: wengi bengi peuting
    pagi: isuk enjing
    besar: gede ageng
    anak: larehi bocil
    rumah: omah imah griya
    orang: wong urang
    minta: nyuhunkeun
    lama: suwe lami
    sakit: lara
    takut: wedi sieun
    susah: angel
    januari: jan
    februari: feb pebruari
    agustus: agust agt agus
    september: sept
    oktober: okt
    november: nopember nop nov
    """
)
"""What each short, everyday or regional form stands for; Sundanese and Javanese words stand beside Indonesian ones."""
