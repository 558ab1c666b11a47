"""What a URL means."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrain.storage import StorageError, open_folder
from sparktrain.storage.urls import Location, parse

segments = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda segment: segment not in (".", "..")
)
locations = st.builds(
    lambda place, path: Location(*place, "/" + "/".join(path)),
    st.tuples(st.sampled_from(["hdfs", "s3", "memory"]), st.sampled_from(["", "node:8020", "nightly-ha", "bucket.x"]))
    | st.just(("file", "")),
    st.lists(segments),
)


@given(locations)
def test_a_location_s_url_leads_back_to_it(location):
    assert parse(str(location)) == location


@given(locations, st.lists(segments, min_size=1))
def test_joining_all_names_or_one_after_the_other_or_as_one_is_the_same(location, names):
    at_once = location.join(*names)
    one_by_one = location
    for name in names:
        one_by_one = one_by_one.join(name)
        assert one_by_one.name == name
    assert at_once == one_by_one == location.join("/".join(names)) == parse(f"{location}/{'/'.join(names)}")
    assert at_once.path.startswith(location.path) and at_once.join("x").parent == at_once


@given(locations, st.lists(segments | st.sampled_from(["", ".", "..", "\0"])))
def test_a_join_never_leads_out(location, names):
    name = "/".join(names)
    if set(names) & {"", ".", "..", "\0"} or not names:
        with pytest.raises(ValueError):
            location.join(name)
    else:
        assert location.join(name).path.startswith(location.path)


@pytest.mark.parametrize(
    "url, expected",
    [
        ("hdfs://nn:8020/models//late/./x/", "hdfs://nn:8020/models/late/x"),
        ("hdfs:///models", "hdfs:///models"),
        ("hdfs:/models", "hdfs:///models"),
        ("HDFS://NN", "hdfs://NN/"),
        ("hdfs://nn/a/../b", "hdfs://nn/b"),
        ("file:/tmp/x", "file:///tmp/x"),
        ("file://localhost/tmp/x", "file:///tmp/x"),
        ("/tmp//x/", "file:///tmp/x"),
        ("s3://bucket", "s3://bucket/"),
        ("memory://a/b", "memory://a/b"),
    ],
)
def test_a_url_is_normalised_so_that_all_programs_take_it_for_the_same_place(url, expected):
    assert str(parse(url)) == expected


def test_a_bare_path_is_this_machine_s(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_folder("models/../out").url == f"file://{os.getcwd()}/out"
    assert open_folder(tmp_path).url == f"file://{tmp_path}"


@pytest.mark.parametrize(
    "url, message",
    [
        ("", "not the URL of a folder"),
        ("file://tmp/x", r"three slashes.*file:///tmp/x"),
        ("nosuch://a/b", r"no storage has the scheme 'nosuch'.*hdfs://"),
    ],
)
def test_a_url_that_means_nothing_is_refused_with_what_to_write(url, message):
    with pytest.raises(StorageError, match=message):
        open_folder(url)
