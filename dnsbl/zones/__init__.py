"""Zones: listings compiled to tables, tables kept in snapshot files, files mapped and asked."""
