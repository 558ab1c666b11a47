"""Rows go by their content: the same validation rows, sample and order however the source lies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from pyspark import TaskContext
from pyspark.sql import functions as F

from sparktrain.data import ROW, VALIDATION, InputError, census, cutting, deal, pack
from sparktrain.data.dealing import _murmur3
from sparktrain.data.identity import derived_hash, only, row_hash
from sparktrain.feed import Column, Input, Layout, SegmentWriter
from sparktrain.feed.packing import unpacked
from sparktrain.feed.segments import Segment

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def source(spark):
    """3,000 rows of classes 0 (2,400), 1 (570) and 2 (30); of class 0, 1,000 are equal and 600 are pairs."""
    row = F.when(F.col("id") < 1000, 0).when(F.col("id") < 1600, F.floor(F.col("id") / 2)).otherwise(F.col("id"))
    label = F.when(F.col("id") < 2400, 0).when(F.col("id") < 2970, 1).otherwise(2)
    frame = (
        spark.range(3000)
        .select(row.alias("x"), F.array(row.cast("float"), F.lit(1.5)).alias("v"), label.cast("int").alias("y"))
        .cache()
    )
    frame.count()
    yield frame
    frame.unpersist()


def arrangements(source):
    """The same rows in one partition, and in uneven ones in another order."""
    return [source.coalesce(1), source.orderBy(F.desc("x")).repartition(5, "y")]


@pytest.mark.parametrize("sample", [None, {"fractions": {0: 0.25, 2: 0.001}}])
def test_validation_sample_and_order_do_not_depend_on_the_source_s_partitions(source, prepared, dealt, sample, tmp_path):
    words = dict(features=["x", "v"], validation={"fraction": 0.2}, sample=sample)
    made = [prepared(frame, **words) for frame in arrangements(source)]
    first = dealt(made[0], 3)
    assert first == dealt(made[1], 3) and sum(map(len, first)) > 500
    assert {row[4] for part in first for row in part} == {True, False}
    assert max(map(len, first)) < 1.2 * sum(map(len, first)) / 3
    equal = [sum(row[0] == 0 for row in part) for part in first]
    assert max(equal) - min(equal) <= 1 and (sum(equal) == 1000 or sample)
    written = [filled(one, 3, tmp_path / str(number)) for number, one in enumerate(made)]
    assert written[0] == written[1] and len(written[0]) > 30
    for name, validation in (("training", False), ("validation", True)):
        for part, rows in enumerate(first):
            lie = [
                Segment(tmp_path / "0" / path).fields["input:x"].ravel()
                for path in sorted(written[0])
                if path.startswith(f"{part}/{name}")
            ]
            assert np.concatenate(lie).tolist() == [row[0] for row in rows if row[4] == validation]


def filled(made, parts, folder):
    """The files of small segments, as the tasks write them."""
    packed, sent = pack(deal(made.frame, parts, 7, False, made.repeated(parts, False)))
    inputs = tuple(Input(name, (Column(name),)) for name in ("x", "v"))
    layout = Layout(inputs, "y", validation=VALIDATION, order=ROW, sent=sent)

    def fill(batches):
        writer = SegmentWriter(folder / str(TaskContext.get().partitionId()), layout, segment_bytes=1000)
        for batch in batches:
            writer.write(batch)
        writer.close()
        yield from ()

    packed.mapInArrow(fill, "nothing int").collect()
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "sample, expected",
    [
        ({"fraction": 0.1}, {0: 240, 1: 57, 2: 3}),
        ({"fraction": 0.0001}, {0: 1, 1: 1, 2: 1}),
        ({"per_class": 1000}, {0: 1000, 1: 570, 2: 30}),
        ({"fractions": {0: 0.5, 1: 0.0001}}, {0: 1200, 1: 1, 2: 30}),
    ],
)
def test_counts_come_out_as_asked_and_only_of_rows_that_are_there(source, prepared, sample, expected):
    made = prepared(source, features=["x", "v"], sample=sample)
    rows = Counter(tuple(map(str, row)) for row in made.frame.select("x", "v", "y").collect())
    assert Counter(int(row[2]) for row in rows.elements()) == expected
    assert made.counts_after == expected and made.rows == sum(expected.values())
    assert made.counts_before == {0: 2400, 1: 570, 2: 30}
    assert rows <= Counter(tuple(map(str, row)) for row in source.select("x", "v", "y").collect())


@pytest.mark.slow
def test_equal_rows_at_the_cut_are_taken_as_often_as_is_missing(spark, prepared, training):
    equal = (
        spark.range(500)
        .select(F.lit(1).alias("x"), F.lit("a").alias("y"))
        .unionByName(spark.range(40).select(F.lit(2).alias("x"), F.lit("b").alias("y")))
    )
    made = prepared(equal.repartition(5), sample={"fractions": {"a": 0.246, "b": 0.5}})
    assert training(made) == {(1, "a"): 123, (2, "b"): 20}


@pytest.mark.slow
def test_where_very_many_rows_lie_at_the_cut_it_is_found_by_dividing_them(source, prepared, dealt, monkeypatch):
    words = dict(features=["x", "v"], sample={"fractions": {0: 0.25, 1: 0.5}})
    at_once = dealt(prepared(source, **words), 1)
    monkeypatch.setattr(cutting, "_BUCKETS", 8)
    monkeypatch.setattr(cutting, "_EXACT", 0)
    assert dealt(prepared(source, **words), 1) == at_once and len(at_once[0]) == 600 + 285 + 30


@pytest.mark.slow
def test_a_sample_is_another_with_another_seed_and_validation_rows_stay_out_of_it(source, prepared, training):
    words = dict(features=["x", "v"], validation={"fraction": 0.2}, sample={"per_class": 20})
    made, other = prepared(source, **words), prepared(source, seed=8, **words)
    assert made.frame.select("x").exceptAll(other.frame.select("x")).count() > 0
    assert made.frame.where(VALIDATION).count() == made.validation_rows
    assert made.frame.where(f"NOT {VALIDATION}").count() == made.rows == 60
    # of equal rows, all or none are for validation
    sides = made.frame.groupBy("x").agg(F.count_distinct(VALIDATION).alias("sides"))
    assert sides.where("sides > 1").isEmpty()


@pytest.mark.slow
def test_a_sample_of_a_label_that_is_a_measure_is_exact_too(spark, prepared):
    frame = spark.range(12_000).select("id", F.col("id").alias("x"), (F.col("id") / 7).alias("y"))
    made = prepared(frame, sample={"fraction": 0.25})
    assert made.frame.count() == made.rows == 3000 and made.counts_before is None
    array = frame.withColumn("y", F.array("y"))
    assert prepared(array, sample={"fraction": 0.25}).frame.count() == 3000


def test_a_label_that_is_a_measure_is_never_grouped_by(spark, prepared, monkeypatch):
    """Neither fractions, nor more different numbers than classes can be, which a first look may show or not."""
    grouped = []
    monkeypatch.setattr(census, "_by_class", lambda rows, label: grouped.append(label) or "was grouped")
    frame = spark.range(60_000).select(
        "id",
        F.col("id").alias("x"),
        (F.col("id") / 4).alias("y"),
        F.col("id").alias("whole"),
        F.floor(F.col("id") / 2).cast("decimal(12,2)").alias("sorted"),
    )
    for label, reason in (("y", "a fraction"), ("whole", "more than 10000"), ("sorted", "more than 10000")):
        with pytest.raises(InputError, match=reason):
            prepared(frame, label=label, sample={"per_class": 1})
    assert not grouped
    with pytest.raises(InputError, match="was grouped"):
        prepared(frame.where("whole < 3"), label="whole", sample={"per_class": 1})
    monkeypatch.undo()
    late = frame.selectExpr("id", "x", "if(id = 59999, 0.5D, cast(id % 2 as double)) AS y")
    with pytest.raises(InputError, match="has values with a fraction"):
        prepared(late, sample={"per_class": 1})  # where only counting all shows it


def test_validation_by_a_column_keeps_its_values_on_one_side_whatever_else_is_in_the_rows(spark, prepared):
    frame = spark.range(2000).select((F.col("id") % 100).alias("who"), F.col("id").alias("x"), F.lit(0).alias("y"))
    words = dict(features=["who", "x"], validation={"fraction": 0.3, "by": "who"})
    tonight = prepared(frame, **words)
    sides = {row.who: row.side for row in tonight.frame.groupBy("who").agg(F.collect_set(VALIDATION).alias("side")).collect()}
    assert all(len(side) == 1 for side in sides.values()) and 15 < sum(side[0] for side in sides.values()) < 45
    tomorrow = prepared(frame.where("who < 50").withColumn("x", F.col("x") + 1), **words)
    assert all(sides[row.who] == [row[VALIDATION]] for row in tomorrow.frame.collect())


def test_rows_that_differ_only_in_where_a_null_is_differ_and_equal_maps_do_not(spark):
    nulls = spark.createDataFrame([(None, 1), (1, None), (None, None), (0, None), (None, 0)], "a int, b int")
    assert nulls.select(row_hash(nulls, 7)).distinct().count() == 5
    maps = spark.sql(
        "SELECT map('a', map(1, 'x', 2, 'y'), 'b', map()) m, array(struct(map('k', 1) AS i)) n UNION ALL "
        "SELECT map('b', map(), 'a', map(2, 'y', 1, 'x')), array(struct(map('k', 1)))  UNION ALL "
        "SELECT map('b', map(), 'a', map(2, 'y', 1, 'z')), array(null)"
    )
    hashes = [row[0] for row in maps.select(row_hash(maps, 7)).collect()]
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[0] == maps.select("n", "m").select(row_hash(maps, 7)).first()[0]
    named = spark.sql("SELECT named_struct('x y', map('k', 2)) AS `a.b``c`, parse_json('{\"b\": 1}') AS `item`")
    assert named.select(row_hash(named, -7)).first()[0] != named.select(row_hash(named, 7)).first()[0]


NESTED = {
    "array<array<int>>": [
        [[1, 2], [3]],
        [[1], [2, 3]],
        [[1, 2, 3]],
        [[], [1, 2, 3]],
        [[1, 2, 3], []],
        [],
        None,
        [None],
        [None, None],
        [[]],
        [[None]],
        [[1, None], [3]],
        [[1], [None, 3]],
        [[1], None, [3]],
        [None, [1], [3]],
    ],
    "array<array<array<float>>>": [
        [[[1.0], [2.0]]],
        [[[1.0]], [[2.0]]],
        [[[1.0, 2.0]]],
        [[[1.0, None, 2.0]]],
        [[[1.0, 2.0, None]]],
        [[None, [1.0, 2.0]]],
        [[[1.0, 2.0], None]],
        [None, [[1.0, 2.0]]],
        [[[1.0], [float("nan")]]],
    ],
    "array<string>": [
        ["a", None, "b"],
        ["a", "b", None],
        ["a", "b"],
        ["ab"],
        ["a", "b", ""],
        [],
        [None],
        None,
        ["\ufffe", "a"],
        ["a", "\ufffe"],
    ],
    "array<boolean>": [[True, None], [None, True], [True, True], [None, None], [True], [False]],
    "array<float>": [[1.0, None, 2.0], [1.0, 2.0, None], [1.0, 2.0], [float("nan"), 1.0, None], [float("nan"), None, 1.0]],
    "struct<x:int,y:int>": [(None, 1), (1, None), (None, None), None],
    "struct<x:array<float>,y:array<float>>": [
        ([1.0], [2.0]),
        ([1.0, 2.0], []),
        ([], [1.0, 2.0]),
        ([1.0, 2.0], None),
        ([None, 1.0], [2.0]),
        ([1.0, None], [2.0]),
    ],
    "array<struct<x:int,y:array<int>>>": [
        [(1, [2]), (3, [])],
        [(1, [2, 3]), (None, [])],
        [(1, [2]), (None, [3])],
        [(1, [2]), None, (3, [])],
        [(1, [2]), (3, [None])],
        [(1, [2]), (3, None)],
    ],
    "map<string,array<int>>": [
        {"a": [1], "b": [2]},
        {"a": [1, 2], "b": []},
        {"a": [], "b": [1, 2]},
        {"a": [1, None], "b": [2]},
        {"a": [1], "b": [None, 2]},
        {"a": None, "b": [2]},
        {"b": [2]},
        {},
        None,
    ],
}


def test_rows_that_differ_deep_within_a_value_differ_and_equal_ones_do_not(spark, tmp_path):
    most = max(map(len, NESTED.values()))
    rows = list(zip(*(values + [None] * (most - len(values)) for values in NESTED.values())))
    frame = spark.createDataFrame(rows, ", ".join(f"`{kind}` {kind}" for kind in NESTED)).coalesce(1)
    frame.write.parquet(f"file://{tmp_path}/rows")
    columnar = spark.read.parquet(f"file://{tmp_path}/rows")
    seen = []
    for arranged in (frame, columnar, columnar.repartition(1)):
        table = arranged.select([row_hash(only(arranged, [kind]), 7).alias(kind) for kind in NESTED]).toArrow()
        seen.append({kind: set(column.to_pylist()) for kind, column in zip(table.column_names, table.columns)})
    assert seen[0] == seen[1] == seen[2]
    # Of a kind with fewer values the rest are null
    assert {kind: len(hashes) for kind, hashes in seen[0].items()} == {
        kind: len(values) + (None not in values and len(values) < most) for kind, values in NESTED.items()
    }


@pytest.mark.parametrize("kind", ["float", "double", "int", "bigint"])
def test_an_array_s_hash_is_of_its_elements_wherever_spark_keeps_them(spark, kind, tmp_path):
    rare = "double('NaN')" if kind in ("float", "double") else {"int": -(2**31), "bigint": -(2**63)}[kind]
    spark.sql(f"""SELECT id, CASE id % 6 WHEN 0 THEN array() WHEN 1 THEN null WHEN 2 THEN array({rare}, null, id)
        WHEN 3 THEN concat(array_repeat(id, 64), array(null)) WHEN 4 THEN sequence(id, id + 130) ELSE array(id, 7, id - 1) END AS v
        FROM range(60)""").select("id", F.col("v").cast(f"array<{kind}>")).coalesce(1).write.parquet(f"file://{tmp_path}/rows")
    columnar = spark.read.parquet(f"file://{tmp_path}/rows")
    generic = columnar.withColumn("v", F.transform("v", lambda each: each))
    unsafe = columnar.repartition(1)

    def hashes(frame):
        return dict(frame.select("id", row_hash(frame.select("v"), 7)).collect())

    expected = hashes(columnar)
    assert hashes(generic) == hashes(unsafe) == expected
    assert len(set(expected.values())) == 2 + 40  # all different, but for the empty and the missing ones
    spark.conf.set("spark.sql.codegen.wholeStage", "false")
    spark.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    try:
        assert hashes(columnar) == expected
    finally:
        spark.conf.unset("spark.sql.codegen.wholeStage")
        spark.conf.unset("spark.sql.codegen.factoryMode")


@pytest.mark.parametrize("kind", ["float", "double", "int", "bigint"])
def test_arrays_come_to_python_as_they_are_wherever_spark_had_them(spark, kind, tmp_path):
    spark.sql("""SELECT id, CASE id % 6 WHEN 0 THEN array() WHEN 1 THEN null WHEN 2 THEN array(null, id)
        WHEN 3 THEN transform(sequence(1, 65 + id), n -> if(n = 64, null, n)) ELSE sequence(id, id + 100) END AS v FROM range(60)
        """).select("id", F.col("v").cast(f"array<{kind}>")).coalesce(1).write.parquet(f"file://{tmp_path}/rows")
    columnar = spark.read.parquet(f"file://{tmp_path}/rows").withColumn("a.`b", F.array("id"))
    generic = columnar.withColumn("v", F.transform("v", lambda each: each))
    expected = dict(columnar.select("id", "v").collect())
    for frame in (columnar, generic):
        frame = frame.withColumn(ROW, row_hash(frame, 7)).withColumn(VALIDATION, F.lit(False))
        packed, sent = pack(deal(frame, 2, 7))
        assert sent == {
            "id": None,
            "v": {"float": "float32", "double": "float64", "int": "int32", "bigint": "int64"}[kind],
            "a.`b": "int64",
            ROW: None,
            VALIDATION: None,
        }

        def lists(batches, sent=sent):
            for batch in batches:
                yield unpacked(batch, sent).select(["id", "v", "a.`b"])

        got = packed.mapInArrow(lists, f"id bigint, v array<{kind}>, w array<bigint>").collect()
        assert {row.id: row.v for row in got} == expected and all(row.w == [row.id] for row in got)


def test_a_part_may_be_empty_and_every_row_is_dealt_once(spark, prepared, dealt):
    made = prepared(spark.range(5).select(F.col("id").alias("x"), F.lit(1).alias("y")))
    parts = dealt(made, 8)
    assert len(parts) == 8 and sorted(row[0] for part in parts for row in part) == [0, 1, 2, 3, 4]
    assert dealt(made, 8, seed=8) != parts and made.frame.columns == ["x", "y", ROW, VALIDATION]


def test_rows_go_to_the_part_that_their_hash_says_on_every_spark(spark, prepared):
    numbers = spark.range(2000)
    assert [row[0] for row in numbers.select(F.hash(F.col("id").cast("int"))).collect()] == [_murmur3(n) for n in range(2000)]
    frame = prepared(numbers.select(F.col("id").alias("x"), F.lit(1).alias("y"))).frame
    hashed = derived_hash("deal", F.lit(7).cast("bigint"), F.col(ROW))
    home = F.floor(F.shiftrightunsigned(hashed, 1) / F.lit(2.0**63) * 13).cast("int")
    dealt = deal(frame, 13, 7).select(home.alias("home"), F.spark_partition_id().alias("part"))
    assert dealt.rdd.getNumPartitions() == 13 and dealt.where("home = part").count() == 2000


def test_a_row_that_is_there_very_often_is_spread_over_the_workers_and_seldom_ones_stay_whole(spark, prepared):
    """5,000 rows of one content and 2,600 of another, both with a part for validation, beside 10,000 different ones."""
    row = F.when(F.col("id") < 5000, -1).when(F.col("id") < 7600, -2).otherwise(F.col("id"))
    frame = spark.range(17_600).select(row.cast("double").alias("x"), F.lit(1).alias("y"), F.array(row).alias("v"))
    held_out = frame.where("x = -1").limit(900)
    made = prepared(frame, features=["x", "v"])
    made.frame = made.frame.unionByName(prepared(held_out, features=["x", "v"]).frame.withColumn(VALIDATION, F.lit(True)))
    for whole in (False, True):
        found = made.repeated(4, whole)
        assert sorted(found.values()) == ([900] if whole else [900, 2600, 5000])
        parts = deal(made.frame, 4, 7, whole, found).select("x", "y", "v", VALIDATION).rdd.glom().collect()
        rows = [Counter((row.x, tuple(row.v), row[VALIDATION]) for row in part) for part in parts]
        assert [part[-1.0, (-1,), True] for part in rows] == [225] * 4
        assert [part[-1.0, (-1,), False] for part in rows] == [5000 if whole else 1250] * 4
        assert [part[-2.0, (-2,), False] for part in rows] == [2600 if whole else 650] * 4
        single = [{key for key in part if key[0] >= 0} for part in rows]
        assert len(set.union(*single)) == 10_000 and sum(map(len, single)) == (40_000 if whole else 10_000)
    assert made.repeated(1, False) == {}  # one worker has them all


def test_every_part_may_get_all_training_rows_and_validation_rows_are_dealt_once(spark, prepared):
    frame = spark.createDataFrame([(float(n), n % 2) for n in range(200)], "x double, y int")
    made = prepared(frame, validation={"fraction": 0.2})
    parts = deal(made.frame, 3, 7, whole=True).rdd.glom().collect()
    training = [sorted(row.x for row in part if not row[VALIDATION]) for part in parts]
    assert training[0] == training[1] == training[2]
    held_out = [row.x for part in parts for row in part if row[VALIDATION]]
    assert 20 < len(held_out) < 60
    assert sorted(training[0] + held_out) == [float(n) for n in range(200)]
    assert deal(made.frame, 3, 7, whole=True).columns == made.frame.columns
