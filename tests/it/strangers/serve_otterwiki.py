"""Serves An Otter Wiki, as its settings in the environment have it, on a free port of loopback."""

from otterwiki import views  # noqa: F401 (registers the wiki's pages)
from otterwiki.server import app
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, app, threaded=True)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
