"""Signs requests with the signers of Python and sends each as it was signed.

The first argument is a JSON text: the requests, each with the
address to connect to. How it is signed is in it too, as lines of Python, because docs/signers.md shows the
same lines. Prints a JSON list of what was answered.
"""
import http.client
import io
import json
import sys
from urllib.parse import urlsplit

import pycurl
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.crt.auth import CrtSigV4AsymAuth, CrtSigV4AsymQueryAuth, CrtSigV4Auth, CrtSigV4QueryAuth

work = json.loads(sys.argv[1])


def send(ask, names):
    """Sends what botocore or CRT signed, with nothing in between that could change it."""
    body = ask["body"].encode()
    request = AWSRequest(method=ask["method"], url=ask["url"], data=body)
    for name, value in ask["headers"]:
        request.headers.add_header(name, value)
    exec("\n".join(ask["lines"]), globals(), {**names, "request": request})
    url = urlsplit(request.url)
    connection = http.client.HTTPConnection(ask["server"], timeout=20)
    connection.putrequest(request.method, url.path + ("?" + url.query if url.query else ""), skip_host=True, skip_accept_encoding=True)
    if "host" not in request.headers:
        connection.putheader("Host", url.netloc)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    if body and "content-length" not in request.headers:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, answer.getheader("x-amzn-errortype", ""), answer.read().decode(), "HTTP/1.1"


def curl(ask, names):
    c, head, out = pycurl.Curl(), io.BytesIO(), io.BytesIO()
    headers = [name + ": " + value for name, value in ask["headers"]]
    exec("\n".join(ask["lines"]), globals(), {**names, "c": c, "headers": headers})
    c.setopt(c.URL, ask["url"])
    c.setopt(c.CONNECT_TO, ["::" + ask["server"]])
    c.setopt(c.CUSTOMREQUEST, ask["method"])
    if ask["upload"]:
        c.setopt(c.UPLOAD, True)
        c.setopt(c.READDATA, io.BytesIO(ask["body"].encode()))
        c.setopt(c.INFILESIZE, len(ask["body"].encode()))
    elif ask["body"]:
        c.setopt(c.POSTFIELDS, ask["body"].encode())
    if ask["http2"]:
        c.setopt(c.HTTP_VERSION, c.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
    c.setopt(c.HTTPHEADER, headers)
    c.setopt(c.WRITEHEADER, head)
    c.setopt(c.WRITEDATA, out)
    c.setopt(c.TIMEOUT, 20)
    c.perform()
    http2 = c.getinfo(c.INFO_HTTP_VERSION) == c.CURL_HTTP_VERSION_2_0
    kinds = [line.split(b":")[1].strip().decode() for line in head.getvalue().splitlines() if line.lower().startswith(b"x-amzn-errortype:")]
    return c.getinfo(c.RESPONSE_CODE), "".join(kinds), out.getvalue().decode(), "HTTP/2.0" if http2 else "HTTP/1.1"


answers = []
for ask in work["requests"]:
    names = {
        "credentials": Credentials(ask["id"], ask["secret"], ask["token"] or None),
        "key": ask["id"], "secret": ask["secret"], "token": ask["token"], "region": ask["region"],
    }
    try:
        status, code, body, proto = (curl if ask["send"] == "pycurl" else send)(ask, names)
        answers.append({"status": status, "code": code, "body": body, "proto": proto})
    except Exception as e:
        answers.append({"error": repr(e)})
print(json.dumps(answers))
