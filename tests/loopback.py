"""A web server on loopback that answers as a test tells it to."""

import contextlib
import http.server
import re
import threading


class Server(http.server.ThreadingHTTPServer):
    """Answers `/<name>` with what the test has put in `answers[name]`, one callable a request.

    `asked` are the (path, Range header or '') of the requests, in order.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.ended = {}, [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """Say nothing: clients that go away are what the tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked = self.headers.get("Range", "")
        self.server.asked.append((self.path, asked))
        answers = self.server.answers[self.path[1:]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self, int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0)
        self.close_connection = True

    def send(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

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
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
