"""A WSGI application that answers with what it has seen of a request, and writes it down."""

import hashlib
import os

LOG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seen.log")


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    if len(body) < int(environ.get("CONTENT_LENGTH") or 0):
        raise ConnectionError("the body broke off")
    digest = hashlib.sha256(body).hexdigest()[:16]
    seen = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {len(body)} {digest}"
    with open(LOG, "a", encoding="latin-1") as log:
        log.write(seen + "\n")
    text = seen.encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
