// Ending a conversation: asked once, then it can be read and no more, and there is its card and a new one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DESK, PHONE, accessible, elsewhere, exchange, finished, house, leave, picture, register, say, visit } from "./browser.mjs";
import { world } from "./world.mjs";

const draft = {
  title: "발표 앞의 밤", emotions: ["anxious"], situation: "내일 발표가 있다.", thoughts: null, body: null, behaviour: null,
  needs: null, coping: null, insight: null, tags: [], quotes: [{ n: 1, text: "너무 불안해요" }],
};

const sessionOf = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("deepme.session")));
const focused = (page) => page.evaluate(() => document.activeElement.id);
const asked = (page) => page.waitForSelector("#sure", { state: "visible" });
const over = (page) => page.waitForSelector("#after", { state: "visible" });

test("a conversation is ended, once it was asked; then there is its card and a new one", async () => {
  const page = await visit(PHONE);
  const email = await register(page);
  assert.equal(await page.isVisible("#end"), false, "nothing to end yet");
  await exchange(page, "내일 발표가 너무 불안해요.", "그랬군요.");
  await say(page, "우울해요");
  await house.model.say("네");
  await page.click("#end");
  assert.match(await page.textContent("#status"), /끝나면 마칠 수 있어요/, "not in the middle of an answer");
  await house.model.end();
  await finished(page);
  await page.setViewportSize({ width: 320, height: 700 });
  assert.ok((await page.locator("#end").boundingBox()).height < 50, "on one line");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sideways");
  await picture(page, "phone-320-before-end");
  await page.setViewportSize(PHONE.viewport);
  await picture(page, "phone-before-end");
  await accessible(page, "a conversation that can be ended");
  await page.click("#end");
  await asked(page);
  assert.equal(await focused(page), "sure-no");
  assert.match(await page.textContent("#sure-text"), /카드/);
  await picture(page, "phone-end");
  await accessible(page, "before the end");
  await page.click("#sure-no");
  assert.equal(await page.isVisible("#composer"), true);
  await page.click("#end");
  await page.click("#sure-yes");
  await over(page);
  assert.equal(await focused(page), "read", "the focus is on what comes next");
  assert.match(await page.textContent("#status"), /마친 대화예요/);
  for (const gone of ["#composer", "#end"]) assert.equal(await page.isVisible(gone), false, gone);
  await picture(page, "phone-ended-now");
  await accessible(page, "an ended conversation");
  const sessionId = await sessionOf(page);
  const session = await (await elsewhere(email, "GET", `/emotion/sessions/${sessionId}`)).json();
  assert.ok(session.ended_at);
  // Its card is still being written: it comes by itself.
  await page.click("#read");
  await page.waitForFunction(() => document.querySelector("#look .card")?.textContent.includes("쓰고 있어요"));
  await picture(page, "phone-card-coming");
  await accessible(page, "a card that is coming");
  await house.model.say(JSON.stringify(draft));
  await house.model.end();
  await page.waitForSelector("#look blockquote");
  assert.equal(await page.textContent("#look .card h3"), draft.title);
  assert.equal(await page.textContent("#look-status"), "카드를 만들었어요.");
  await page.keyboard.press("Escape");
  await page.reload();
  await over(page);
  assert.equal(await page.isVisible("#composer"), false, "nor later");
  await page.click("#anew");
  await page.waitForSelector("#composer", { state: "visible" });
  await exchange(page, "다시 왔어요", "반가워요.");
  assert.notEqual(await sessionOf(page), sessionId);
  await leave(page);
});

test("it is ended by the keyboard; without a network it is not, and what was being written stays", async () => {
  const page = await visit({ ...DESK, colorScheme: "dark" });
  await register(page);
  await exchange(page, "one", "first answer");
  await page.fill("#words", "half a sentence");
  await page.focus("#end");
  await page.keyboard.press("Enter");
  await asked(page);
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "end", "the focus is back where it was");
  await page.keyboard.press("Enter");
  await asked(page);
  house.network.cut();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#sure .trouble").textContent.includes("cannot be reached"));
  assert.equal(await page.isVisible("#composer"), true, "it goes on");
  await accessible(page, "an end that could not be told");
  await picture(page, "desk-dark-end");
  house.network.mend();
  await page.focus("#sure-yes");
  await page.keyboard.press("Enter");
  await over(page);
  assert.match(await page.textContent("#status"), /in the box of the new one/);
  await picture(page, "desk-dark-ended");
  await accessible(page, "ended, dark");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "anew");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#composer", { state: "visible" });
  assert.equal(await focused(page), "words");
  assert.equal(await page.inputValue("#words"), "half a sentence");
  await leave(page);
});

test("what another device has ended takes no more words, and gives them back", async () => {
  const page = await visit(DESK);
  const email = await register(page);
  await exchange(page, "one", "first answer");
  const sessionId = await sessionOf(page);
  assert.equal((await elsewhere(email, "POST", `/emotion/sessions/${sessionId}/end`)).status, 200);
  await say(page, "one more thing");
  await over(page);
  assert.equal(await page.locator(".turn").count(), 1);
  assert.match(await page.textContent("#status"), /has ended.*in the box/);
  await page.click("#anew");
  assert.equal(await page.inputValue("#words"), "one more thing");
  await leave(page);
});

test("help stays in sight after the end", async () => {
  const page = await visit({ ...PHONE, viewport: { width: 320, height: 700 }, locale: "en-US" });
  await register(page);
  await exchange(page, "I want to die.", ..."Thank you for saying it. Are you safe right now? ".repeat(30).match(/.{1,60}/g));
  await page.waitForSelector("#help", { state: "visible" });
  await page.click("#end");
  await page.click("#sure-yes");
  await over(page);
  assert.equal(await page.isVisible("#help"), true);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sideways");
  await picture(page, "phone-320-ended-care");
  await accessible(page, "ended, in danger");
  await page.click("#read");
  await page.waitForSelector("#look .card .safety");
  assert.equal(await page.locator("#look .picture").count(), 0, "nothing is drawn unasked");
  await leave(page);
});

test("where no card comes by itself none is promised", async () => {
  const other = await world(process.env.BINARY, { DEEPME_LLM__CARDS: "false" });
  try {
    const page = await visit(DESK, other.url);
    await register(page);
    await say(page, "one");
    await other.model.say("yes");
    await other.model.end();
    await finished(page);
    await page.click("#end");
    await asked(page);
    assert.doesNotMatch(await page.textContent("#sure-text"), /card/i);
    await page.click("#sure-yes");
    await over(page);
    assert.equal(await page.textContent("#read"), "Look back on this conversation");
    await page.click("#read");
    await page.waitForSelector("#look .card button");
    assert.equal(await page.textContent("#look .card button"), "Make a card");
    await leave(page);
  } finally {
    await other.end();
  }
});
