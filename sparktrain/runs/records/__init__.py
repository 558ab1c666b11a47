"""The schemas, with a version, of the JSON records that a run writes for programs and people.

A record of an earlier version, which may lack `version` and later fields, can be read: every field that was added later has a
default. A reader ignores fields that it doesn't know.
"""
