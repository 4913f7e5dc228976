"""Ratios as an SVG: a dot for the median, a line from the least to the most, on a logarithmic scale."""

import html
import math

LEFT, WIDTH, RIGHT, LINE, TOP = 560, 520, 90, 20, 34
MET, MISSED, PLAIN = "#1a7f37", "#cf222e", "#0969da"
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.grid{stroke:#d0d7de}.one{stroke:#57606a;stroke-dasharray:3 3}"
    ".goal{stroke:#9a6700;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}}"
)


class Scale:
    """Ratios from the least to the most of all rows, as places on a line."""

    def __init__(self, rows):
        values = [1.0]
        for row in rows:
            values += [*row.spread, *([row.goal.bound] if row.goal else [])]
        values = [value for value in values if value > 0]
        self.low = math.floor(math.log10(min(values)) * 2 - 0.2) / 2
        self.high = math.ceil(math.log10(max(values)) * 2 + 0.2) / 2

    def place(self, ratio):
        exponent = math.log10(max(ratio, 10**self.low))
        return LEFT + WIDTH * (exponent - self.low) / (self.high - self.low)

    def marks(self):
        steps = (1, 2, 5) if self.high - self.low < 3 else (1,)
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            for step in steps:
                value = step * 10.0**power
                if self.low <= math.log10(value) <= self.high:
                    yield value


def color(row):
    if row.goal is None:
        return PLAIN
    return MET if row.goal.is_met(row.median) else MISSED


def draw(rows):
    """An SVG with a line for each row."""
    scale, height = Scale(rows), TOP + LINE * len(rows) + 26
    bottom = TOP + LINE * len(rows)
    shapes = []
    for value in scale.marks():
        x = scale.place(value)
        kind = "one" if value == 1 else "grid"
        shapes.append(f'<line class="{kind}" x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>')
        shapes.append(f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="middle">{value:g}</text>')
    for index, row in enumerate(rows):
        y = TOP + LINE * index + LINE / 2
        least, most = (scale.place(value) for value in row.spread)
        paint, median = color(row), scale.place(row.median)
        label = html.escape(f"{row.load}: {row.quantity} / {row.other}")
        shapes.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{label}</text>')
        shapes.append(f'<line x1="{least:.1f}" y1="{y}" x2="{most:.1f}" y2="{y}" stroke="{paint}" stroke-width="2"/>')
        shapes.append(f'<circle cx="{median:.1f}" cy="{y}" r="4" fill="{paint}"/>')
        if row.goal:
            x = scale.place(row.goal.bound)
            shapes.append(f'<line class="goal" x1="{x:.1f}" y1="{y - 8}" x2="{x:.1f}" y2="{y + 8}"/>')
        shapes.append(f'<text x="{LEFT + WIDTH + 10}" y="{y + 4}">{row.median:.3g}</text>')
    legend = "Moonrail over the other; green and red: a goal (brown bar) met and missed"
    shapes.append(f'<text x="{LEFT}" y="{height - 6}">{legend}</text>')
    width = LEFT + WIDTH + RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"<style>{STYLE}</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )
