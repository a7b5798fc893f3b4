"""Says who it is and what it was asked; a websocket gets back what it says, in capitals."""
import base64
import hashlib
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            return self.websocket()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        words = [sys.argv[1], self.command, self.path, self.headers["Host"], self.headers["X-Forwarded-Proto"]]
        text = f"{' '.join(words)} {len(body)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while head := self.rfile.read(2):
            mask = self.rfile.read(4)
            text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(head[1] & 127))).upper()
            self.wfile.write(bytes([0x81, len(text)]) + text)
        self.close_connection = True


http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
