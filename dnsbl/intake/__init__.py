"""Intake: bytes from feeds, files and partners become reports and list entries in the store. Everything here is
untrusted: bounded in size, refused line by line, judged as a whole before it is applied."""
