// How the conversations of the last days felt, from the menu.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DESK, PHONE, accessible, exchange, house, leave, picture, register, visit } from "./browser.mjs";

/** Opens it, and waits for what there is to be seen. */
async function open(page) {
  await page.click("#menu");
  await page.click("#lately");
  await page.waitForSelector("#trend-body section");
}

const drawn = (page) => page.waitForFunction(() => {
  const image = document.querySelector("#trend .picture img");
  return image?.complete && image.naturalWidth > 0;
});

/** Conversations of one message each. */
async function talks(page, ...messages) {
  for (const words of messages) {
    if (await page.isVisible(".turn")) await page.click("#fresh");
    await exchange(page, words, "네.");
  }
}

test("little or nothing to show is all right, and is said kindly", async () => {
  const page = await visit(PHONE);
  await register(page);
  await open(page);
  assert.match(await page.textContent("#trend-body"), /나눈 이야기가 없어요. 그래도 괜찮아요/);
  assert.equal(await page.locator("#trend .picture").count(), 0);
  await picture(page, "phone-trend-none");
  await accessible(page, "no conversation");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "menu", "the focus is back where it was");
  await talks(page, "요즘 기분이 별로야.");
  await open(page);
  assert.match(await page.textContent("#trend-body"), /짐작하기 어려웠어요/);
  await page.keyboard.press("Escape");
  await page.click("#fresh");
  // What was unsure is a conversation, too: this is the second.
  await exchange(page, "정말 기뻐!", "네.");
  await open(page);
  await drawn(page);
  await leave(page);
});

test("one conversation is told in words", async () => {
  const page = await visit(DESK);
  await register(page);
  await talks(page, "I am so ashamed of myself.");
  await open(page);
  assert.match(await page.textContent("#trend-body"), /There was one conversation/);
  await page.click("#trend summary");
  assert.match(await page.textContent("#trend li"), / · ashamed$/);
  await accessible(page, "one conversation");
  await leave(page);
});

test("the conversations of the last days are drawn, told in words, and others are chosen", async () => {
  for (const [name, look] of [
    ["phone-320", { ...PHONE, viewport: { width: 320, height: 800 } }],
    ["phone-dark-en", { ...PHONE, locale: "en-US", colorScheme: "dark" }],
    ["desk", DESK],
    ["desk-dark-ko", { ...DESK, locale: "ko-KR", colorScheme: "dark", timezoneId: "Asia/Seoul" }],
  ]) {
    const page = await visit(look);
    const korean = name === "phone-320" || name === "desk-dark-ko";
    await register(page);
    await talks(page, "우울해요", "우울해요", "우울해요", "마음이 편안해졌어요.", "정말 기뻐!", "정말 기뻐!");
    const pictures = [];
    page.on("request", (request) => request.url().includes("format=svg") && pictures.push(new URL(request.url()).searchParams));
    await page.click("#menu");
    // A drawer that still comes in has no colours of its own yet.
    await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished)));
    await picture(page, `${name}-trend-menu`);
    await page.click("#lately");
    await drawn(page);
    assert.equal(await page.isChecked("#days [value='30']"), true);
    await picture(page, `${name}-trend`);
    await accessible(page, `${name}: the last days`);
    await page.click("#trend summary");
    const told = (await page.locator("#trend li").allTextContents()).map((line) => line.split(" · ").slice(1).join(", "));
    assert.deepEqual(told, korean
      ? ["우울", "우울", "우울", "편안, 여기서부터 나아졌어요", "기쁨", "기쁨"]
      : ["sad", "sad", "sad", "calm, better from here on", "joyful", "joyful"]);
    await picture(page, `${name}-trend-words`);
    await accessible(page, `${name}: the last days, in words`);
    // Another choice, by the keyboard.
    await page.focus("#days :checked");
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(() => document.querySelector("#days :checked").value === "90");
    await page.waitForFunction(() => document.querySelector("#trend-body details:not([open])"));
    await drawn(page);
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction(() => document.querySelector("#days :checked").value === "7" && document.querySelector("#trend-status").textContent === "");
    await drawn(page);
    const days = (query) => Math.round((Date.now() - Date.parse(query.get("from"))) / 86_400_000);
    assert.equal(days(pictures.at(0)), 30);
    assert.ok(pictures.some((query) => days(query) === 90));
    assert.equal(days(pictures.at(-1)), 7);
    for (const query of pictures) {
      assert.equal(query.get("width"), look.isMobile ? "narrow" : "wide");
      assert.equal(query.get("lang"), korean ? "ko" : "en");
      assert.equal(query.get("utc_offset"), name === "desk-dark-ko" ? "540" : "0");
    }
    assert.ok(await page.evaluate(() => document.getElementById("trend").scrollWidth <= document.getElementById("trend").clientWidth));
    // A server that cannot be reached is told, and asked again by choosing again.
    house.network.cut();
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(() => document.querySelector("#trend > .trouble").textContent !== "");
    assert.equal(await page.textContent("#trend-status"), "");
    await accessible(page, `${name}: no server`);
    house.network.mend();
    await page.keyboard.press("ArrowRight");
    await drawn(page);
    assert.equal(await page.textContent("#trend > .trouble"), "");
    await leave(page);
  }
});

test("where somebody may have been in danger help comes first, and nothing is drawn unasked", async () => {
  const page = await visit(PHONE);
  await register(page);
  await talks(page, "우울해요", "죽고 싶다는 생각이 들어.", "마음이 편안해졌어요.");
  await open(page);
  assert.equal(await page.locator("#trend-help a").first().getAttribute("href"), "tel:109");
  assert.equal(await page.isVisible("#trend-help a"), true);
  assert.equal(await page.locator("#trend .picture").count(), 0);
  assert.doesNotMatch(await page.textContent("#trend-body"), /우울/);
  await picture(page, "phone-trend-care");
  await accessible(page, "the last days, in danger");
  await page.click("#trend section button");
  await drawn(page);
  assert.equal(await page.isVisible("#trend-help a"), true);
  await accessible(page, "the last days, in danger, all of it");
  await leave(page);
});
