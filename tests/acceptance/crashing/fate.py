"""Where an order's I/O is to break, and every point of it that was passed: in files, which outlive every process.

A point is one side of one I/O of one order, by a name that says in which lane or task, what, and for the how-manieth
time: `after ask record Filled #1`. A sentence names one point, and what happens there, once.
"""

import os
import signal
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = "NUMBER_ORDERS_TEST_FATES"
"""The variable that tells a worker where the files are."""
_STRUCK: Final = "struck"


class Side(StrEnum):
    """Before an I/O takes effect, or after it did, when nobody has heard so yet."""

    BEFORE = "before"
    AFTER = "after"


class Blow(StrEnum):
    """What happens there."""

    KILLED = "killed"
    """SIGKILL for the process."""
    DROPPED = "dropped"
    """The connection is lost."""
    AWAY = "away"
    """It is lost, and lost again when the same is tried anew."""


@dataclass(frozen=True, slots=True)
class Point:
    """One side of one I/O."""

    side: Side
    io: str

    @property
    def place(self) -> str:
        """The lane or task."""
        return self.io.split()[0]

    @property
    def claims(self) -> bool:
        """Whether the order is claimed here."""
        return self.io.split()[1] == "claim"

    @property
    def at_the_ledger(self) -> bool:
        """Whether it is a statement, and neither a request nor an act of the broker."""
        return self.io.split()[1] not in {"GET", "POST", "PUT", "ring", "give", "tell"}

    def __str__(self) -> str:
        return f"{self.side} {self.io}"


@dataclass(frozen=True, slots=True)
class Sentence:
    """What happens to one order, and where."""

    blow: Blow
    point: Point

    def __str__(self) -> str:
        return f"{self.blow} {self.point}"


class Book:
    """One order's sentence, and what it has passed. One process at a time writes here: whoever has the order."""

    def __init__(self, folder: Path, order_id: str) -> None:
        self._sentence = folder / f"{order_id}.sentence"
        self._passed = folder / f"{order_id}.passed"

    def decide(self, sentence: Sentence) -> None:
        """Say what is to happen, before the order is sent."""
        self._sentence.write_text(f"{sentence.blow}\t{sentence.point.side}\t{sentence.point.io}")

    @property
    def passed(self) -> list[Point]:
        """Every point that was passed, in order."""
        return [Point(Side(side), io) for side, io in self._lines() if side != _STRUCK]

    @property
    def struck(self) -> bool:
        """Whether the sentence was carried out."""
        return any(side == _STRUCK for side, _ in self._lines())

    def due(self, point: Point) -> Blow | None:
        """Return what is still to happen at a point."""
        sentence = _decided(self._sentence)
        return sentence.blow if sentence and sentence.point == point and not self.struck else None

    def note(self, point: Point, *, struck: bool) -> None:
        """Write down that a point was passed, and whether with a blow."""
        with self._passed.open("a") as book:
            book.write(f"{point.side}\t{point.io}\n" + (f"{_STRUCK}\t{point.io}\n" if struck else ""))

    def begun(self, io: str) -> int:
        """Return how often this was begun so far; a claim is seen only once it has been made."""
        sides = [side for side, name in self._lines() if side != _STRUCK and name.rpartition(" #")[0] == io]
        return sides.count(Side.BEFORE) or len(sides)

    def _lines(self) -> list[tuple[str, str]]:
        if not self._passed.exists():
            return []
        split = (line.partition("\t") for line in self._passed.read_text().splitlines())
        return [(side, io) for side, _, io in split]


@cache
def _decided(path: Path) -> Sentence | None:
    if not path.exists():
        return None
    blow, side, io = path.read_text().split("\t")
    return Sentence(Blow(blow), Point(Side(side), io))


@dataclass(slots=True)
class Act:
    """One I/O under way; without a book it is nobody's, and nothing happens to it."""

    io: str
    book: Book | None
    again: set[tuple[Side, str]] = field(default_factory=set)
    """What is to be lost once more when it is tried anew."""

    def breaks(self, side: Side) -> bool:
        """Pass one side, and return whether the connection is lost there. Who is killed does not return."""
        if self.book is None:
            return False
        point, what = Point(side, self.io), (side, self.io.rpartition(" #")[0])
        if what in self.again:
            self.again.remove(what)
            return True
        blow = self.book.due(point)
        self.book.note(point, struck=blow is not None)
        if blow is Blow.KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if blow is Blow.AWAY:
            self.again.add(what)
        return blow is not None

    @property
    def loses_its_answer(self) -> bool:
        """Whether its answer is going to be lost, for a wire where the other end has to see to that."""
        return self.book is not None and self.book.due(Point(Side.AFTER, self.io)) is Blow.DROPPED


class Fates:
    """Knows what this process is doing at the moment, and for which order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = ""
        self._order_id: str | None = None
        self._again: set[tuple[Side, str]] = set()

    def enter(self, place: str, order_id: str | None = None) -> None:
        """Note where it goes on, and for whom if that is known."""
        self.place = place
        self.serve(order_id)

    def serve(self, order_id: str | None) -> None:
        """Note for whom it goes on."""
        self._order_id = order_id
        self._again.clear()

    def begin(self, io: str) -> Act:
        """Begin an I/O, for the order that is served now."""
        name = f"{self.place} {io}"
        if self._order_id is None:
            return Act(name, None)
        book = Book(self._folder, self._order_id)
        return Act(f"{name} #{book.begun(name) + 1}", book, self._again)
