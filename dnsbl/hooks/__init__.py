"""Webhooks: partners are told when something of theirs is listed, changes its codes or is freed.

    journal of listings -> following (owners, events) -> deliveries in the store -> delivering (sending) -> a URL
    setting     what partners own, and their hooks, for the command line and the API

An event is written once, whatever crashes. It is sent until it is taken or three days are over: at least once, so a
receiver keeps the ids it has seen. In which order events arrive is not promised: `at` says what came first.
"""
