// What the page is driven in: a deepme on a throw-away database, a model that answers as it is told, and a network
// that can be cut: the browser reaches the server through a proxy of ours, which drops every connection at a word.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { once } from "node:events";

const listen = async (server) => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
};

/** A model of OpenAI's kind. `pieces` are what it answers next; it says the next one when `say` is called. */
export class Model {
  asked = 0;
  /** Whether it refuses. */
  fails = false;
  #streams = [];
  #waiting = [];

  async start() {
    this.server = http.createServer((request, response) => {
      request.resume().on("end", () => {
        this.asked += 1;
        if (this.fails) return response.writeHead(400).end();
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.on("close", () => (this.#streams = this.#streams.filter((one) => one !== response)));
        this.#streams.push(response);
        for (const wake of this.#waiting.splice(0)) wake();
      });
    });
    this.port = await listen(this.server);
    return this;
  }

  /** Until somebody is being answered. */
  async listening() {
    if (this.#streams.length === 0) await new Promise((wake) => this.#waiting.push(wake));
  }

  async say(...pieces) {
    await this.listening();
    for (const content of pieces) {
      const chunk = { object: "chat.completion.chunk", choices: [{ index: 0, delta: { content } }] };
      for (const stream of this.#streams) stream.write(`data: ${JSON.stringify(chunk)}\n\n`);
      await new Promise((wake) => setTimeout(wake, 20));
    }
  }

  /** Whoever is still being answered is not. */
  reset() {
    for (const stream of this.#streams.splice(0)) stream.destroy();
  }

  async end() {
    await this.listening();
    const chunk = { object: "chat.completion.chunk", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
    for (const stream of this.#streams) stream.end(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`);
    this.#streams = [];
  }
}

/** The network between the browser and the server. */
export class Network {
  #up = true;
  #open = new Set();

  async start(port) {
    this.server = net.createServer((near) => {
      if (!this.#up) return near.destroy();
      const far = net.connect(port, "127.0.0.1");
      for (const [one, other] of [[near, far], [far, near]]) {
        this.#open.add(one);
        one.on("data", (bytes) => other.write(bytes));
        one.on("error", () => {});
        one.on("close", () => {
          this.#open.delete(one);
          other.destroy();
        });
      }
    });
    this.port = await listen(this.server);
    return this;
  }

  cut() {
    this.#up = false;
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  mend() {
    this.#up = true;
  }
}

/** A server with these settings (`DEEPME_…`), its model and its network. */
export async function world(binary, settings = {}) {
  const directory = await mkdtemp(path.join(tmpdir(), "deepme-page-"));
  const model = await new Model().start();
  const server = spawn(binary, ["serve", "--listen", "127.0.0.1:0"], {
    cwd: directory,
    env: {
      PATH: process.env.PATH,
      OPENAI_BASE_URL: `http://127.0.0.1:${model.port}/v1`,
      DEEPME_LIMITS__ACCOUNTS_AN_HOUR: "0",
      DEEPME_SERVER__DRAIN_SECONDS: "1",
      ...settings,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  const port = await new Promise((resolve, reject) => {
    server.stderr.on("data", (bytes) => {
      said += bytes;
      const found = /on http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
      if (found) resolve(Number(found[1]));
    });
    server.on("exit", () => reject(new Error(said)));
  });
  const network = await new Network().start(port);
  return {
    model,
    network,
    /** Where the browser goes. */
    url: `http://127.0.0.1:${network.port}`,
    /** Past the network that is cut. */
    direct: `http://127.0.0.1:${port}`,
    log: () => said,
    async end() {
      server.kill("SIGTERM");
      await once(server, "exit");
      network.cut();
      network.server.close();
      model.server.closeAllConnections();
      model.server.close();
      await rm(directory, { recursive: true });
    },
  };
}
