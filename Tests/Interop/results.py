"""What was run and how it went: the full table, one line per run, and the short one that is published."""

OK = "ok"


def left_out(why):
    return f"not run: {why}"


def does_not_apply(why):
    return f"does not apply: {why}"


def failed(why):
    return f"FAILED: {why}"


class Results:
    COLUMNS = ["probe", "warm-up", "notification", "write", "read", "bench", "validate"]

    def __init__(self):
        self.rows = []
        self.notes = []

    @property
    def failures(self):
        return sum(1 for row in self.rows if row[3].startswith("FAILED"))

    def record(self, setting, column, what, outcome):
        """`setting` is (what over which protocol, the peer's version, who initiates)."""
        assert column in self.COLUMNS, column
        self.rows.append((setting, column, what, outcome))
        print(f"{', '.join(setting):70} {column + ' ' + what:34} {outcome}", flush=True)

    def note(self, setting, text):
        """Something that a reader of the table has to know about these rows."""
        if (setting, text) not in self.notes:
            self.notes.append((setting, text))

    def full(self):
        """Every run."""
        lines = ["| protocol | upstream | initiator | what | outcome |", "|---|---|---|---|---|"]
        for setting, column, what, outcome in self.rows:
            lines.append(f"| {' | '.join(setting)} | {column} {what} | {outcome} |")
        return "\n".join(lines) + "\n"

    def short(self):
        """One row per setting, then what was left out and the notes."""
        settings = list(dict.fromkeys(row[0] for row in self.rows))
        columns = ["protocol", "upstream", "initiator", *self.COLUMNS]
        lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        for setting in settings:
            cells = [self.cell(setting, column) for column in self.COLUMNS]
            lines.append(f"| {' | '.join([*setting, *cells])} |")
        notes = [f"Left out, {why}: {', '.join(whats)}." for why, whats in self.left_out().items()]
        for text in dict.fromkeys(text for _, text in self.notes):
            where = "; ".join(" ".join(setting[:2]) for setting, other in self.notes if other == text)
            notes.append(f"{where}, where upstream initiates: {text}.")
        return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"

    def cell(self, setting, column):
        outcomes = [row[3] for row in self.rows if row[:2] == (setting, column)]
        run = [one for one in outcomes if not one.startswith("not run")]
        bad = sum(1 for one in run if one.startswith("FAILED"))
        if not run:
            return "–"
        if bad:
            return f"**{bad} of {len(run)} failed**"
        if run[0].startswith("does not apply"):
            return run[0].removeprefix("does not apply: ")
        return OK if len(run) == 1 else f"{len(run)} of {len(run)}"

    def left_out(self):
        """What is left out is so everywhere, and said once."""
        reasons = {}
        for _, _, what, outcome in self.rows:
            if outcome.startswith("not run: "):
                names = reasons.setdefault(outcome.removeprefix("not run: "), [])
                if what not in names:
                    names.append(what)
        return reasons
