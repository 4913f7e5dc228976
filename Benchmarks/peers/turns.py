"""Programs take turns, and what they have shown becomes rows of ratios."""

import dataclasses
import statistics

from programs import NothingMoved, ProgramFailed


def take_turns(measurements, rounds):
    """Calls each of `measurements` once per round, in an order that turns round every time.

    Returns a list of results for each, in the order of rounds. A round in which a program fails is tried again, so
    that one that fails now and then is still measured, and one that always fails ends with what it said.
    """
    results = [[] for _ in measurements]
    order = list(range(len(measurements)))
    left, failures = rounds, 0
    while left > 0:
        try:
            results_of_round = {index: measurements[index]() for index in order}
        except NothingMoved:
            failures += 1
            if failures > rounds:
                raise ProgramFailed("run after run moves nothing: this host is too busy to measure anything") from None
            continue
        except ProgramFailed:
            failures += 1
            if failures > 2:
                raise
            continue
        for index, result in results_of_round.items():
            results[index].append(result)
        order.reverse()
        left -= 1
    return results


def gigabytes(samples):
    """Per second, of each."""
    return [sample.bytes_per_second / 1e9 for sample in samples]


def cost(samples):
    """Processor seconds per gigabyte, of each."""
    return [sample.processor_seconds_per_gb for sample in samples]


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a ratio should be: at least or at most a number."""

    sign: str
    bound: float

    def is_met(self, ratio):
        return ratio >= self.bound if self.sign == "≥" else ratio <= self.bound

    def __str__(self):
        return f"{self.sign} {self.bound:g}"


def at_least(bound):
    return Goal("≥", bound)


def at_most(bound):
    return Goal("≤", bound)


@dataclasses.dataclass
class Row:
    """One quantity of Moonrail's over the same of another program's, or of Moonrail in another situation."""

    load: str
    quantity: str
    other: str
    ours: list
    theirs: list
    unit: str = ""
    goal: Goal | None = None
    part: str = ""

    @property
    def ratios(self):
        return [our / their for our, their in zip(self.ours, self.theirs) if their > 0]

    @property
    def median(self):
        return statistics.median(self.ratios)

    @property
    def spread(self):
        return min(self.ratios), max(self.ratios)

    @property
    def verdict(self):
        if self.goal is None:
            return ""
        return f"{self.goal}: {'met' if self.goal.is_met(self.median) else 'missed'}"

    def cells(self):
        least, most = self.spread
        return [
            self.load, f"{self.quantity}, over {self.other}", number(self.median), f"{number(least)}..{number(most)}",
            str(len(self.ratios)), f"{number(statistics.median(self.ours))} / {number(statistics.median(self.theirs))} "
            f"{self.unit}".strip(), self.verdict,
        ]  # fmt: skip


def number(value):
    """Three digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


class Table:
    HEAD = ["load", "what", "ratio, median", "least..most", "n", "medians", "goal"]

    def __init__(self, only=""):
        self.only = only
        self.rows = []
        self.remarks = []
        self.part = ""

    def begin(self, part):
        self.part = part
        print(f"==> {part}", flush=True)

    def add(self, *arguments, **keywords):
        row = Row(*arguments, **keywords, part=self.part)
        if not row.ratios:
            self.remark(f"{row.load}: nothing to compare with {row.other}")
            return
        self.rows.append(row)
        load, what, median, spread, _, medians, verdict = row.cells()
        print(f"{load:36} {what:46} {median:>6} {spread:16} {medians:24} {verdict}", flush=True)

    def attempt(self, title, body):
        """Calls `body` unless its title was not asked for; a program that fails leaves a remark."""
        if self.only not in f"{self.part}: {title}":
            return
        try:
            body()
        except ProgramFailed as failure:
            self.remark(f"{title}: not measured: {failure}")

    def remark(self, text):
        """Something that a reader of the rows of this part has to know."""
        self.remarks.append((self.part, text))
        print(f"    {text}", flush=True)

    @property
    def parts(self):
        return list(dict.fromkeys([row.part for row in self.rows] + [part for part, _ in self.remarks]))
