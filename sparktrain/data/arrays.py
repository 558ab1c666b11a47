"""Hashes arrays of numbers, and sends them to Python, as blocks of memory instead of element by element.

Catalyst expressions are built by hand, as no SQL function gives access to an array's memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import ArrayType, DataType, DoubleType, FloatType, IntegerType, LongType

from sparktrain.data.jvm import jvm


class _Element(NamedTuple):
    name: str  # in the names of Java's methods
    boxed: str  # Java's class
    rare: str  # a value; an array that has it is hashed by a slower way
    dtype: str  # NumPy's


_ELEMENTS: dict[type[DataType], _Element] = {
    FloatType: _Element("Float", "Float", "NaN", "float32"),
    DoubleType: _Element("Double", "Double", "NaN", "float64"),
    IntegerType: _Element("Int", "Integer", str(-(1 << 31)), "int32"),
    LongType: _Element("Long", "Long", str(-(1 << 63)), "int64"),
}
_UNSAFE = "org.apache.spark.sql.catalyst.expressions.UnsafeArrayData"
_HASHES = "org.apache.datasketches.memory.XxHash"  # used by Spark's own sketches, so that every Spark has it


def is_flat(kind: DataType) -> TypeGuard[ArrayType]:
    """Return whether a type is an array of float, double, integer or long."""
    return isinstance(kind, ArrayType) and type(kind.elementType) in _ELEMENTS


def array_hashes(arrays: Mapping[str, ArrayType]) -> list[Column]:
    """Return a hash of each array, a bigint that depends on its elements alone.

    Spark's xxhash64 mixes an array element by element, in 6 to 10 ns for each float; this takes 4 to 5, most of it the search
    for nulls. Each call to the JVM takes a millisecond, so shared objects are made once.

    Args:
        arrays: the arrays' types, for which `is_flat` is true, by SQL expressions of the arrays.
    """
    spark = SparkSession.active()
    java, parse = jvm(spark), spark._jsparkSession.sessionState().sqlParser().parseExpression
    catalyst, types = java.org.apache.spark.sql.catalyst.expressions, java.org.apache.spark.sql.types
    invoke, invoke_static, choose = catalyst.objects.Invoke, catalyst.objects.StaticInvoke, catalyst.If
    column_of, sequence = java.org.apache.spark.sql.classic.ExpressionUtils.column, java.PythonUtils.toSeq
    hashes, long, zero = java.java.lang.Class.forName(_HASHES), types.DataTypes.LongType, parse("0L")
    none, no_function = sequence([]), java.scala.Option.empty()
    primitives = {}
    for element in {_ELEMENTS[type(kind.elementType)] for kind in arrays.values()}:
        array = java.java.lang.reflect.Array.newInstance(getattr(java.java.lang, element.boxed).TYPE, 0)
        primitives[element] = types.ObjectType(array.getClass())

    def hashed(value: str, kind: ArrayType) -> Column:
        element = _ELEMENTS[type(kind.elementType)]
        array = invoke(parse(value), f"to{element.name}Array", primitives[element], none, none, True, True, True)
        length = parse(f"cast(size({value}) AS bigint)")
        whole = invoke_static(
            hashes, long, f"hash{element.name}Arr", sequence([array, zero, length, zero]), none, True, True, True, no_function
        )
        # True only if no element is null; the memory in place of a null is undefined.
        without_nulls = f"NOT array_contains({value}, cast('{element.rare}' AS {kind.elementType.simpleString()}))"
        # The null mark and -1 keep both ways apart, and include where nulls are
        one_by_one = f"xxhash64(-1, transform({value}, item -> struct(item IS NULL, item)))"
        return Column(column_of(choose(parse(without_nulls), whole, parse(one_by_one))))

    return [hashed(value, kind) for value, kind in arrays.items()]


def pack(shuffled: DataFrame) -> tuple[DataFrame, dict[str, str | None]]:
    """Convert arrays of numbers to their binary memory for Python; Spark would write them to Arrow element by element.

    Args:
        shuffled: rows directly after a shuffle of Spark's, or a sort after one: only there all arrays have the same
            representation, `UnsafeArrayData`.

    Returns:
        The rows, with numbers for column names, as PySpark's mapInArrow allows no name with a dot; and the columns' names in
        their order, each with the NumPy dtype of its elements if it is packed, else None. A packed value is binary: the
        array's length in 8 bytes, a bit for each element that is null in whole words of 8 bytes, and the elements. A null
        array stays null.
    """
    kinds = {field.name: field.dataType for field in shuffled.schema.fields}
    dtypes = {name: _ELEMENTS[type(kind.elementType)].dtype if is_flat(kind) else None for name, kind in kinds.items()}
    numbered = shuffled.toDF(*map(str, range(len(kinds))))
    spark = shuffled.sparkSession
    java, parse = jvm(spark), spark._jsparkSession.sessionState().sqlParser().parseExpression
    invoke, types = java.org.apache.spark.sql.catalyst.expressions.objects.Invoke, java.org.apache.spark.sql.types
    column_of, none = java.org.apache.spark.sql.classic.ExpressionUtils.column, java.PythonUtils.toSeq([])
    unsafe, binary = types.ObjectType(java.java.lang.Class.forName(_UNSAFE)), types.DataTypes.BinaryType

    def memory(name: str) -> Column:
        own = invoke(parse(f"`{name}`"), "copy", unsafe, none, none, True, True, True)
        return Column(column_of(invoke(own, "getBaseObject", binary, none, none, True, True, True)))

    packed = [str(number) for number, dtype in enumerate(dtypes.values()) if dtype is not None]
    return numbered.withColumns({name: memory(name) for name in packed}), dtypes
