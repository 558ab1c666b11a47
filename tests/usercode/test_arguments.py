"""The names of a function's arguments, by its file or by itself."""

from __future__ import annotations

from sparktrain.usercode.arguments import argument_names, unknown_arguments

MINE = """
import nothing_that_is_there

def build(units, *, rate=0.1): pass

def loose(**words): pass
"""


def test_arguments_are_known_without_an_import(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    folders = [str(tmp_path)]
    assert argument_names("mine:build", folders) == ["units", "rate"]
    assert [argument_names(name, folders) for name in ("mine:loose", "mine:none", "other:build")] == [None] * 3
    (problem,) = unknown_arguments(["model.args.rat", "training.epochs"], "model.args.", "mine:build", folders, "space.")
    assert (
        str(problem) == "space.model.args.rat: mine:build has no argument 'rat'; expected one of units, rate; did you mean rate?"
    )


def test_a_function_s_own_arguments_are_asked_of_itself():
    assert argument_names(lambda a, b=1: None, []) == ["a", "b"]
    assert argument_names(lambda **words: None, []) is None and argument_names(object(), []) is None
    assert unknown_arguments(["model.args.a"], "model.args.", None, [], "space.") == []
