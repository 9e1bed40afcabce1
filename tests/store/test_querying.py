"""Keys for DNS in SQLite: held to what any store must do."""

from query_conformance import QueryConformance
from test_sqlite import sqlite_in


class TestSqliteQuerying(QueryConformance):
    opener = staticmethod(sqlite_in)
