"""Arrays of numbers, taken as the memory that they are: their hashes, and their way to Python.

Catalyst's expressions are built by hand, as no SQL function gives an array's memory away.
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
    rare: str  # a value; where an array holds it, its hash takes longer
    dtype: str  # NumPy's


_ELEMENTS: dict[type[DataType], _Element] = {
    FloatType: _Element("Float", "Float", "NaN", "float32"),
    DoubleType: _Element("Double", "Double", "NaN", "float64"),
    IntegerType: _Element("Int", "Integer", str(-(1 << 31)), "int32"),
    LongType: _Element("Long", "Long", str(-(1 << 63)), "int64"),
}
_UNSAFE = "org.apache.spark.sql.catalyst.expressions.UnsafeArrayData"
_HASHES = "org.apache.datasketches.memory.XxHash"  # which Spark's own sketches use, so every Spark has it


def is_flat(kind: DataType) -> TypeGuard[ArrayType]:
    """Whether a column of this type is such an array."""
    return isinstance(kind, ArrayType) and type(kind.elementType) in _ELEMENTS


def array_hashes(arrays: Mapping[str, ArrayType]) -> list[Column]:
    """A hash of each array: bigint, a function of its elements alone.

    Spark's xxhash64 mixes an array element by element, 6 to 10 ns for each float; this is 4 to 5, most of it the look for
    nulls. Each call to the JVM takes a millisecond, so what they share is made once.

    Args:
        arrays: types, for which `is_flat` is true, by SQL expressions.
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
        # True only where no element is null; what lies in memory in a null's place means nothing.
        without_nulls = f"NOT array_contains({value}, cast('{element.rare}' AS {kind.elementType.simpleString()}))"
        # The mark and -1 keep the two ways apart, and a null's place in the hash
        one_by_one = f"xxhash64(-1, transform({value}, item -> struct(item IS NULL, item)))"
        return Column(column_of(choose(parse(without_nulls), whole, parse(one_by_one))))

    return [hashed(value, kind) for value, kind in arrays.items()]


def pack(shuffled: DataFrame) -> tuple[DataFrame, dict[str, str | None]]:
    """Make rows ready for Python: arrays go as they lie in memory; Spark would write them to Arrow element by element.

    Args:
        shuffled: rows as an exchange of Spark's, or a sort behind one, gives them: only there all arrays have the one
            form, `UnsafeArrayData`, whatever made them.

    Returns:
        The rows, their columns numbered through, as PySpark's mapInArrow takes no name with a dot; and these columns'
        names in their order, each with the NumPy dtype of its elements where it is packed. Packed columns are binary: an
        array's length in 8 bytes, a bit for each element that is null in whole words of 8 bytes, and the elements. An
        array that is null stays so.
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
