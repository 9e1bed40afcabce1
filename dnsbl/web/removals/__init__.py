"""The way off the list, for people and programs: the same requests by forms and by JSON.

pages    /delist, the private page of a request, the page behind a mailed link
api      /v1/removals for programs          views   a request as a document, for both
letters  what is mailed                     flow    what both do with a request
"""
