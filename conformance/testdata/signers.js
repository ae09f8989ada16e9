// Signs requests with the signers of npm and sends each as it was signed, with the
// HTTP client that belongs to it.
//
// The first argument is a JSON text: the requests, each with the address to connect
// to. How it is signed is in it too, as lines of JavaScript, because docs/signers.md
// shows the same lines. Prints a JSON list of what was answered.
const http = require("http");
const http2 = require("http2");
const net = require("net");
const { text } = require("stream/consumers");
const { Sha256 } = require("@aws-crypto/sha256-js");
const { NodeHttpHandler } = require("@smithy/node-http-handler");
const { SignatureV4 } = require("@smithy/signature-v4");
const { SignatureV4a } = require("@smithy/signature-v4a");
const aws4 = require("aws4");
const { AwsClient } = require("aws4fetch");

const work = JSON.parse(process.argv[2]);

// Whatever a URL's name is, its request goes to the server, one after the other.
let server;
const connect = () => net.connect(server.port, server.hostname);
const agent = new http.Agent();
agent.createConnection = connect;
const dispatcher = async () => {
  await fetch("data:,"); // Before the first one there is no dispatcher.
  const { constructor: Agent } = globalThis[Symbol.for("undici.globalDispatcher.1")];
  return new Agent({
    connect: (_, done) => {
      const socket = connect();
      socket.once("connect", () => done(null, socket)).once("error", done);
    },
  });
};

const senders = {
  async smithy(signed) {
    const { response } = await new NodeHttpHandler({ httpAgent: agent }).handle(signed);
    return { status: response.statusCode, code: response.headers["x-amzn-errortype"], body: await text(response.body), proto: "HTTP/1.1" };
  },
  // The SDK's own handler for HTTP/2 connects by the URL's name only.
  async http2(signed) {
    const session = http2.connect("http://" + signed.headers.host, { createConnection: connect });
    try {
      const { host: authority, ...headers } = signed.headers;
      const stream = session.request({ ":method": signed.method, ":path": signed.path, ":authority": authority, ...headers });
      const status = new Promise((resolve, reject) => stream.once("response", (h) => resolve(h[":status"])).once("error", reject));
      stream.end(signed.body);
      return { status: await status, body: await text(stream), proto: "HTTP/2.0" };
    } finally {
      session.close();
    }
  },
  aws4(signed) {
    return new Promise((resolve, reject) => {
      const request = http.request({ ...signed, agent }, async (r) => resolve({ status: r.statusCode, code: r.headers["x-amzn-errortype"], body: await text(r), proto: "HTTP/1.1" }));
      request.once("error", reject).end(signed.body);
    });
  },
  async fetch(signed) {
    const response = await fetch(signed, { dispatcher: await dispatcher() });
    return { status: response.status, code: response.headers.get("x-amzn-errortype") ?? "", body: await response.text(), proto: "HTTP/1.1" };
  },
};

async function answer(ask) {
  server = new URL("http://" + ask.server);
  const url = new URL(ask.url);
  const headers = {};
  for (const [name, value] of ask.headers) headers[name] = name in headers ? [headers[name], value].flat() : value;
  const method = ask.method;
  const body = ask.body || undefined;
  const request = { method, protocol: url.protocol, hostname: url.hostname, path: url.pathname, headers: { host: url.host, ...headers }, body, query: {} };
  for (const name of new Set(url.searchParams.keys())) {
    const values = url.searchParams.getAll(name);
    request.query[name] = values.length > 1 ? values : values[0];
  }
  if (url.port) request.port = Number(url.port);
  const credentials = { accessKeyId: ask.id, secretAccessKey: ask.secret };
  if (ask.token) credentials.sessionToken = ask.token;
  const scope = { ...modules, url: ask.url, host: url.host, path: url.pathname + url.search, method, headers, body, request, credentials, region: ask.region };
  const sign = new Function(...Object.keys(scope), `return (async () => { ${ask.lines.join("\n")}\nreturn signed; })()`);
  return senders[ask.http2 ? "http2" : ask.send](await sign(...Object.values(scope)));
}

const modules = { SignatureV4, SignatureV4a, Sha256, aws4, AwsClient };

(async () => {
  const answers = [];
  for (const ask of work.requests) answers.push(await answer(ask).catch((e) => ({ error: String(e?.stack ?? e) })));
  console.log(JSON.stringify(answers));
  process.exit(0); // Idle connections keep the process.
})();
