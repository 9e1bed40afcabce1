"""Somebody at the desk: made on the command line, and then all by its pages."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pyotp
from walking import World

from dnsbl.people.totp import STEP

PASSWORD = "correct horse battery staple"


class Person:
    """Their tab, and the app with their codes."""

    def __init__(self, world: World, name: str, role: str, script: bool = True) -> None:
        self.world, self.name = world, name
        made = json.loads(world.server.verb("person", "add", name, "--role", role, "--json"))
        self.page = world.visitor(script=script)
        self.used = 0
        self.set_up(made["page"], made["code"])

    def set_up(self, address: str, code: str) -> None:
        """A password with the code, and an authenticator app."""
        page = self.page
        page.goto(address)
        for label, text in (("Name", self.name), ("Set-up code", code), ("New password", PASSWORD)):
            page.get_by_label(label, exact=True).fill(text)
        page.get_by_label("The same again").fill(PASSWORD)
        page.get_by_role("button", name="Set the password").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Set up a second factor"
        self.app = pyotp.TOTP(re.sub(r"\s", "", page.locator("code.secret").inner_text()))
        page.get_by_label("Code of the app").fill(self.code())
        page.get_by_role("button", name="Confirm").click()
        page.wait_for_url("**/admin")

    def code(self) -> str:
        """One that was not used: the app's of now, or else its next, which is taken as clocks differ."""
        self.used = max(int(time.time()) // STEP, self.used + 1)
        return self.app.at(self.used * STEP)

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Sign out").click()
        self.page.wait_for_url("**/admin/signin*")

    def password(self) -> None:
        """As far as a password goes."""
        self.page.goto("/admin/signin")
        self.page.get_by_label("Name").fill(self.name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Go on").click()
        assert self.page.get_by_role("heading", level=1).inner_text() == "Second factor"

    def sign_in(self) -> None:
        self.password()
        self.page.get_by_label("Code of the app").fill(self.code())
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/admin")

    def open(self, subject: str) -> Any:
        """A removal of the queue."""
        self.page.goto("/admin")
        self.page.get_by_role("link", name=subject, exact=True).click()
        assert subject in self.page.get_by_role("heading", level=1).inner_text()
        self.page.wait_for_load_state()  # its script hears keys from then on
        return self.page
