"""Reputation: evidence to scores, scores and exemptions to listings. `score` and `exemptions` are pure; `sweep`
reads what was touched from the store and writes what was decided."""
