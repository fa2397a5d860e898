// Runs the clients of examples/ as somebody would, and cuts the network under them. Run by tests/examples/run.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";
import { world } from "../page/world.mjs";

const { BINARY, MODULES } = process.env;
const require = createRequire(path.join(MODULES, "index.js"));
const EMAIL = "jiwoo@example.com";
const PASSWORD = "four words make a phrase";
const PIECES = ["그랬군요. 👩‍👩‍👧 ", "오늘 하루가 ", "많이 ", "길었겠어요."];

let house;
before(async () => {
  house = await world(BINARY);
  const answer = await fetch(`${house.direct}/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "지우", email: EMAIL, password: PASSWORD }),
  });
  assert.equal(answer.status, 201);
});
after(() => house.end());

/** The model answers; between two pieces the network is gone. `heard` waits until a client has this text. */
async function answerWithCuts(heard) {
  let said = "";
  for (const piece of PIECES) {
    house.network.mend();
    await house.model.say(piece);
    said += piece;
    await heard(said);
    house.network.cut();
  }
  await house.model.end();
  house.network.mend();
}

test("examples/talk.py", async () => {
  const asked = house.model.asked;
  const python = spawn(path.join(MODULES, "python/bin/python"), ["examples/talk.py", house.url, EMAIL, "요즘", "기분이", "별로야."], {
    env: { ...process.env, DEEPME_PASSWORD: PASSWORD, PYTHONUTF8: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  const heard = (text) =>
    new Promise((done) => {
      const look = () => out.startsWith(text) && (python.stdout.off("data", look), done());
      python.stdout.on("data", look);
      look();
    });
  python.stdout.setEncoding("utf8").on("data", (text) => (out += text));
  const ended = once(python, "exit");
  await answerWithCuts(heard);
  assert.deepEqual(await ended, [0, null]);
  assert.equal(out, `${PIECES.join("")}\n`);
  assert.equal(house.model.asked, asked + 1, "nothing was asked twice");
});

test("examples/talk.ts", async () => {
  globalThis.WebSocket ??= require("ws");
  const { Talk } = await import(path.join(MODULES, "talk.mjs"));
  const asked = house.model.asked;
  let text = "";
  let wake = () => {};
  const onText = (now) => ((text = now), wake());
  const talk = await Talk.logIn(house.url, EMAIL, PASSWORD, { onText });
  const saying = talk.say("요즘 기분이 별로야.");
  await answerWithCuts((wanted) =>
    new Promise((done) => {
      wake = () => text === wanted && done();
      wake();
    }),
  );
  const done = await saying;
  assert.equal(done.status, "complete");
  assert.equal(text, PIECES.join(""));
  assert.equal(house.model.asked, asked + 1, "nothing was asked twice");
  // Stopped: what there is is kept.
  const another = talk.say("그만해도 돼.");
  await house.model.say("네, ");
  await new Promise((seen) => ((wake = () => text === "네, " && seen()), wake()));
  talk.stop();
  assert.equal((await another).status, "cancelled");
  await assert.rejects(Talk.logIn(house.url, EMAIL, "wrong wrong wrong"), /./);
});
