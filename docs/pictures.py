"""Draw the pictures of the documentation, docs/pictures/*.svg.

python docs/pictures.py
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "pictures"
INK, FAINT, PAPER = "#22303c", "#8595a3", "#ffffff"
BLUE, GREEN, ORANGE, GREY = "#dceaf7", "#ddf0e0", "#fde8d3", "#eef1f4"
RED = "#c0392b"


class Picture:
    """An SVG of boxes, arrows and words, on paper of its own, so that it can be read on a dark page, too.

    Args:
        width: in pixels, as all lengths here.
        height: likewise.
        title: for those who can't see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            'font-family="Helvetica, Arial, sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            f'<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse">'
            f'<path d="M0 0L10 5L0 10z" fill="{INK}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
        ]

    def box(self, x: float, y: float, width: float, height: float, *lines: str, fill: str = GREY, edge: str = INK) -> None:
        """Draw a box with lines of text in its middle."""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{edge}" stroke-width="1.2"/>'
        )
        for number, line in enumerate(lines):
            self.text(x + width / 2, y + height / 2 + 5 + 17 * (number - (len(lines) - 1) / 2), line)

    def frame(self, x: float, y: float, width: float, height: float, name: str) -> None:
        """Draw what boxes lie in, with its name at the top left."""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="none" stroke="{FAINT}" stroke-dasharray="5 4"/>'
        )
        self.text(x + 10, y + 17, name, anchor="start", colour=FAINT)

    def text(self, x: float, y: float, line: str, anchor: str = "middle", colour: str = INK, bold: bool = False) -> None:
        """Write a line."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(line)}</text>')

    def arrow(self, *points: tuple[float, float], both: bool = False, dashed: bool = False) -> None:
        """Draw an arrow along points, with a head at its end or at both ends."""
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        more = (' marker-start="url(#head)"' if both else "") + (' stroke-dasharray="5 4"' if dashed else "")
        self._parts.append(f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="1.4" marker-end="url(#head)"{more}/>')

    def bar(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """Draw a bar without text."""
        self._parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="2" fill="{fill}" stroke="{INK}"/>')

    def __str__(self) -> str:
        return "\n".join([*self._parts, "</svg>"]) + "\n"


def run() -> Picture:
    """Draw a run: the storage, two executors, the driver, and what passes between them."""
    picture = Picture(
        980, 440, "A run: Spark reads and prepares the rows on the executors, and hands them to a training process on each"
    )
    picture.box(210, 16, 560, 44, "driver: checks the job, plans attempts, reports the result as one JSON line", fill=ORANGE)
    picture.box(16, 200, 120, 90, "storage:", "rows")
    picture.box(844, 200, 120, 90, "storage:", "checkpoints,", "model")
    for number, y in enumerate((96, 296)):
        picture.frame(170, y, 640, 128, f"executor {number + 1}")
        picture.box(186, y + 30, 170, 82, "Spark", "read, prepare, mark", "validation rows, sample", fill=BLUE)
        picture.box(422, y + 30, 160, 82, "Spark task", "Arrow batches to", "segments on its disk", fill=BLUE)
        picture.box(648, y + 30, 146, 82, "training process", f"Keras fit, rank {number}", fill=GREEN)
        picture.arrow((356, y + 71), (420, y + 71))
        picture.arrow((582, y + 71), (646, y + 71))
        picture.arrow((136, 230 + 30 * number), (160, 230 + 30 * number), (160, y + 71), (184, y + 71))
    picture.arrow((356, 190), (440, 324))
    picture.arrow((356, 344), (440, 210))
    picture.text(300, 264, "shuffle, by the hash")
    picture.text(300, 281, "of each row's content")
    picture.text(614, 245, "memory-mapped:")
    picture.text(614, 262, "nothing over")
    picture.text(614, 279, "the network")
    picture.arrow((721, 210), (721, 324), both=True)
    picture.text(732, 258, "gradients,", anchor="start")
    picture.text(732, 275, "averaged", anchor="start")
    picture.text(732, 292, "by rows", anchor="start")
    picture.arrow((794, 167), (904, 167), (904, 198))
    picture.arrow((700, 126), (700, 62), dashed=True)
    picture.text(710, 84, "progress, failures", anchor="start", colour=FAINT)
    return picture


def feed() -> Picture:
    """Draw the feed: ten and seven rows of two workers, and the steps that they make of them."""
    picture = Picture(980, 400, "The feed: the hash of a row's content decides who trains on it, and in which order")
    for x, number, name in (
        (30, 1, "rows as they come"),
        (230, 2, "a row's hash decides"),
        (500, 3, "segments"),
        (740, 4, "steps of an epoch"),
    ):
        picture.text(x, 34, f"{number}  {name}", anchor="start", bold=True)
    for y, rows in ((60, 5), (160, 12), (300, 3)):
        picture.frame(24, y, 130, 30 + 14 * ((rows + 5) // 6), "a file")
        for row in range(rows):
            picture.bar(34 + 19 * (row % 6), y + 25 + 13 * (row // 6), 14, 8, BLUE)
    picture.arrow((160, 200), (222, 200))
    picture.box(230, 60, 180, 44, "kept for validation", "(before anything is fitted)", fill=GREY)
    picture.box(230, 124, 180, 44, "left out by the sample", fill=GREY)
    picture.box(230, 188, 180, 44, "worker 0 trains on it", fill=GREEN)
    picture.box(230, 252, 180, 44, "worker 1 trains on it", fill=ORANGE)
    picture.text(320, 322, "by its content and the seed,")
    picture.text(320, 339, "whatever file it came in")
    for y, count, fill, worker in ((150, 10, GREEN, 0), (270, 7, ORANGE, 1)):
        picture.frame(490, y, 190, 84, f"worker {worker}'s disk: {count} rows")
        for row in range(count):
            picture.bar(502 + 17 * row, y + 34, 12, 34, fill)
    picture.arrow((410, 210), (486, 195))
    picture.arrow((410, 274), (486, 305))
    picture.text(585, 84, "Arrow files of at most 64 MB,")
    picture.text(585, 101, "in the order of the hashes;")
    picture.text(585, 118, "a new order in each epoch")
    for y, sizes, fill in ((178, (4, 4, 2), GREEN), (298, (2, 3, 2), ORANGE)):
        for step, size in enumerate(sizes):
            for row in range(size):
                picture.bar(746 + 75 * step + 15 * row, y, 11, 34, fill)
            picture.text(746 + 75 * step + 7.5 * size - 2, y + 52, f"{size} rows")
    picture.arrow((682, 195), (738, 195))
    picture.arrow((682, 315), (738, 315))
    picture.text(850, 84, "batch size 4: as many steps on each")
    picture.text(850, 101, "worker, no row padded or repeated;")
    picture.text(850, 118, "gradients are weighted by rows")
    for step in range(3):
        picture.text(746 + 75 * step + 26, 150, f"step {step + 1}", colour=FAINT)
    picture.text(490, 384, "every row of the sampled frame is trained on exactly once an epoch")
    return picture


def failure() -> Picture:
    """Draw a failure: a worker is lost in the third epoch, and the next attempt goes on after the second."""
    picture = Picture(980, 336, "A failure: a lost worker ends the attempt, and the next one resumes from the last checkpoint")
    picture.text(190, 34, "attempt 1", bold=True)
    picture.text(735, 34, "attempt 2", bold=True)
    rows = (("driver", 56), ("worker 0", 116), ("worker 1", 176), ("storage", 246))
    for name, y in rows:
        picture.text(16, y + 24, name, anchor="start")
    picture.box(100, 56, 330, 38, "watches every worker", fill=GREY)
    picture.box(450, 56, 140, 38, "ends the attempt,", "shows the cause", fill=ORANGE, edge=RED)
    picture.box(610, 56, 354, 38, "starts the next attempt after a pause", fill=GREY)
    for worker, y in ((0, 116), (1, 176)):
        picture.box(100, y, 60, 38, "fill", fill=BLUE)
        picture.box(164, y, 90, 38, "epoch 1", fill=GREEN)
        picture.box(258, y, 90, 38, "epoch 2", fill=GREEN)
        picture.box(
            352,
            y,
            74,
            38,
            "epoch 3" if worker == 0 else "lost",
            fill=GREEN if worker == 0 else ORANGE,
            edge=INK if worker == 0 else RED,
        )
        picture.box(680, y, 60, 38, "fill", fill=BLUE)
        picture.box(744, y, 90, 38, "epoch 3", fill=GREEN)
        picture.box(838, y, 126, 38, "epoch 4 …", fill=GREEN)
    picture.arrow((426, 195), (470, 195), (470, 96))
    picture.arrow((520, 96), (520, 135), (430, 135))
    picture.text(528, 130, "the others are ended", anchor="start")
    picture.text(480, 180, "noticed", anchor="start")
    picture.box(206, 246, 86, 44, "checkpoint", "1", fill=GREY)
    picture.box(302, 246, 92, 44, "checkpoint", "2", fill=GREY)
    picture.arrow((254, 156), (254, 244))
    picture.arrow((348, 156), (348, 244))
    picture.arrow((394, 268), (744, 268), (744, 216))
    picture.text(569, 259, "resumes from the last checkpoint on the storage")
    picture.text(
        490,
        320,
        "An exception of your code, or a loss that is no number, ends the run at once: it would come again.",
        colour=FAINT,
    )
    return picture


PICTURES: dict[str, Callable[[], Picture]] = {"run": run, "feed": feed, "failure": failure}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(str(draw()), encoding="utf-8")
