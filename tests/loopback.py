"""A web server on loopback that answers as a test tells it to."""

import contextlib
import http.server
import threading


class Server(http.server.ThreadingHTTPServer):
    """Answer `/<name>` with the bytes `files[name]`, or 404; `asked` counts them."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {}, 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        content = self.server.files.get(self.path[1:])
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def running():
    """A `Server` in a thread."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
