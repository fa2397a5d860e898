// A headless Chromium on the page, and what a person does in it. What the person must see is asserted in the files beside
// this one, `*.test.mjs`, each of which has a browser and a server of its own; tests/page/run runs them.
// Pictures of every view go to the directory that is named by PICTURES, to be looked at.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { before, after, beforeEach } from "node:test";
import { world } from "./world.mjs";

const { BINARY, MODULES, PICTURES, CHROMIUM } = process.env;
const require = createRequire(path.join(MODULES, "index.js"));
const { chromium } = require("playwright-core");
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

export const PASSWORD = "four words make a phrase";
export const PHONE = { viewport: { width: 390, height: 844 }, locale: "ko-KR", hasTouch: true, isMobile: true };
export const DESK = { viewport: { width: 1280, height: 800 }, locale: "en-US" };

let browser;
/** The server, its model and its network. */
export let house;
let people = 0;
before(async () => {
  house = await world(BINARY, { DEEPME_AUTH__GUESTS: "true" });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  await house?.end();
  assert.ok(!house.log().includes("비밀이야"), "no word in the log");
});
beforeEach(() => {
  house.network.mend();
  house.model.reset();
});

/** A browser of somebody who has just come to the page. What the page itself gets wrong fails the test. */
export async function visit(look = DESK, url = house.url) {
  const context = await browser.newContext({ ...look, bypassCSP: false });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.stack));
  page.on("console", (message) => {
    // What the server or the network refuses is told to the person; the browser notes it besides.
    if (message.type() === "error" && !/Failed to load resource|WebSocket connection/.test(message.text())) {
      page.faults.push(message.text());
    }
  });
  await page.goto(url);
  return page;
}

/** The address of somebody who was not here before. */
export function stranger() {
  people += 1;
  return `person${people}@example.com`;
}

export async function register(page) {
  const email = stranger();
  await page.locator("[data-way=register]:is(button)").click();
  await page.fill("[name=name]", "지우");
  await page.fill("[name=email]", email);
  await page.fill("[name=password]", PASSWORD);
  await page.click("#entry [type=submit]");
  await page.waitForSelector("#words", { state: "visible" });
  return email;
}

export async function leave(page) {
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

export const say = async (page, words) => {
  await page.fill("#words", words);
  await page.click("#send");
};
export const answer = (page) => page.locator(".theirs .words").last();
export const until = (page, text) => page.waitForFunction((text) => [...document.querySelectorAll(".theirs .words")].at(-1)?.textContent === text, text);
export const finished = (page) => page.waitForSelector("#log[aria-busy=false]");
export const picture = (page, name) => PICTURES && page.screenshot({ path: path.join(PICTURES, `${name}.png`) });

/** No fault of WCAG 2.2 A and AA that axe can find. */
export async function accessible(page, name) {
  // Not through a script element: the page's policy would not have it.
  const found = await page.evaluate(`(async () => {
    const module = { exports: {} };
    ${axe};
    const runner = module.exports.run ? module.exports : window.axe;
    const { violations } = await runner.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((node) => node.html + " " + node.failureSummary) }));
  })()`);
  assert.deepEqual(found, [], `axe, ${name}`);
}

/** What somebody says, and is answered by the whole of it. */
export async function exchange(page, words, ...pieces) {
  await say(page, words);
  await house.model.say(...pieces);
  await house.model.end();
  await finished(page);
}

/** Asks the server past the page, as an app of the same person would. */
export async function elsewhere(email, method, path, server = house) {
  const json = { "content-type": "application/json" };
  const login = await fetch(`${server.direct}/login`, { method: "POST", headers: json, body: JSON.stringify({ email, password: PASSWORD }) });
  const { access_token } = await login.json();
  return fetch(`${server.direct}${path}`, { method, headers: { authorization: `Bearer ${access_token}` } });
}
