"""A GSM modem on a pseudo-terminal that speaks 3GPP TS 27.005 in PDU mode, with a mobile network behind it.

libGammu's AT driver works against it as against a USB stick: set `device` to `modem.path`. Whatever the
simulator does not know it answers with ERROR, as a modem does (libGammu takes a modem that says OK to
everything for another make). A test thread hands it messages (`deliver`), looks at what happened (`stored`,
`sent`, `deleted`, `commands`), waits for it (`wait_until`) and makes it misbehave (`fault`, `hang`, `vanish`,
`conditions`). libGammu needs four seconds to initialise: share one connection and `wipe` between tests.

By hand: `python -m tests.simulators.modem --link /tmp/modem --slots 10 --deliver messages.jsonl`.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import json
import os
import random
import select
import signal
import sys
import tempfile
import termios
import threading
import time
import tty
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.simulators import tpdu
from tests.simulators.tpdu import Coding

Memory = Literal["SM", "ME"]
SimState = Literal["ready", "pin", "puk", "absent"]
Effect = Literal["refuse", "lie", "lose", "swallow", "half", "noise", "slow", "vanish", "vanish-after"]

# A fault on this name strikes after the PDU was handed over with Ctrl-Z, as the network's refusals do.
SUBMIT = "SUBMIT"
CTRL_Z, ESC = 0x1A, 0x1B
OK, ERROR = "OK", "ERROR"
# 3GPP TS 27.007 clause 9.2 (+CME ERROR) and 3GPP TS 27.005 clause 3.2.5 (+CMS ERROR).
CME_NO_SIM, CME_PIN_NEEDED, CME_PUK_NEEDED, CME_WRONG_PIN = 10, 11, 12, 16
CMS_NETWORK_OUT_OF_ORDER, CMS_BAD_PDU, CMS_NO_SIM, CMS_PIN_NEEDED = 38, 304, 310, 311
CMS_BAD_INDEX, CMS_NO_NETWORK = 321, 331
IDLE_POLL_SECONDS = 0.02
_PIN_TRIES = 3


@dataclass(frozen=True)
class Conditions:
    """The world around the modem: its SIM and PIN, registration (+CREG <stat>), signal (+CSQ <rssi>)."""

    sim: SimState = "ready"
    pin: str = ""
    registration: int = 1
    rssi: int = 21

    @property
    def registered(self) -> bool:
        """Whether the network carries messages: home (1) or roaming (5)."""
        return self.sim == "ready" and self.registration in (1, 5)


@dataclass(frozen=True)
class Fault:
    """One way to misbehave on commands that begin with `command`, `times` times (None: until cleared).

    refuse: answer +CMS ERROR `code`, do nothing. lie: answer OK, do nothing. lose: do it, no answer.
    swallow: do nothing, no answer. half: do it, half the answer. noise: random bytes before the answer.
    slow: the answer comes `seconds` later. vanish: unplugged before it is done. vanish-after: once done.
    """

    effect: Effect
    command: str = "AT"
    times: int | None = 1
    code: int = 500
    seconds: float = 1.0


@dataclass(frozen=True)
class Stored:
    """A message in the modem's memory: its slot, the PDU in hexadecimal, and whether it was read before."""

    memory: Memory
    slot: int
    pdu: str
    read: bool = False

    @property
    def message(self) -> tpdu.Deliver:
        """The message, decoded; TpduError for a status report or a malformed PDU."""
        return tpdu.decode_deliver(tpdu.split_smsc(bytes.fromhex(self.pdu))[1])


@dataclass(frozen=True)
class Deleted:
    """A line of the log of deletions."""

    memory: Memory
    slot: int
    pdu: str


@dataclass(frozen=True)
class Sent:
    """A message that went out: the reference that the modem gave it (TP-MR) and what it says."""

    reference: int
    message: tpdu.Submit
    pdu: str


@dataclass(frozen=True)
class Incoming:
    """A message on its way from the network; `report` tells a status report from an SMS-DELIVER."""

    pdu: str
    memory: Memory | None
    report: bool = False


@dataclass(frozen=True)
class Seen:
    """A command that the modem received and when, on the monotonic clock."""

    at: float
    text: str


class Commands:
    """The commands that were received: counts of all of them, and the latest ones in full."""

    def __init__(self, keep: int = 2000) -> None:
        self.log: deque[Seen] = deque(maxlen=keep)
        self.counts: Counter[str] = Counter()

    def note(self, text: str) -> None:
        """Record one command."""
        self.log.append(Seen(time.monotonic(), text))
        self.counts[text] += 1

    def count(self, prefix: str) -> int:
        """How many commands began with this."""
        return sum(count for text, count in list(self.counts.items()) if text.startswith(prefix))

    def clear(self) -> None:
        """Forget everything, to look at one call alone."""
        self.log.clear()
        self.counts.clear()


class Network:
    """The mobile network: keeps what a full or absent modem cannot take, and records what was sent."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Incoming]] = {}
        self._lock = threading.Lock()
        self.sent: list[tuple[str, Sent]] = []

    def enqueue(self, subscriber: str, incoming: Incoming) -> None:
        """Take a message into custody for a subscriber."""
        with self._lock:
            self._queues.setdefault(subscriber, deque()).append(incoming)

    def take(self, subscriber: str, accepts: Callable[[Incoming], bool]) -> Incoming | None:
        """Hand over the oldest message that the subscriber has room for; the others keep their order."""
        with self._lock:
            queue = self._queues.get(subscriber, deque())
            for incoming in queue:
                if accepts(incoming):
                    queue.remove(incoming)
                    return incoming
        return None

    def waiting(self, subscriber: str) -> tuple[Incoming, ...]:
        """What has not reached the subscriber yet."""
        with self._lock:
            return tuple(self._queues.get(subscriber, ()))

    def drop(self, subscriber: str) -> None:
        """Forget what waits for a subscriber."""
        with self._lock:
            self._queues.pop(subscriber, None)

    def submit(self, subscriber: str, sent: Sent) -> None:
        """Accept a message that a subscriber sends."""
        with self._lock:
            self.sent.append((subscriber, sent))


class MessageStore:
    """The slots of the SIM and of the modem's own memory."""

    def __init__(self, sizes: dict[Memory, int]) -> None:
        self.sizes = sizes
        self._slots: dict[Memory, dict[int, Stored]] = {memory: {} for memory in sizes}

    def listed(self, memory: Memory | None = None) -> tuple[Stored, ...]:
        """The messages of one memory or of all, by slot."""
        chosen = [memory] if memory else list(self._slots)
        return tuple(self._slots[name][slot] for name in chosen for slot in sorted(self._slots[name]))

    def used(self, memory: Memory) -> int:
        """How many slots are taken."""
        return len(self._slots[memory])

    def has_room(self, memory: Memory) -> bool:
        """Whether a slot is free."""
        return memory in self._slots and self.used(memory) < self.sizes[memory]

    def put(self, memory: Memory, pdu: str) -> Stored:
        """Store a message in the lowest free slot, as SIM cards do: a freed slot is used again at once."""
        slots = self._slots[memory]
        slot = next(number for number in range(1, self.sizes[memory] + 1) if number not in slots)
        slots[slot] = Stored(memory, slot, pdu)
        return slots[slot]

    def get(self, memory: Memory, slot: int) -> Stored | None:
        """The message in a slot, marked as read from now on."""
        found = self._slots[memory].get(slot)
        if found is not None:
            self._slots[memory][slot] = replace(found, read=True)
        return found

    def remove(self, memory: Memory, slot: int) -> Stored | None:
        """Empty a slot."""
        return self._slots[memory].pop(slot, None)


@dataclass
class FaultPlan:
    """The faults that are armed, and the seeded chance ones."""

    armed: list[Fault] = field(default_factory=list)
    chance: random.Random | None = None
    rate: float = 0.0
    effects: tuple[Effect, ...] = ()
    prefix: str = ""

    def take(self, command: str) -> Fault | None:
        """The fault that strikes this command, if any; counted ones are used up."""
        for position, fault in enumerate(self.armed):
            if command.startswith(fault.command):
                if fault.times is not None:
                    left = fault.times - 1
                    self.armed[position : position + 1] = [replace(fault, times=left)] if left else []
                return fault
        if self.chance and command.startswith(self.prefix) and self.chance.random() < self.rate:
            return Fault(self.chance.choice(self.effects), seconds=self.chance.uniform(0.1, 2.0))
        return None


@dataclass
class Settings:
    """What commands change and switching off forgets (3GPP TS 27.007 and 27.005 defaults)."""

    echo: bool = True
    cme_errors: int = 0
    charset: str = "GSM"
    registration_reports: int = 0
    operator_format: int = 0
    reading: Memory = "SM"
    writing: Memory = "SM"
    receiving: Memory = "SM"
    mode: int = 0
    deliver_route: int = 0
    broadcast_route: int = 0
    report_route: int = 0


@dataclass(frozen=True)
class Identity:
    """What the modem says about itself; all of it invented."""

    manufacturer: str = "SIMULATED"
    model: str = "LAPOR-SIM"
    revision: str = "1.0"
    imei: str = "350000000000006"
    imsi: str = "510000000000017"
    operator: str = "51000"
    operator_name: str = "SIMULATED"
    smsc: str = "+628110000900"
    report_routes: str = "0-2"


Answer = list[str] | None


class Interpreter:
    """The AT command line: octets into commands, commands into answers. Knows no file and no thread."""

    def __init__(self, modem: Modem) -> None:
        self._modem = modem
        self.settings = Settings()
        self._line = bytearray()
        self._prompt: int | None = None
        self._held: list[str] = []
        self._reference = 0
        self._smsc = modem.identity.smsc
        self._handlers: dict[str, Callable[[str], Answer]] = {
            "+CMEE": self._cmee, "+CSCS": self._cscs, "+CPIN": self._cpin, "+CREG": self._creg,
            "+CGREG": self._cgreg, "+CGATT": self._cgatt, "+COPS": self._cops, "+CSQ": self._csq,
            "+CSCA": self._csca, "+CMGF": self._cmgf, "+CSMS": self._csms, "+CPMS": self._cpms,
            "+CNMI": self._cnmi, "+CMGL": self._cmgl, "+CMGR": self._cmgr, "+CMGD": self._cmgd,
            "+CMGS": self._cmgs, "+CIMI": self._cimi,
        }  # fmt: skip

    def power_up(self) -> None:
        """Forget what switching off forgets."""
        self.settings = Settings()
        if "SM" not in self._modem.store.sizes:
            self.settings = Settings(reading="ME", writing="ME", receiving="ME")
        self._line.clear()
        self._prompt = None
        self._held.clear()

    # -- octets in, lines out

    def feed(self, octets: bytes) -> None:
        """Take octets from the port."""
        for octet in octets:
            if self._prompt is not None and octet in (CTRL_Z, ESC):
                self._end_prompt(octet)
            elif self._prompt is None and octet == 0x0D:
                self._end_line()
            elif octet not in (CTRL_Z, ESC):
                self._line.append(octet)
                self._echo(bytes((octet,)))

    def notify(self, *lines: str) -> None:
        """An unsolicited result code; held back while a message is typed in, as the link is reserved then."""
        for line in lines:
            if self._prompt is not None:
                self._held.append(line)
            else:
                self._modem.emit(f"\r\n{line}\r\n".encode())

    def _echo(self, octets: bytes) -> None:
        if self.settings.echo:
            self._modem.emit(octets)

    def _end_line(self) -> None:
        self._echo(b"\r")
        line = self._line.decode("latin-1").strip()
        self._line.clear()
        if line:
            self._run(line, lambda: self._answer(line))

    def _end_prompt(self, octet: int) -> None:
        typed, length = self._line.decode("latin-1").strip(), self._prompt
        self._line.clear()
        self._prompt = None
        if octet == CTRL_Z and length is not None:
            self._run(SUBMIT, lambda: self._submit(typed, length))
        else:
            self._modem.emit(b"\r\nOK\r\n")
        held, self._held = self._held, []
        self.notify(*held)

    def _run(self, command: str, answer: Callable[[], Answer]) -> None:
        """Carry out one command, or misbehave."""
        modem = self._modem
        modem.commands.note(command)
        fault = modem.plan.take(command)
        effect = fault.effect if fault else None
        if effect == "vanish":
            modem.vanish()
        if effect in ("swallow", "vanish"):
            return
        if fault and effect == "refuse":
            self._reply([f"+CMS ERROR: {fault.code}"], None)
            return
        lines = [OK] if effect == "lie" else answer()
        if effect == "vanish-after":
            modem.vanish()
        if effect not in ("lose", "vanish-after"):
            self._reply(lines, fault)

    def _reply(self, lines: Answer, fault: Fault | None) -> None:
        if lines is None:  # the prompt speaks for itself
            return
        *information, result = lines
        body = "".join(f"\r\n{line}" for line in information)
        octets = (f"{body}\r\n" if information else "").encode("latin-1") + f"\r\n{result}\r\n".encode("latin-1")
        effect = fault.effect if fault else None
        if effect == "half":
            octets = octets[: len(octets) // 2]
        if effect == "noise":
            octets = b"\r\n" + self._modem.noise_octets() + octets
        self._modem.emit(octets, fault.seconds if fault and effect == "slow" else 0.0)

    # -- commands

    def _answer(self, line: str) -> Answer:
        command = line.upper()
        identity = self._modem.identity
        fixed: dict[str, list[str]] = {
            "AT": [OK], "ATZ": [OK], "AT&F": [OK], "ATQ0": [OK], "ATV1": [OK],
            "AT+CGMI": [identity.manufacturer, OK], "AT+CGMM": [identity.model, OK],
            "AT+CGMR": [identity.revision, OK], "AT+CGSN": [identity.imei, OK],
            "ATI": [identity.manufacturer, identity.model, identity.revision, OK],
        }  # fmt: skip
        if command in fixed:
            return fixed[command]
        if command in ("ATE", "ATE0", "ATE1"):
            self.settings.echo = command == "ATE1"
            return [OK]
        name = command[2:].partition("=")[0].partition("?")[0]
        handler = self._handlers.get(name) if command.startswith("AT+") else None
        return handler(line[2 + len(name) :]) if handler else [ERROR]

    def _cme(self, code: int) -> Answer:
        return [f"+CME ERROR: {code}"] if self.settings.cme_errors else [ERROR]

    def _sim_trouble(self) -> Answer:
        """The +CME ERROR of a SIM that is not ready, or nothing."""
        codes = {"absent": CME_NO_SIM, "pin": CME_PIN_NEEDED, "puk": CME_PUK_NEEDED}
        sim = self._modem.conditions.sim
        return self._cme(codes[sim]) if sim in codes else None

    def _storage_trouble(self) -> Answer:
        """The +CMS ERROR of message commands while the SIM is not ready, or nothing."""
        sim = self._modem.conditions.sim
        if sim == "ready":
            return None
        return [f"+CMS ERROR: {CMS_NO_SIM if sim == 'absent' else CMS_PIN_NEEDED}"]

    def _quoted(self, text: str) -> str:
        """A string in the character set that was chosen (3GPP TS 27.007, 5.5)."""
        return f'"{text.encode("utf-16-be").hex().upper()}"' if self.settings.charset == "UCS2" else f'"{text}"'

    def _cmee(self, rest: str) -> Answer:
        if rest in ("=0", "=1", "=2"):
            self.settings.cme_errors = int(rest[1])
            return [OK]
        return [f"+CMEE: {self.settings.cme_errors}", OK] if rest == "?" else [ERROR]

    def _cscs(self, rest: str) -> Answer:
        if rest == "=?":
            return ['+CSCS: ("IRA","UCS2","GSM")', OK]
        if rest == "?":
            return [f"+CSCS: {self._quoted(self.settings.charset)}", OK]
        name = rest.removeprefix("=").strip('"')
        if name not in ("IRA", "UCS2", "GSM", "0055004300530032"):
            return [ERROR]
        self.settings.charset = "UCS2" if name.startswith("0") else name
        return [OK]

    def _cpin(self, rest: str) -> Answer:
        conditions = self._modem.conditions
        if conditions.sim == "absent":
            return self._cme(CME_NO_SIM)
        if rest == "?":
            states = {"ready": "READY", "pin": "SIM PIN", "puk": "SIM PUK"}
            return [f"+CPIN: {states[conditions.sim]}", OK]
        if not rest.startswith("=") or conditions.sim != "pin":
            return self._cme(CME_PUK_NEEDED) if conditions.sim == "puk" else [ERROR]
        return [OK] if self._modem.enter_pin(rest[1:].strip('"')) else self._cme(CME_WRONG_PIN)

    def _creg(self, rest: str) -> Answer:
        if rest in ("=0", "=1", "=2"):
            self.settings.registration_reports = int(rest[1])
            return [OK]
        if rest != "?":
            return [ERROR]
        conditions, mode = self._modem.conditions, self.settings.registration_reports
        status = conditions.registration if conditions.sim == "ready" else 0
        where = ',"00A1","0000B2C3"' if mode == 2 and conditions.registered else ""
        return [f"+CREG: {mode},{status}{where}", OK]

    def _cgreg(self, rest: str) -> Answer:
        return [line.replace("+CREG", "+CGREG") for line in self._creg(rest) or []]

    def _cgatt(self, rest: str) -> Answer:
        return [f"+CGATT: {int(self._modem.conditions.registered)}", OK] if rest == "?" else [ERROR]

    def _cops(self, rest: str) -> Answer:
        if trouble := self._sim_trouble():
            return trouble
        if rest.startswith("=3,") and rest[3:] in ("0", "1", "2"):
            self.settings.operator_format = int(rest[3:])
            return [OK]
        if rest != "?":
            return [ERROR]
        if not self._modem.conditions.registered:
            return ["+COPS: 0", OK]
        numeric = self.settings.operator_format == 2
        name = self._modem.identity.operator if numeric else self._modem.identity.operator_name
        return [f"+COPS: 0,{self.settings.operator_format},{self._quoted(name)}", OK]

    def _csq(self, rest: str) -> Answer:
        conditions = self._modem.conditions
        rssi = conditions.rssi if conditions.registered else 99
        return [f"+CSQ: {rssi},99", OK] if rest == "" else [ERROR]

    def _cimi(self, rest: str) -> Answer:
        return self._sim_trouble() or ([ERROR] if rest else [self._modem.identity.imsi, OK])

    def _csca(self, rest: str) -> Answer:
        if trouble := self._storage_trouble():
            return trouble
        if rest == "?":
            return [f"+CSCA: {self._quoted(self._smsc)},{145 if self._smsc.startswith('+') else 129}", OK]
        if not rest.startswith("="):
            return [ERROR]
        self._smsc = rest[1:].partition(",")[0].strip('"')
        return [OK]

    def _cmgf(self, rest: str) -> Answer:
        answers = {"=0": [OK], "?": ["+CMGF: 0", OK], "=?": ["+CMGF: (0)", OK]}
        return answers.get(rest, [ERROR])

    def _csms(self, rest: str) -> Answer:
        answers = {"?": ["+CSMS: 0,1,1,0", OK], "=0": ["+CSMS: 1,1,0", OK], "=?": ["+CSMS: (0)", OK]}
        return answers.get(rest, [ERROR])

    def _cpms(self, rest: str) -> Answer:
        store, settings = self._modem.store, self.settings
        if rest == "=?":
            names = ",".join(f'"{name}"' for name in store.sizes)
            return [f"+CPMS: ({names}),({names}),({names})", OK]
        if trouble := self._storage_trouble():
            return trouble
        if rest == "?":
            chosen = (settings.reading, settings.writing, settings.receiving)
            return ["+CPMS: " + ",".join(f'"{name}",{self._usage(name)}' for name in chosen), OK]
        wanted = [name.strip().strip('"').upper() for name in rest.removeprefix("=").split(",")]
        known: list[Memory] = [name for text in wanted for name in store.sizes if name == text]
        if not known or len(known) != len(wanted) or len(known) > 3:
            return [ERROR]
        settings.reading = known[0]
        settings.writing = known[1] if len(known) > 1 else settings.writing
        settings.receiving = known[2] if len(known) > 2 else settings.receiving
        chosen = (settings.reading, settings.writing, settings.receiving)
        return ["+CPMS: " + ",".join(self._usage(name) for name in chosen), OK]

    def _usage(self, memory: Memory) -> str:
        return f"{self._modem.store.used(memory)},{self._modem.store.sizes[memory]}"

    def _cnmi(self, rest: str) -> Answer:
        settings = self.settings
        routes = [settings.mode, settings.deliver_route, settings.broadcast_route, settings.report_route]
        if rest == "=?":
            return [f"+CNMI: (0-2),(0-3),(0,2),({self._modem.identity.report_routes}),(0,1)", OK]
        if rest == "?":
            return ["+CNMI: " + ",".join(map(str, [*routes, 0])), OK]
        given = rest.removeprefix("=").split(",")
        if not all(value.strip().isdigit() or not value.strip() for value in given) or len(given) > 5:
            return [ERROR]
        # What is left out keeps its value: libGammu sets the routes one by one and counts on that.
        for position, value in enumerate(given[:4]):
            routes[position] = int(value) if value.strip() else routes[position]
        settings.mode, settings.deliver_route, settings.broadcast_route, settings.report_route = routes
        return [OK]

    # -- messages

    def _cmgl(self, rest: str) -> Answer:
        if trouble := self._storage_trouble():
            return trouble
        status = rest.removeprefix("=") or "0"
        if status not in ("0", "1", "4"):
            return [OK] if status in ("2", "3") else [ERROR]
        lines: list[str] = []
        for stored in self._modem.store.listed(self.settings.reading):
            if status == "4" or int(stored.read) == int(status):
                lines += [f"+CMGL: {stored.slot},{int(stored.read)},,{_tpdu_length(stored.pdu)}", stored.pdu]
                self._modem.store.get(stored.memory, stored.slot)
        return [*lines, OK]

    def _slot(self, rest: str) -> int:
        digits = rest.removeprefix("=").partition(",")[0]
        return int(digits) if digits.isdigit() else 0

    def _cmgr(self, rest: str) -> Answer:
        if trouble := self._storage_trouble():
            return trouble
        stored = self._modem.store.get(self.settings.reading, self._slot(rest))
        if stored is None:
            return [f"+CMS ERROR: {CMS_BAD_INDEX}"]
        return [f"+CMGR: {int(stored.read)},,{_tpdu_length(stored.pdu)}", stored.pdu, OK]

    def _cmgd(self, rest: str) -> Answer:
        if trouble := self._storage_trouble():
            return trouble
        removed = self._modem.remove(self.settings.reading, self._slot(rest))
        return [OK] if removed else [f"+CMS ERROR: {CMS_BAD_INDEX}"]

    def _cmgs(self, rest: str) -> Answer:
        if trouble := self._storage_trouble():
            return trouble
        if not rest.startswith("=") or not rest[1:].isdigit():
            return [ERROR]
        self._prompt = int(rest[1:])
        self._modem.emit(b"\r\n> ")
        return None

    def _submit(self, typed: str, length: int) -> Answer:
        """Send what was typed in at the prompt."""
        try:
            pdu = bytes.fromhex(typed)
            message = tpdu.decode_submit(pdu)
        except ValueError:
            return [f"+CMS ERROR: {CMS_BAD_PDU}"]
        if len(pdu) - 1 - pdu[0] != length:
            return [f"+CMS ERROR: {CMS_BAD_PDU}"]
        if not self._modem.conditions.registered:
            return [f"+CMS ERROR: {CMS_NO_NETWORK}"]
        self._reference = (self._reference + 1) % 256
        self._modem.submit(Sent(self._reference, message, typed.upper()))
        return [f"+CMGS: {self._reference}", OK]


def _tpdu_length(pdu: str) -> int:
    """The <length> of listings: octets of the TPDU without the service centre; all octets if malformed."""
    try:
        return len(tpdu.split_smsc(bytes.fromhex(pdu))[1])
    except ValueError:
        return len(pdu) // 2


class Port:
    """A pseudo-terminal behind a symbolic link that keeps its name when the modem comes back."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.master = -1
        self._slave_name = ""

    def open(self) -> None:
        """Make a new terminal and point the link at it in one step."""
        self.master, slave = os.openpty()
        self._slave_name = os.ttyname(slave)
        tty.setraw(slave)
        os.set_blocking(self.master, False)
        os.close(slave)
        fresh = self.link.with_name(self.link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self._slave_name)
        fresh.replace(self.link)

    def close(self) -> None:
        """Unplug: who has the port open gets errors, and the device is gone."""
        if self.master >= 0:
            self.link.unlink(missing_ok=True)
            os.close(self.master)
            self.master = -1

    def reset(self) -> None:
        """Undo what a program left behind on the terminal: its lock, and octets that nobody read."""
        with contextlib.suppress(OSError):
            slave = os.open(self._slave_name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                fcntl.ioctl(slave, termios.TIOCNXCL)
                termios.tcflush(slave, termios.TCIFLUSH)
            finally:
                os.close(slave)


class Modem:
    """The modem: a thread that serves the port, and the test's handle on everything.

    All methods may be called from any thread. Several modems with different numbers may share a `network`.
    """

    def __init__(  # noqa: PLR0913 - a test says what it needs, by name
        self,
        *,
        slots: int = 10,
        phone_slots: int = 20,
        number: str = "+628110000170",
        network: Network | None = None,
        identity: Identity | None = None,
        conditions: Conditions | None = None,
        link: Path | None = None,
        seed: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        sizes: dict[Memory, int] = {}
        if slots:
            sizes["SM"] = slots
        if phone_slots:
            sizes["ME"] = phone_slots
        self.number, self.network, self.identity = number, network or Network(), identity or Identity()
        self.store, self.commands, self.plan = MessageStore(sizes), Commands(), FaultPlan()
        self.sent: list[Sent] = []
        self.deleted: list[Deleted] = []
        self.lost_reports: list[str] = []
        self._conditions = conditions or Conditions()
        self._pin_tries = _PIN_TRIES
        self._noise, self._now = random.Random(seed), now
        self._folder = None if link else tempfile.TemporaryDirectory(prefix="modem-")
        self._port = Port(link or Path(self._folder.name if self._folder else "") / "modem")
        self._changed = threading.Condition(threading.RLock())
        self._output: deque[tuple[float, bytes]] = deque()
        self._hung = self._stopping = self._unplugging = self._in_use = False
        self._wake_read, self._wake_write = -1, -1
        self._thread: threading.Thread | None = None
        self._interpreter = Interpreter(self)
        self._interpreter.power_up()

    # -- life

    @property
    def path(self) -> str:
        """The device name, the same after a replug."""
        return str(self._port.link)

    def start(self) -> Self:
        """Plug it in and serve it."""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        with self._changed:
            self._stopping = False
            self._port.open()
        self._thread = threading.Thread(target=self._serve, name="modem", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Unplug it for good; a second call does nothing."""
        if self._thread is None:
            return
        with self._changed:
            self._stopping = True
        self._wake()
        self._thread.join()
        self._thread = None
        self._port.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._folder:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until(self, condition: Callable[[], object], timeout: float = 10.0) -> bool:
        """Wait until something holds, looked at again after every change; False: it never did."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(condition()), timeout)

    # -- what the network brings

    def deliver(
        self,
        sender: str,
        text: str | bytes,
        *,
        sent_at: datetime | None = None,
        coding: Coding = "gsm7",
        udh: bytes = b"",
        memory: Memory | None = "SM",
    ) -> str:
        """Send a message here, bytes as they are; memory None: where AT+CPMS says. Returns the PDU."""
        data = tpdu.user_data(text, coding, udh)
        return self._deliver_data(sender, data, sent_at, memory)

    def deliver_multipart(  # noqa: PLR0913 - all the ways in which parts arrive, by name
        self,
        sender: str,
        text: str,
        reference: int,
        *,
        wide: bool = False,
        order: Sequence[int] | None = None,
        omit: Iterable[int] = (),
        double: Iterable[int] = (),
        sent_at: datetime | None = None,
        coding: Coding | None = None,
        memory: Memory | None = "SM",
    ) -> list[str]:
        """Send a concatenated message: `order`, `omit`, `double` count parts from 1. Returns the PDUs."""
        parts = tpdu.split_into_parts(text, reference, wide=wide, coding=coding)
        omitted, doubled = set(omit), set(double)
        pdus: list[str] = []
        for number in order or range(1, len(parts) + 1):
            times = 0 if number in omitted else 2 if number in doubled else 1
            pdus += [self._deliver_data(sender, parts[number - 1], sent_at, memory) for _ in range(times)]
        return pdus

    def _deliver_data(self, sender: str, data: tpdu.UserData, sent_at: datetime | None, memory: Memory | None) -> str:
        message = tpdu.Deliver(sender, sent_at or self._now(), data)
        pdu = (tpdu.encode_smsc(self.identity.smsc) + tpdu.encode_deliver(message)).hex().upper()
        self.deliver_pdu(pdu, memory=memory)
        return pdu

    def deliver_pdu(self, pdu: str, *, memory: Memory | None = "SM", report: bool = False) -> None:
        """Send any characters as a message's PDU, well formed or not."""
        self.network.enqueue(self.number, Incoming(pdu, memory, report))
        self.refresh()

    def report(self, sent: Sent, *, status: int = 0, at: datetime | None = None, memory: Memory = "SM") -> str:
        """Send the status report of a sent message: status 0 is delivered, 0x46 expired."""
        moment = at or self._now()
        report = tpdu.StatusReport(sent.reference, sent.message.destination, moment, moment, status)
        pdu = (tpdu.encode_smsc(self.identity.smsc) + tpdu.encode_status_report(report)).hex().upper()
        self.deliver_pdu(pdu, memory=memory, report=True)
        return pdu

    def refresh(self) -> None:
        """Let the network deliver what there is room for; called by itself after every change."""
        with self._changed:
            while self._reachable and (incoming := self.network.take(self.number, self._accepts)):
                self._receive(incoming)
            self._changed.notify_all()
        self._wake()

    @property
    def _reachable(self) -> bool:
        return self._conditions.registered and not self._hung and self._port.master >= 0

    def _memory_for(self, incoming: Incoming) -> Memory:
        wanted = incoming.memory or self._interpreter.settings.receiving
        return wanted if wanted in self.store.sizes else next(iter(self.store.sizes))

    def _goes_to_terminal(self, incoming: Incoming) -> bool:
        settings = self._interpreter.settings
        return settings.report_route != 2 if incoming.report else settings.deliver_route == 2

    def _accepts(self, incoming: Incoming) -> bool:
        return self._goes_to_terminal(incoming) or self.store.has_room(self._memory_for(incoming))

    def _receive(self, incoming: Incoming) -> None:
        settings = self._interpreter.settings
        if not self._goes_to_terminal(incoming):
            stored = self.store.put(self._memory_for(incoming), incoming.pdu)
            code = "+CDSI" if incoming.report else "+CMTI"
            if incoming.report or settings.deliver_route in (1, 3):
                self._interpreter.notify(f'{code}: "{stored.memory}",{stored.slot}')
        elif not incoming.report:
            self._interpreter.notify(f"+CMT: ,{_tpdu_length(incoming.pdu)}\r\n{incoming.pdu}")
        elif settings.report_route == 1:
            self._interpreter.notify(f"+CDS: {_tpdu_length(incoming.pdu)}\r\n{incoming.pdu}")
        else:  # +CNMI asked for no reports: the modem acknowledges them and drops them
            self.lost_reports.append(incoming.pdu)

    # -- what a test looks at

    def stored(self, memory: Memory | None = None) -> tuple[Stored, ...]:
        """What is in the memories, or in one of them."""
        with self._changed:
            return self.store.listed(memory)

    def waiting(self) -> tuple[Incoming, ...]:
        """What the network still keeps."""
        return self.network.waiting(self.number)

    @property
    def in_use(self) -> bool:
        """Whether a program has the port open."""
        return self._in_use

    # -- faults

    @property
    def conditions(self) -> Conditions:
        """The SIM, the registration and the signal."""
        return self._conditions

    @conditions.setter
    def conditions(self, conditions: Conditions) -> None:
        with self._changed:
            before, self._conditions = self._conditions.registration, conditions
            if conditions.registration != before and self._interpreter.settings.registration_reports:
                self._interpreter.notify(f"+CREG: {conditions.registration}")
        self.refresh()

    def wipe(self) -> None:
        """Forget all messages, logs and faults, to start the next test on the same connection."""
        with self._changed:
            self.store = MessageStore(self.store.sizes)
            self.network.drop(self.number)
            self.commands, self.plan = Commands(), FaultPlan()
            self.sent, self.deleted, self.lost_reports = [], [], []
            self._conditions, self._hung = Conditions(), False
        self._wake()

    def fault(self, fault: Fault) -> None:
        """Arm a fault; several may be armed, the first that fits a command strikes."""
        with self._changed:
            self.plan.armed.append(fault)

    def chaos(self, chance: random.Random, rate: float, effects: Sequence[Effect], prefix: str = "") -> None:
        """Strike commands at random with these effects; the generator is seeded by the test."""
        with self._changed:
            self.plan.chance, self.plan.rate, self.plan.effects, self.plan.prefix = (
                chance,
                rate,
                tuple(effects),
                prefix,
            )

    def clear_faults(self) -> None:
        """Behave again; does not release a hang or plug the modem in."""
        with self._changed:
            self.plan = FaultPlan()

    def fail_deletes(self, times: int | None = 1, code: int = 500) -> None:
        """Answer the next deletes with +CMS ERROR and keep the messages."""
        self.fault(Fault("refuse", "AT+CMGD", times, code))

    def lie_on_deletes(self, times: int | None = 1) -> None:
        """Answer the next deletes with OK and keep the messages."""
        self.fault(Fault("lie", "AT+CMGD", times))

    def lose_delete_answers(self, times: int | None = 1) -> None:
        """Carry out the next deletes without a word."""
        self.fault(Fault("lose", "AT+CMGD", times))

    def refuse_sends(self, times: int | None = 1, code: int = CMS_NETWORK_OUT_OF_ORDER) -> None:
        """Let the network refuse the next messages."""
        self.fault(Fault("refuse", SUBMIT, times, code))

    def lose_send_answers(self, times: int | None = 1) -> None:
        """Send the next messages but never say so."""
        self.fault(Fault("lose", SUBMIT, times))

    def hang(self) -> None:
        """Swallow everything without an answer, as a modem does whose firmware is stuck, until released."""
        with self._changed:
            self._hung = True

    def release(self) -> None:
        """End a hang; what was swallowed stays lost."""
        with self._changed:
            self._hung = False
        self.refresh()

    def vanish(self) -> None:
        """Unplug: reads and writes fail from now on and the device name is gone. What the SIM holds stays."""
        with self._changed:
            self._unplugging = True
            if threading.current_thread() is self._thread:
                self._unplug()
                return
        # A descriptor that the thread still waits on stays alive after close(): the thread closes it itself.
        self._wake()
        self.wait_until(lambda: not self._unplugging)

    def _unplug(self) -> None:
        self._port.close()
        self._output.clear()
        self._in_use = self._unplugging = False
        self._changed.notify_all()

    def come_back(self) -> None:
        """Plug it in again behind the same name; it forgot its settings, and wants its PIN if it has one."""
        with self._changed:
            if self._port.master < 0:
                self._output.clear()
                self._port.open()
                self._interpreter.power_up()
                locked = bool(self._conditions.pin) and self._conditions.sim == "ready"
                self._conditions = replace(self._conditions, sim="pin") if locked else self._conditions
        self.refresh()

    def noise(self) -> None:
        """Put a line of random octets on the wire, now."""
        self.emit(b"\r\n" + self.noise_octets() + b"\r\n")
        self._wake()

    def noise_octets(self) -> bytes:
        """Random octets without line ends."""
        return bytes(octet for octet in self._noise.randbytes(24) if octet not in b"\r\n")

    # -- what the command interpreter calls

    def emit(self, octets: bytes, seconds: float = 0.0) -> None:
        """Send octets to the port, in order; a slow answer holds back what follows it."""
        with self._changed:
            latest = self._output[-1][0] if self._output else 0.0
            self._output.append((max(latest, time.monotonic() + seconds if seconds else 0.0), octets))

    def enter_pin(self, pin: str) -> bool:
        """Try a PIN; the third wrong one blocks the SIM."""
        if pin == self._conditions.pin:
            self._pin_tries = _PIN_TRIES
            self._conditions = replace(self._conditions, sim="ready")
            return True
        self._pin_tries -= 1
        if self._pin_tries <= 0:
            self._conditions = replace(self._conditions, sim="puk")
        return False

    def remove(self, memory: Memory, slot: int) -> bool:
        """Delete a stored message and log it."""
        removed = self.store.remove(memory, slot)
        if removed:
            self.deleted.append(Deleted(memory, slot, removed.pdu))
        return removed is not None

    def submit(self, sent: Sent) -> None:
        """Hand a message to the network."""
        self.sent.append(sent)
        self.network.submit(self.number, sent)

    # -- the thread

    def _wake(self) -> None:
        if self._wake_write >= 0 and self._thread is not None:
            with contextlib.suppress(OSError):
                os.write(self._wake_write, b"\0")

    def _serve(self) -> None:
        while not self._stopping:
            self._wait()
            with self._changed:
                if self._unplugging:
                    self._unplug()
                if self._port.master >= 0:
                    self._read()
                if self._port.master >= 0:
                    self._write()

    def _wait(self) -> None:
        """Wait for octets, for the test thread, or for the time of a slow answer."""
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        # Without a program on the other side poll() would report a hang-up at once, again and again.
        timeout = IDLE_POLL_SECONDS
        with self._changed:
            if self._port.master >= 0 and self._in_use:
                delay = max(0.0, self._output[0][0] - time.monotonic()) if self._output else None
                ready = delay == 0.0 and not self._hung
                poller.register(self._port.master, select.POLLIN | (select.POLLOUT if ready else 0))
                timeout = delay or 1.0
        for descriptor, _ in poller.poll(timeout * 1000):
            if descriptor == self._wake_read:
                os.read(self._wake_read, 4096)

    def _read(self) -> None:
        try:
            octets = os.read(self._port.master, 4096)
        except BlockingIOError:
            self._in_use = True
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._closed_by_program()
            return
        self._in_use = True
        if not self._hung:
            self._interpreter.feed(octets)
            self.refresh()

    def _closed_by_program(self) -> None:
        """Nobody has the port open (EIO): what is said now is lost, as on a serial line."""
        if self._in_use:
            self._in_use = False
            self._port.reset()
            self._changed.notify_all()
        self._output.clear()

    def _write(self) -> None:
        while self._output and self._in_use and not self._hung:
            due, octets = self._output[0]
            if due > time.monotonic():
                return
            try:
                written = os.write(self._port.master, octets)
            except BlockingIOError:
                return
            self._output.popleft()
            if written < len(octets):
                self._output.appendleft((due, octets[written:]))


def _deliver_file(modem: Modem, path: Path) -> None:
    """Deliver a file of JSON lines: {"sender", "text", "coding"?, "sent_at"?}."""
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        sent_at = datetime.fromisoformat(record["sent_at"]) if "sent_at" in record else None
        coding: Coding = record.get("coding") or ("gsm7" if tpdu.fits_gsm7(record["text"]) else "ucs2")
        modem.deliver(record["sender"], record["text"], sent_at=sent_at, coding=coding)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a modem until the process is told to stop."""
    parser = argparse.ArgumentParser(description="a simulated GSM modem on a pseudo-terminal")
    parser.add_argument("--link", type=Path, required=True, help="the device name to make")
    parser.add_argument("--slots", type=int, default=10, help="slots of the SIM")
    parser.add_argument("--deliver", type=Path, help="messages to deliver, as JSON lines")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with Modem(slots=options.slots, link=options.link) as modem:
        if options.deliver:
            _deliver_file(modem, options.deliver)
        sys.stdout.write(f"{modem.path}\n")
        sys.stdout.flush()
        stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
