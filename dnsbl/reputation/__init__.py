"""Reputation: evidence to scores, scores and exemptions to listings. `score`, `exemptions`, `guard` (how much one
source may list in one place) and `ruling` (what is made of that) are pure; `holding` keeps what was ruled; `sweep`
reads what was touched from the store and writes what was decided; `trust` lets partners' trust fall with their
mistakes; `simulation` and `explain` say what would be, and why it is."""
