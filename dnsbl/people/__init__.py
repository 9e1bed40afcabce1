"""People at the desk: who they are, how they sign in, and what they may do.

    password  ->  second factor (an authenticator app, or a passkey)  ->  desk
    password  ->  none yet: one is set up  ->  desk

Nobody is at the desk by a password alone. A password is chosen by its owner with a set-up code, which an operator gets
from the command line and which works once. Every deed is in the audit trail; no secret is there, nor in a log.

    people.py     made, given roles, disabled: what an operator does about people
    signin.py     the steps in      account.py    what people do about their own account
    sessions.py   passwords.py  totp.py  passkeys.py
"""

from .people import People, Person
from .sessions import Visit

__all__ = ["People", "Person", "Visit"]
