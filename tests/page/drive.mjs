// Drives the page in a headless Chromium as a person would, and asserts what the person must see. Run by tests/page/run.
// Pictures of every view go to the directory that is named by PICTURES, to be looked at.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { test, before, after, beforeEach } from "node:test";
import { world } from "./world.mjs";

const { BINARY, MODULES, PICTURES, CHROMIUM } = process.env;
const require = createRequire(path.join(MODULES, "index.js"));
const { chromium } = require("playwright-core");
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

const PASSWORD = "four words make a phrase";
const PHONE = { viewport: { width: 390, height: 844 }, locale: "ko-KR", hasTouch: true, isMobile: true };
const DESK = { viewport: { width: 1280, height: 800 }, locale: "en-US" };

let browser;
let house;
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
async function visit(look = DESK, url = house.url) {
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

async function register(page) {
  people += 1;
  const email = `person${people}@example.com`;
  await page.locator("[data-way=register]:is(button)").click();
  await page.fill("[name=name]", "지우");
  await page.fill("[name=email]", email);
  await page.fill("[name=password]", PASSWORD);
  await page.click("#entry [type=submit]");
  await page.waitForSelector("#words", { state: "visible" });
  return email;
}

async function leave(page) {
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

const say = async (page, words) => {
  await page.fill("#words", words);
  await page.click("#send");
};
const answer = (page) => page.locator(".theirs .words").last();
const until = (page, text) => page.waitForFunction((text) => [...document.querySelectorAll(".theirs .words")].at(-1)?.textContent === text, text);
const finished = (page) => page.waitForSelector("#log[aria-busy=false]");
const picture = (page, name) => PICTURES && page.screenshot({ path: path.join(PICTURES, `${name}.png`) });

/** No fault of WCAG 2.2 A and AA that axe can find. */
async function accessible(page, name) {
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

test("a stranger registers, talks and is answered piece by piece", async () => {
  const page = await visit(PHONE);
  await picture(page, "phone-door");
  await accessible(page, "door");
  await register(page);
  await picture(page, "phone-empty");
  await accessible(page, "empty room");
  await say(page, "요즘 기분이 별로야.");
  await house.model.say("그랬");
  await until(page, "그랬");
  await picture(page, "phone-listening");
  await house.model.say("군요. 👩‍👩‍👧 ", "어떤 순간에 제일 무거우세요?");
  await house.model.end();
  await finished(page);
  assert.equal(await answer(page).textContent(), "그랬군요. 👩‍👩‍👧 어떤 순간에 제일 무거우세요?");
  // Ears get whole sentences, in a region of their own; the log itself is silent.
  assert.equal(await page.getAttribute("#log", "aria-live"), "off");
  assert.deepEqual(await page.locator("#heard p").allTextContents(), ["그랬군요. ", "👩‍👩‍👧 어떤 순간에 제일 무거우세요?"]);
  await accessible(page, "conversation");
  await picture(page, "phone-answer");
  await leave(page);
});

test("what was said is there after a reload and in the list, and goes on", async () => {
  const page = await visit();
  const email = await register(page);
  await say(page, "one");
  await house.model.say("first answer");
  await house.model.end();
  await finished(page);
  await page.reload();
  await until(page, "first answer");
  await page.click("#fresh");
  await page.waitForSelector("#opening", { state: "visible" });
  await page.click("#menu");
  await page.waitForSelector("#sessions li");
  assert.equal(await page.locator("#sessions li").count(), 1);
  await picture(page, "desk-drawer");
  await accessible(page, "drawer");
  await page.click("#sessions button");
  await until(page, "first answer");
  // Out, and in again by the form.
  await page.click("#menu");
  await page.click("#out");
  await page.waitForSelector("#entry", { state: "visible" });
  assert.deepEqual(await page.evaluate(() => [Object.keys(sessionStorage), Object.keys(localStorage)]), [[], []]);
  await page.fill("[name=email]", email);
  await page.fill("[name=password]", "wrong wrong wrong");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("entry-trouble").textContent);
  await accessible(page, "a wrong password");
  await page.fill("[name=password]", PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#words", { state: "visible" });
  await leave(page);
});

test("stop keeps what there is", async () => {
  const page = await visit();
  await register(page);
  await say(page, "tell me something long");
  await page.waitForSelector("#stop", { state: "visible" });
  await page.waitForSelector("#send", { state: "hidden" });
  await house.model.say("as far ", "as this");
  await until(page, "as far as this");
  await page.click("#stop");
  await finished(page);
  assert.equal(await answer(page).textContent(), "as far as this");
  assert.equal(await page.locator(".mark").last().textContent(), "Stopped here");
  // By the keyboard, too.
  await say(page, "again");
  await house.model.say("more");
  await until(page, "more");
  await page.keyboard.press("Escape");
  await finished(page);
  assert.equal(await page.locator(".mark").last().textContent(), "Stopped here");
  await leave(page);
});

test("a network that is lost in the middle of an answer costs no word and doubles none", async () => {
  const page = await visit(PHONE);
  const resumed = [];
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => {
    const frame = JSON.parse(payload);
    if (frame.resumed?.step_id) resumed.push(frame.resumed.from);
  }));
  await register(page);
  await say(page, "비밀이야. 오늘은 힘들었어.");
  await house.model.say("힘든 👨‍👩‍👧 ", "하루였");
  await until(page, "힘든 👨‍👩‍👧 하루였");
  for (const [more, whole] of [["네요. ", "힘든 👨‍👩‍👧 하루였네요. "], ["무슨 ", "힘든 👨‍👩‍👧 하루였네요. 무슨 "]]) {
    house.network.cut();
    await page.waitForFunction(() => document.getElementById("status").textContent.includes("끊겼"));
    // The server goes on meanwhile.
    await house.model.say(more);
    await picture(page, "phone-offline");
    await accessible(page, "offline");
    house.network.mend();
    await until(page, whole);
  }
  house.network.cut();
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("끊겼"));
  await house.model.say("일이 있었나요?");
  await house.model.end();
  house.network.mend();
  await finished(page);
  assert.equal(await answer(page).textContent(), "힘든 👨‍👩‍👧 하루였네요. 무슨 일이 있었나요?");
  // In code points, of which the family has five; what is here is not sent again.
  assert.deepEqual(resumed, [12, 16, 19]);
  assert.equal(await page.locator(".turn").count(), 1);
  await page.reload();
  await until(page, "힘든 👨‍👩‍👧 하루였네요. 무슨 일이 있었나요?");
  assert.equal(await page.locator(".turn").count(), 1);
  await leave(page);
});

test("what the server has lost of an answer, by a crash, is cut and said again", async () => {
  const page = await visit();
  let sockets = 0;
  await page.routeWebSocket(/ws\/emotion/, (here) => {
    const there = here.connectToServer();
    sockets += 1;
    here.onMessage((text) => {
      const frame = JSON.parse(text);
      // As if its last checkpoint had been there.
      if (frame.received > 3) frame.received = 3;
      there.send(JSON.stringify(frame));
    });
  });
  await register(page);
  await say(page, "and then");
  await house.model.say("one two ", "three ");
  await until(page, "one two three ");
  house.network.cut();
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("lost"));
  house.network.mend();
  await house.model.say("four");
  await until(page, "one two three four");
  await house.model.end();
  await finished(page);
  assert.equal(await answer(page).textContent(), "one two three four");
  assert.ok(sockets >= 2);
  await leave(page);
});

test("words that are said without a network are sent when it is back, once", async () => {
  const page = await visit();
  await register(page);
  await page.waitForFunction(() => sessionStorage.getItem("deepme.session"));
  const asked = house.model.asked;
  house.network.cut();
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("lost"));
  await say(page, "can you hear me");
  assert.equal(await page.locator(".mark").last().textContent(), "Will be sent once we are connected");
  await picture(page, "desk-unsent");
  assert.match(await page.textContent("#status"), /lost/);
  await say(page, "and this");
  assert.match(await page.textContent("#status"), /still waiting/);
  assert.equal(await page.inputValue("#words"), "and this", "kept for later");
  await page.fill("#words", "");
  house.network.mend();
  await house.model.say("I can");
  await house.model.end();
  await finished(page);
  assert.equal(await answer(page).textContent(), "I can");
  assert.equal(house.model.asked, asked + 1);
  await leave(page);
});

test("a reload before the words have arrived, and one in the middle of the answer, lose nothing", async () => {
  const page = await visit();
  await register(page);
  await page.waitForFunction(() => sessionStorage.getItem("deepme.session"));
  // The page itself stays reachable, its sockets do not: as if the connection were lost in this moment.
  await page.route("**/ws-ticket", (route) => route.abort());
  house.network.cut();
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("lost"));
  await say(page, "hold this for me");
  house.network.mend();
  await page.reload();
  await page.waitForFunction(() => document.querySelector(".mark")?.textContent.includes("Will be sent"));
  await page.unroute("**/ws-ticket");
  await house.model.say("I hold ");
  await until(page, "I hold ");
  await page.reload();
  await until(page, "I hold ");
  await house.model.say("it");
  await house.model.end();
  await finished(page);
  assert.equal(await answer(page).textContent(), "I hold it");
  assert.deepEqual(await page.locator(".mine .words").allTextContents(), ["hold this for me"]);
  await leave(page);
});

test("another device's turn is heard here", async () => {
  const page = await visit();
  await register(page);
  await say(page, "from here");
  await house.model.say("yes");
  await house.model.end();
  await finished(page);
  // The same login in a second tab, as a browser duplicates one: its storage comes along.
  const kept = await page.evaluate(() => ({ ...sessionStorage }));
  const other = await page.context().newPage();
  await other.addInitScript((kept) => {
    if (!sessionStorage.length) for (const [name, value] of Object.entries(kept)) sessionStorage.setItem(name, value);
  }, kept);
  await other.goto(house.url);
  await until(other, "yes");
  await say(other, "from there");
  await house.model.say("both");
  await until(page, "both");
  await house.model.end();
  await finished(page);
  assert.deepEqual(await page.locator(".mine .words").allTextContents(), ["from here", "from there"]);
  // The first tab was told of the refresh token that the second one got: both hold the same.
  const refresh = (tab) => tab.evaluate(() => JSON.parse(sessionStorage.getItem("deepme.login")).refresh);
  assert.equal(await refresh(page), await refresh(other));
  await leave(page);
});

test("help comes first, stays in sight, and dials", async () => {
  const page = await visit(PHONE);
  await register(page);
  await say(page, "죽고 싶다는 생각이 들어.");
  await page.waitForSelector(".safety");
  assert.equal(await answer(page).textContent(), "", "before any token");
  assert.match(await page.textContent("#urgent"), /109/);
  assert.equal(await page.locator(".safety a").first().getAttribute("href"), "tel:109");
  await picture(page, "phone-safety");
  await accessible(page, "safety");
  await house.model.say(..."그만큼 힘들었군요. 지금 안전한가요? ".repeat(40).match(/.{1,60}/g));
  await house.model.end();
  await finished(page);
  await page.waitForSelector("#help", { state: "visible" });
  assert.equal(await page.locator("#help a").first().getAttribute("href"), "tel:109");
  await picture(page, "phone-safety-later");
  await accessible(page, "safety, later");
  await leave(page);
});

test("Enter that ends a syllable does not send; Enter sends, Shift+Enter breaks the line", async () => {
  const page = await visit({ ...DESK, locale: "ko-KR" });
  await register(page);
  const keys = await page.context().newCDPSession(page);
  await page.focus("#words");
  await page.keyboard.insertText("안녕하세");
  await keys.send("Input.imeSetComposition", { text: "요", selectionStart: 1, selectionEnd: 1 });
  const composing = page.evaluate(() => new Promise((seen) => {
    document.getElementById("words").addEventListener("keydown", (e) => seen([e.isComposing, e.key]), { once: true });
  }));
  await keys.send("Input.dispatchKeyEvent", { type: "keyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" });
  await keys.send("Input.dispatchKeyEvent", { type: "keyUp", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
  assert.deepEqual(await composing, [true, "Enter"], "the browser composes");
  assert.equal(await page.locator(".turn").count(), 0, "not sent");
  await keys.send("Input.insertText", { text: "요" });
  // Safari's way: the composition is over, the key is 229.
  await page.evaluate(() => document.getElementById("words").dispatchEvent(
    new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true })));
  assert.equal(await page.locator(".turn").count(), 0, "not sent");
  await page.fill("#words", "안녕하세요");
  await page.keyboard.press("Shift+Enter");
  assert.equal(await page.inputValue("#words"), "안녕하세요\n");
  assert.equal(await page.locator(".turn").count(), 0);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".turn");
  await house.model.say("네");
  await house.model.end();
  await finished(page);
  await leave(page);
});

test("everything works by the keyboard, and the focus is seen", async () => {
  const page = await visit();
  await page.keyboard.press("Tab");
  for (let i = 0; i < 12 && !(await page.evaluate(() => document.activeElement.dataset.way === "register")); i += 1) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  people += 1;
  for (const text of ["Jiwoo", `person${people}@example.com`, PASSWORD]) {
    await page.keyboard.type(text);
    await page.keyboard.press("Tab");
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#words", { state: "visible" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "words");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#drawer", { state: "visible" });
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "menu", "the focus is back where it was");
  await leave(page);
});

test("a guest takes everything along, and erases it", async () => {
  const page = await visit();
  await page.locator("button[data-way=guest]").click();
  await page.waitForSelector("#words", { state: "visible" });
  await say(page, "only here");
  await house.model.say("I hear");
  await house.model.end();
  await finished(page);
  await page.click("#menu");
  await page.waitForSelector("#sessions li");
  const coming = page.waitForEvent("download");
  await page.click("#export");
  const file = await coming;
  const told = JSON.parse(await readFile(await file.path(), "utf8"));
  assert.equal(told.data.sessions[0].steps[0].user_input, "only here");
  await page.click("#erase");
  await page.waitForSelector("#sure", { state: "visible" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "sure-no");
  await accessible(page, "the last question");
  await picture(page, "desk-erase");
  await page.click("#sure-yes");
  await page.waitForFunction(() => document.getElementById("entry-trouble").textContent.startsWith("Everything is erased"));
  assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
  await leave(page);
});

test("a model that fails, and words that are refused, are told in words", async () => {
  const page = await visit({ ...DESK, locale: "ko-KR" });
  await register(page);
  await say(page, "가".repeat(8000));
  await page.waitForFunction(() => document.getElementById("status").textContent);
  assert.match(await page.textContent("#status"), /입력란에 그대로/);
  assert.equal((await page.inputValue("#words")).length, 8000);
  assert.equal(await page.locator(".turn").count(), 0);
  await page.fill("#words", "");
  house.model.fails = true;
  await say(page, "들리나요");
  await page.waitForFunction(() => document.querySelector(".mark")?.textContent.includes("답을 받지 못했어요"));
  house.model.fails = false;
  await finished(page);
  assert.match(await page.textContent("#status"), /하신 말은 잘 간직했어요/);
  await page.reload();
  await page.waitForFunction(() => document.querySelector(".mark")?.textContent.includes("답을 받지 못했어요"));
  assert.deepEqual(await page.locator(".mine .words").allTextContents(), ["들리나요"]);
  await leave(page);
});

test("an open socket is told of the next access token, and a login that is over gives the words back", async () => {
  const other = await world(BINARY, { DEEPME_AUTH__ACCESS_TTL: "4" });
  try {
    const page = await visit(DESK, other.url);
    const renewed = new Promise((done) => page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => {
      if ("auth" in JSON.parse(payload)) done();
    })));
    const email = await register(page);
    await renewed;
    await say(page, "still here");
    await other.model.say("so am I");
    await other.model.end();
    await finished(page);
    // Out everywhere, by another device.
    const token = async () => (await (await fetch(`${other.direct}/login`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ email, password: PASSWORD }),
    })).json()).access_token;
    await page.fill("#words", "half a sentence");
    await fetch(`${other.direct}/logout-all`, { method: "POST", headers: { authorization: `Bearer ${await token()}` } });
    await page.waitForSelector("#entry", { state: "visible", timeout: 20_000 });
    assert.match(await page.textContent("#entry-trouble"), /come in again/);
    await page.fill("[name=email]", email);
    await page.fill("[name=password]", PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#words", { state: "visible" });
    assert.equal(await page.inputValue("#words"), "half a sentence");
    await leave(page);
  } finally {
    await other.end();
  }
});

test("dark, wide and English, to be looked at", async () => {
  for (const [name, look] of [["desk-light", DESK], ["desk-dark", { ...DESK, colorScheme: "dark" }], ["phone-dark", { ...PHONE, colorScheme: "dark" }]]) {
    const page = await visit(look);
    await picture(page, `${name}-door`);
    await accessible(page, `${name}: door`);
    await register(page);
    await say(page, "I want to die.");
    await house.model.say("Thank you for saying it. ", "Are you safe right now?");
    await house.model.end();
    await finished(page);
    await picture(page, `${name}-room`);
    await accessible(page, `${name}: room`);
    await page.click("#menu");
    await page.waitForSelector("#sessions li");
    // A drawer that still comes in has no colours of its own yet.
    await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished)));
    await accessible(page, `${name}: drawer`);
    await picture(page, `${name}-drawer`);
    await leave(page);
  }
});
