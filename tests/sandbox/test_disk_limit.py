"""When the sandbox's YARN gives its disk up."""

import pytest

from sparktrain.sandbox.managers import disk_limit


@pytest.mark.parametrize("free, limit", [(60, 90.0), (20, 90.0), (15, 92.5), (3, 98.5), (0, 100.0)])
def test_yarns_own_limit_holds_unless_the_disk_is_nearly_that_full_already(free, limit):
    assert disk_limit(100, free) == limit
