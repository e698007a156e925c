"""The machine store in trouble: ``python -m benchmarks store-trouble [--minutes N] [--share S]``.

Some processes use one store, on a small file system of its own, while at random they are killed, stopped, stopped in
the middle of a read or with the lock of writers in hand, and while somebody else fills the file system. Every value
that is read is checked against its key, and one that is not there has to have been evicted. At the end there is calm:
all have to store again, and what lies there has to agree with itself.

``--share 0.15`` is for a run of a day beside other work: all of it together rests until it has used no more than that
of one processor.
"""

import argparse
import collections
import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from benchmarks import table
from benchmarks.apart import run_apart
from benchmarks.processes import cpu_ns
from benchmarks.trouble.store_worker import turn_of
from tidegate.memory.store import Store
from tidegate.memory.store.record import unpack

WORKERS = 4
PLACE_BYTES = 64 << 20
MAX_BYTES = 32 << 20
PATIENCE_S = 0.5
CALM_S = 120.0  # far: with the least priority on a busy machine a process takes long to begin
PROGRAM = "from benchmarks.trouble.store_worker import begin; begin()"
APART = "TIDEGATE_STORE_TROUBLE_PLACE"


class Worker:
    """A process of ``store_worker``, and what it has said."""

    def __init__(self, place: Path, number: int, findings: list[str], share: float) -> None:
        self.number = number
        self.did = (0, 0, 0, 0, 0)
        self.said: collections.Counter[str] = collections.Counter()
        self.is_open = threading.Event()
        self._findings = findings
        arguments = [str(place), str(MAX_BYTES), str(number), str(PATIENCE_S), str(share)]
        self.child = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "did":
                self.did = tuple(map(int, rest.split()))  # type: ignore[assignment]
            elif word == "open":
                self.is_open.set()
            elif word == "said":
                self.said[rest.partition(" ")[0]] += 1
                if rest.startswith(("store_rebuilt", "store_failed")):
                    self._findings.append(f"worker {self.number} said {rest}")
            else:
                self._findings.append(f"worker {self.number}: {rest}")

    def signal(self, number: int) -> None:
        """Sends it a signal, if it is there."""
        if self.child.poll() is None:
            os.kill(self.child.pid, number)

    def end(self) -> None:
        """Kills it and hears what it had to say."""
        self.child.kill()
        self.child.wait()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Trouble:
    """What happens to the workers, and what came of it."""

    def __init__(self, place: Path, *, can_fill: bool, seed: int, share: float | None = None) -> None:
        self.place = place
        self.share = share
        self.began_s = time.monotonic()
        self.chance = random.Random(seed)
        self.findings: list[str] = []
        self.happened: collections.Counter[str] = collections.Counter()
        self.did = [0] * 5
        self.said: collections.Counter[str] = collections.Counter()
        self.workers = [self.begin(number) for number in range(WORKERS)]
        self._troubles = [self.kill, self.stop, self.stop_in_a_read, self.stop_in_the_lock]
        if can_fill:
            self._troubles.append(self.fill)

    def begin(self, number: int) -> Worker:
        """Starts a worker. Together they have half of the share: the other half is for beginning anew."""
        each = 1.0 if self.share is None else self.share / 2 / WORKERS
        return Worker(self.place / "store", number, self.findings, each)

    def used_s(self) -> float:
        """Processor time of everything so far, the dead included, in seconds."""
        dead = resource.getrusage(resource.RUSAGE_CHILDREN)
        living = cpu_ns(worker.child.pid for worker in self.workers) / 1e9
        return time.process_time() + dead.ru_utime + dead.ru_stime + living

    def rest(self, until_s: float) -> None:
        """A pause before the next trouble; a longer one, though not beyond ``until_s``, when the share is used up."""
        pause_s = self.chance.random() / 2
        if self.share is not None:
            pause_s = max(pause_s, self.used_s() / self.share - (time.monotonic() - self.began_s))
        time.sleep(max(0.0, min(pause_s, until_s - time.monotonic())))

    def one(self) -> None:
        """One trouble, chosen by chance."""
        trouble = self.chance.choice(self._troubles)
        self.happened[trouble.__name__.replace("_", " ")] += 1
        trouble()

    def kill(self) -> None:
        """A worker is killed and followed by another."""
        self.replace(self.chance.randrange(WORKERS))

    def replace(self, number: int) -> None:
        """Counts what a worker did, kills it and starts the next."""
        self.gather(self.workers[number])
        self.workers[number] = self.begin(number)

    def gather(self, worker: Worker) -> None:
        """Ends a worker and adds up what it did and said."""
        is_dead = worker.child.poll() is not None
        if is_dead:
            self.findings.append(f"worker {worker.number} ended by itself with {worker.child.returncode}")
        worker.end()
        self.did = [before + new for before, new in zip(self.did, worker.did, strict=True)]
        self.said += worker.said

    def stop(self) -> None:
        """A worker is stopped anywhere, for up to four times as long as others wait for it."""
        self._stop(signal.SIGSTOP)

    def stop_in_a_read(self) -> None:
        """A worker stops in a transaction that reads."""
        self._stop(signal.SIGUSR1)

    def stop_in_the_lock(self) -> None:
        """A worker stops with the lock of writers in hand."""
        self._stop(signal.SIGUSR2)

    def _stop(self, number: int) -> None:
        victim = self.chance.choice(self.workers)
        if not victim.is_open.wait(CALM_S):  # before that it has no handler for these signals
            self.findings.append(f"worker {victim.number} did not open the store within {CALM_S:g} s")
            return
        victim.signal(number)
        time.sleep(self.chance.random() * 4 * PATIENCE_S)
        if self.chance.random() < 0.3:
            self.happened["killed while it stood"] += 1
            self.replace(victim.number)
        victim.signal(signal.SIGCONT)

    def fill(self) -> None:
        """Somebody else takes all room of the file system, for a while."""
        filler = self.place / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        time.sleep(self.chance.random() * 2)
        filler.unlink()

    def calm(self) -> None:
        """Nothing happens any more: each has to store something again."""
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
        before = [worker.did for worker in self.workers]
        deadline = time.monotonic() + CALM_S
        waiting = set(range(WORKERS))
        while waiting and time.monotonic() < deadline:
            time.sleep(0.2)
            for number in list(waiting):
                *_, puts, failed, _ = self.workers[number].did
                *_, puts_before, failed_before, _ = before[number]
                if puts - failed > puts_before - failed_before:
                    waiting.discard(number)
                self.workers[number].signal(signal.SIGCONT)  # it may have stopped in a write that came only now
        self.findings += [f"worker {number} stores nothing in calm" for number in waiting]


def look_through(place: Path, findings: list[str]) -> tuple[int, int]:
    """Opens the store when all are dead, and compares all that lies there; entries and bytes."""

    def say(kind: str, message: str, **_: object) -> None:
        findings.append(f"at the end: {kind} {message}")

    store = Store.open(place / "store", MAX_BYTES, say=say)
    ledger = store._generation.ledger  # noqa: SLF001 - an auditor looks at the books
    values = store._generation.values  # noqa: SLF001
    with ledger.environment.begin() as txn:
        heads = {key[1:]: unpack(record) for key, record in txn.cursor() if key[:1] == b"e"}
    totals = ledger.totals()
    for key, head in heads.items():
        entry = store.get(key, 0.0)
        if entry is None or turn_of(key, entry.value) is None:
            findings.append(f"at the end: {key!r} of {head.value_size} bytes cannot be read")
    files = {path.name for path in values.directory.iterdir()}
    if files != {str(head.file) for head in heads.values() if head.file}:
        findings.append(f"at the end: files {files} are not those of the entries")
    if totals.entries != len(heads) or totals.bytes > MAX_BYTES:
        findings.append(f"at the end: {totals} are not the sums of {len(heads)} entries")
    store.close()
    return totals.entries, totals.bytes


@contextlib.contextmanager
def place_of_its_own() -> Iterator[tuple[Path, bool]]:
    """A directory for the store, and whether it is a file system that may be filled."""
    if found := os.environ.get(APART):
        yield Path(found), True
        return
    place = Path(tempfile.mkdtemp(prefix="tidegate-store-trouble-", dir="/dev/shm"))
    try:
        yield place, False
    finally:
        shutil.rmtree(place, ignore_errors=True)


def main(argv: Sequence[str]) -> int:
    """Makes trouble for so many minutes and prints what came of it; 1 when something was found wrong."""
    description = re.sub(r"``.*?``: *", "", __doc__.partition("\n")[0])
    parser = argparse.ArgumentParser(prog="python -m benchmarks store-trouble", description=description)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--share", type=float, default=None, help="of one processor that it may use (all there is)")
    parser.add_argument("--seed", type=int, default=None, help="of what happens (the time)")
    options = parser.parse_args(argv)
    if APART not in os.environ:
        mount = f'mount -t tmpfs -o mode=700,size={PLACE_BYTES} none "$0"'
        code = run_apart("store-trouble", argv, spaces=["--mount"], prepare=mount, marker=APART)
        if code is not None:
            return code
    seed = int(time.time()) if options.seed is None else options.seed
    with place_of_its_own() as (place, can_fill):
        trouble = Trouble(place, can_fill=can_fill, seed=seed, share=options.share)
        try:
            end_s = time.monotonic() + options.minutes * 60
            while time.monotonic() < end_s:
                trouble.rest(end_s)
                trouble.one()
            trouble.calm()
        finally:
            used = trouble.used_s() / (time.monotonic() - trouble.began_s)
            for worker in trouble.workers:
                trouble.gather(worker)
        entries, size = look_through(place, trouble.findings)
    reads, hits, puts, failed, deletes = trouble.did
    print(f"seed {seed}, {options.minutes:g} minutes, {WORKERS} processes that used {used:.2f} of a processor,")
    print(f"a store of {MAX_BYTES >> 20} MiB")
    if not can_fill:
        print("nothing may be mounted here: the file system was never full")
    print(table.render([{"trouble": name, "times": f"{n}"} for name, n in sorted(trouble.happened.items())]))
    print(table.render([{"said": name, "times": f"{n}"} for name, n in sorted(trouble.said.items())]))
    print(f"{reads:,} reads, {hits:,} of them found something; {puts:,} writes, {failed:,} of them in vain;")
    print(f"{deletes:,} deletions; at the end {entries:,} entries of {size:,} bytes, read and compared")
    for finding in trouble.findings[:20]:
        print("FOUND", finding)
    print(f"{len(trouble.findings)} findings")
    return int(bool(trouble.findings))
