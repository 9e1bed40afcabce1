"""Reputation: evidence to scores, scores and exemptions to listings. `score`, `exemptions` and `guard` (what one source
may list in one place) are pure; `sweep` reads what was touched from the store and writes what was decided; `trust` lets
partners' trust fall with their mistakes; `simulation` and `explain` say what would be, and why it is."""
