"""Carries out the request of an http template, and reports the answer into the container's termination message.

Its behaviour is that of upstream's agent: `executeHTTPTemplateRequest` in `workflow/executor/agent.go` of argoproj/argo-workflows.
"""

import base64
import http.client
import json
import os
import signal
import socket
import ssl
import sys
from urllib.parse import urljoin, urlsplit

LARGEST = 262144
REDIRECTS = 10


class Refused(Exception):
    pass


def connect(url, insecure):
    if url.scheme not in ("http", "https") or not url.hostname:
        raise Refused('unsupported protocol scheme "%s"' % url.scheme)
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname, url.port)
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(url.hostname, url.port, context=context)


def ask(request, method, address, headers, body, left=REDIRECTS):
    url = urlsplit(address)
    to = connect(url, request["insecure"])
    own_host = any(name.lower() == "host" for name, _ in headers)
    to.putrequest(method, (url.path or "/") + ("?" + url.query if url.query else ""), own_host, True)
    for name, value in headers:
        to.putheader(name, value)
    if body or method in ("POST", "PUT", "PATCH"):
        to.putheader("Content-Length", str(len(body)))
    to.endheaders(body or None)
    answer = to.getresponse()
    place = answer.getheader("Location")
    if answer.status not in (301, 302, 303, 307, 308) or not place:
        return answer
    if left == 0:
        raise Refused("stopped after %d redirects" % REDIRECTS)
    if answer.status < 307 and method not in ("GET", "HEAD"):
        method, body = "GET", b""
    place = urljoin(address, place)
    if urlsplit(place).hostname != url.hostname:
        secret = ("authorization", "cookie", "host", "www-authenticate")
        headers = [(name, value) for name, value in headers if name.lower() not in secret]
    return ask(request, method, place, headers, body, left - 1)


def why(error):
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "no such host"
    return str(error) or type(error).__name__


def carry_out(request):
    def late(*_):
        raise Refused("timeout: no answer within %d s" % request["timeout"])

    signal.signal(signal.SIGALRM, late)
    signal.alarm(request["timeout"])
    headers = [(one["name"], os.environ[one["env"]] if "env" in one else one["value"]) for one in request["headers"]]
    try:
        answer = ask(request, request["method"], request["url"], headers, base64.b64decode(request["body"]))
        body = answer.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise Refused("the answer is larger than %d bytes" % LARGEST)
    except (OSError, ValueError, http.client.HTTPException, Refused) as error:
        return {"=failure": '%s "%s": %s' % (request["method"], request["url"], why(error))}
    finally:
        signal.alarm(0)
    seen = {}
    for name, value in answer.getheaders():
        seen.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
    rest = json.dumps({"statusCode": answer.status, "headers": seen})
    return {"=body": body.decode(errors="replace"), "=answer": rest}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def main():
    with open(sys.argv[1]) as file:
        request = json.load(file)
    done = carry_out(request)
    told = "%s %s" % (request["method"], request["url"])
    print(done.get("=failure") or "%s: %d" % (told, json.loads(done["=answer"])["statusCode"]))
    report = "".join("%s %s\n" % (name, encoded(text)) for name, text in done.items())
    if len(report) > 4000:
        print("\n::argo-outputs::" + encoded(report))
        report = "outputs are in the log\n"
    with open(sys.argv[2], "w") as file:
        file.write(report)


if __name__ == "__main__":
    main()
