"""Zones: listings compiled to tables, tables kept in snapshot files, files read and asked."""
