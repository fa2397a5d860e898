// Coming, going and looking: the keyboard, guests, a login that is over, every look of the page.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { DESK, PASSWORD, PHONE, accessible, elsewhere, finished, house, leave, picture, register, say, stranger, visit } from "./browser.mjs";
import { world } from "./world.mjs";

test("everything works by the keyboard, and the focus is seen", async () => {
  const page = await visit();
  await page.keyboard.press("Tab");
  for (let i = 0; i < 12 && !(await page.evaluate(() => document.activeElement.dataset.way === "register")); i += 1) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  for (const text of ["Jiwoo", stranger(), PASSWORD]) {
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

test("an open socket is told of the next access token, and a login that is over gives the words back", async () => {
  const other = await world(process.env.BINARY, { DEEPME_AUTH__ACCESS_TTL: "4" });
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
    await page.fill("#words", "half a sentence");
    await elsewhere(email, "POST", "/logout-all", other);
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
