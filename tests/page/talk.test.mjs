// Talking: pieces of an answer, stopping, help, the keys of the box, another device.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DESK, PASSWORD, PHONE, accessible, answer, finished, house, leave, picture, register, say, stranger, until, visit } from "./browser.mjs";

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
  await page.evaluate(() => {
    document.getElementById("words").addEventListener("keydown", (e) => (window.seen = [e.isComposing, e.key]), { once: true });
  });
  await keys.send("Input.dispatchKeyEvent", { type: "keyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" });
  await keys.send("Input.dispatchKeyEvent", { type: "keyUp", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
  await page.waitForFunction(() => window.seen);
  assert.deepEqual(await page.evaluate(() => window.seen), [true, "Enter"], "the browser composes");
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
