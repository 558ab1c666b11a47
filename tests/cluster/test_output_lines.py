"""What a worker prints: lines as they are, a progress bar now and then, nothing held and nothing lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparktrain.cluster.processes.output_lines import BAR_SECONDS, LONGEST, OutputLines


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def relayed(*printed: str, clock: Clock | None = None, between: float = 0.0) -> list[str]:
    clock = clock or Clock()
    lines, told = OutputLines(clock), []
    for text in printed:
        told += lines.add(text.encode())
        clock.now += between
    return told + list(lines.add(b"", final=True))


def test_a_progress_bar_is_shown_at_once_then_every_few_seconds_and_at_its_end():
    bar = [f"\r{number}/100 [####    ]" for number in range(101)]
    told = relayed(*bar, "\n", "done\n", between=BAR_SECONDS / 10)
    assert told[0] == "0/100 [####    ]" and told[-2:] == ["100/100 [####    ]", "done"]
    assert 10 <= len(told) <= 13


def test_a_bar_that_ends_its_states_with_the_return_shows_its_last_one_too():
    assert relayed(*[f"{number}/5\r" for number in range(6)], "\n") == ["0/5", "5/5"]
    assert relayed(*[f"{number}/5\r" for number in range(6)]) == ["0/5", "5/5"]


def test_a_line_without_an_end_is_handed_on_in_pieces_and_nothing_of_it_is_held():
    lines = OutputLines(Clock())
    told = [line for _ in range(100) for line in lines.add(b"x" * 100_000)]
    assert all(len(line) == LONGEST for line in told)
    assert sum(map(len, told)) >= 10_000_000 - LONGEST and len(lines._pending) <= LONGEST


def test_a_letter_that_comes_in_two_pieces_stays_whole():
    lines = OutputLines(Clock())
    data = "Müller\n".encode()
    assert [line for at in range(len(data)) for line in lines.add(data[at : at + 1])] == ["Müller"]


@given(st.lists(st.text("ab\n", max_size=30)), st.sampled_from(["\n", "\r\n"]))
def test_ordinary_lines_come_through_as_they_are_however_they_arrive(pieces, end):
    text = "".join(pieces)
    expected = text.split("\n")[:-1] + ([text.split("\n")[-1]] if not text.endswith("\n") and text else [])
    assert relayed(*(piece.replace("\n", end) for piece in pieces)) == expected


@given(st.lists(st.text("ab\r\n", max_size=30)))
def test_how_the_text_is_cut_up_makes_no_difference(pieces):
    assert relayed(*pieces) == relayed("".join(pieces))
