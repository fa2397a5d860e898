// A network that is lost costs no word and doubles none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE, accessible, answer, finished, house, leave, picture, register, say, until, visit } from "./browser.mjs";

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
