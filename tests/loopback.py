"""A web server on this machine that answers as a test tells it to."""

import contextlib
import http.server
import threading


class Server(http.server.ThreadingHTTPServer):
    """A server that answers the address `/NAME` with the bytes `files[NAME]`, or 404.

    Attributes:
      files: {name: content}, which the test fills.
      asked: number of the requests so far.
      url: address of the server.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {}, 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    """The handler of a request to `Server`."""

    def do_GET(self):
        """Send the content of the file that was asked for, or status 404."""
        self.server.asked += 1
        content = self.server.files.get(self.path[1:])
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *args):
        """Print nothing."""
        pass


@contextlib.contextmanager
def running():
    """Run a `Server` in a thread, and yield it; the server ends with the context."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
