"""The courier: a process beside the front that makes the messages of zone transfers, and follows primaries.

    front, asyncio, without numpy            courier, threads, with numpy
    listens, checks address and key    --    request and one end of a socket pair (`link`, `process`)
    passes messages on as fast as the
    client reads                       <--   messages, as fast as the front takes them (`giving`)

What a transfer costs is paid there: answers never wait for one, a slow secondary fills its own socket pair and holds
nobody, and a courier that dies cuts its transfers and is started again.
"""
