// What is seen of feelings: the guess under one's own words and the person's word on it, the flow, the card.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DESK, PHONE, accessible, answer, elsewhere, exchange, finished, house, leave, picture, register, say, visit,
} from "./browser.mjs";

/** What the guesses of the person's messages say, as far as they are seen. */
const lines = (page) => page.evaluate(() =>
  [...document.querySelectorAll(".felt")].filter((line) => line.offsetParent).map((line) => line.textContent));

/** Opens the look back, and waits for all of it. */
async function lookBack(page, opener = "#back") {
  await page.click(opener);
  await page.waitForSelector("#look-body section");
}

/** The picture, when it is there. */
const drawn = (page) => page.waitForFunction(() => {
  const image = document.querySelector("#look .picture img");
  return image?.complete && image.naturalWidth > 0;
});

/** A card as a model writes it, about a conversation in which this was said. */
const draft = {
  title: "발표 앞의 밤", emotions: ["anxious", "calm"], situation: "내일 발표가 있다.", thoughts: "망칠 것 같다고 생각했다.",
  body: null, behaviour: null, needs: "쉬고 싶다.", coping: "숨을 천천히 쉬었다.", insight: null, tags: ["발표"],
  quotes: [{ n: 1, text: "너무 불안해요" }],
};

test("a guess is a quiet line under one's own words, which the person corrects and takes back", async () => {
  const page = await visit(PHONE);
  await register(page);
  await exchange(page, "내일 발표가 너무 불안해요.", "그랬군요.");
  assert.deepEqual(await lines(page), ["불안해 보였어요 · 아니에요?"]);
  await exchange(page, "요즘 기분이 별로야.", "네.");
  assert.deepEqual(await lines(page), ["불안해 보였어요 · 아니에요?"], "what is unsure is not said");
  assert.equal(await page.textContent("#heard"), "네.", "and no ear is told of a guess");
  await picture(page, "phone-felt");
  await accessible(page, "a guess");
  await page.click(".felt");
  await page.waitForSelector("#felt", { state: "visible" });
  assert.equal(await page.evaluate(() => document.activeElement.value), "anxious");
  assert.equal(await page.locator("#felt-back").isVisible(), false, "nothing to take back yet");
  await picture(page, "phone-felt-choice");
  await accessible(page, "the choice of a feeling");
  await page.locator("#feelings label", { hasText: "피곤" }).click();
  await page.click("#felt [type=submit]");
  await page.waitForSelector("#felt", { state: "hidden" });
  assert.deepEqual(await lines(page), ["내가 고른 마음: 피곤"]);
  await picture(page, "phone-felt-own");
  await accessible(page, "one's own word");
  // The server has it.
  await page.reload();
  await page.waitForSelector(".felt");
  assert.deepEqual(await lines(page), ["내가 고른 마음: 피곤"]);
  await page.click(".felt");
  await page.click("#felt-back");
  await page.waitForSelector("#felt", { state: "hidden" });
  assert.deepEqual(await lines(page), ["불안해 보였어요 · 아니에요?"]);
  await leave(page);
});

test("a guess is corrected by the keyboard, and a server that cannot be reached is told", async () => {
  const page = await visit();
  await register(page);
  await exchange(page, "I am so worried about tomorrow.", "I see.");
  assert.deepEqual(await lines(page), ["You may have felt anxious · Not so?"]);
  await page.focus(".felt");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#felt", { state: "visible" });
  await page.keyboard.press("ArrowRight");
  house.network.cut();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#felt .trouble").textContent.includes("cannot be reached"));
  await accessible(page, "a word that was not taken");
  house.network.mend();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#felt", { state: "hidden" });
  assert.deepEqual(await lines(page), ["Your word: angry"]);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Your word: angry", "the focus is on it");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#felt", { state: "visible" });
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.className), "felt own");
  // The language changes what is there already.
  await page.click("#menu");
  await page.click("#drawer .language");
  assert.deepEqual(await lines(page), ["내가 고른 마음: 분노"]);
  await leave(page);
});

test("who does not want to read guesses puts them away, for good", async () => {
  const page = await visit();
  await register(page);
  await exchange(page, "I love it", "Good.");
  await page.click(".felt");
  await page.click("#felt-hide");
  await page.waitForSelector("#felt", { state: "hidden" });
  assert.deepEqual(await lines(page), []);
  assert.match(await page.textContent("#status"), /menu brings them back/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "words");
  await page.reload();
  await page.waitForSelector(".felt", { state: "attached" });
  await exchange(page, "This makes me so happy!", "Good.");
  assert.deepEqual(await lines(page), []);
  await page.click("#menu");
  assert.equal(await page.isChecked("#guesses"), false);
  await page.check("#guesses");
  await page.keyboard.press("Escape");
  assert.equal((await lines(page)).length, 2);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
  await leave(page);
});

test("where somebody may be in danger nothing is guessed aloud, and help comes before everything", async () => {
  const page = await visit(PHONE);
  await register(page);
  await exchange(page, "내일 발표가 너무 불안해요.", "그랬군요.");
  await exchange(page, "마음이 편안해졌어요.", "다행이에요.");
  assert.equal((await lines(page)).length, 2);
  // Even while the person looks at something else, as when another device of theirs says it.
  await page.click(".felt");
  await page.waitForSelector("#felt", { state: "visible" });
  await page.evaluate(() => {
    document.getElementById("words").value = "죽고 싶다는 생각이 들어.";
    document.getElementById("composer").requestSubmit();
  });
  await page.waitForSelector(".safety");
  await page.waitForSelector("#felt", { state: "hidden" });
  await house.model.say("힘들었군요.");
  await house.model.end();
  await finished(page);
  await exchange(page, "우울해요", "네.");
  assert.deepEqual(await lines(page), []);
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll(".turn").length === 4);
  assert.deepEqual(await lines(page), [], "nor later");
  await lookBack(page);
  assert.match(await page.textContent("#look .card .safety"), /109/);
  assert.equal(await page.locator("#look .card a").first().getAttribute("href"), "tel:109");
  assert.equal(await page.locator("#look .picture").count(), 0, "nothing is drawn unasked");
  assert.equal(await page.locator("#look .card > button").count(), 0, "and nothing written");
  await picture(page, "phone-look-care");
  await accessible(page, "looking back, in danger");
  await page.click("#look .flow button");
  await drawn(page);
  await accessible(page, "looking back, in danger, all of it");
  await leave(page);
});

test("the flow of a conversation is drawn, and told in words", async () => {
  for (const [name, look] of [["phone", PHONE], ["phone-dark", { ...PHONE, colorScheme: "dark" }], ["desk", DESK], ["desk-dark", { ...DESK, colorScheme: "dark" }]]) {
    const page = await visit(look);
    await register(page);
    await exchange(page, "내일 발표가 너무 불안해요.", "그랬군요.");
    assert.equal(await page.isVisible("#back"), false, "one message is no flow");
    for (const words of ["우울해요", "우울해요.", "요즘 기분이 별로야.", "마음이 편안해졌어요.", "정말 기뻐!", "정말 기뻐!"]) {
      await exchange(page, words, "네.");
    }
    await lookBack(page);
    await drawn(page);
    await picture(page, `${name}-look`);
    await accessible(page, `${name}: looking back`);
    await page.click("#look summary");
    const told = (await page.locator("#look li").allTextContents()).map((line) => line.split(" · ").slice(1).join(", "));
    assert.deepEqual(told, look === PHONE || name === "phone-dark"
      ? ["불안", "우울", "우울", "확실하지 않아요", "편안, 여기서부터 나아졌어요", "기쁨", "기쁨"]
      : ["anxious", "sad", "sad", "not sure", "calm, better from here on", "joyful", "joyful"]);
    await accessible(page, `${name}: looking back, in words`);
    await picture(page, `${name}-look-words`);
    // The picture speaks the language of the page.
    await page.keyboard.press("Escape");
    await leave(page);
  }
});

test("on a narrow screen the picture is drawn for one, and nothing has to be scrolled sideways", async () => {
  for (const [width, locale, colorScheme] of [[320, "en-US", "light"], [320, "ko-KR", "dark"], [400, "en-US", "dark"]]) {
    const page = await visit({ ...PHONE, viewport: { width, height: 800 }, locale, colorScheme });
    await register(page);
    for (const words of ["I am so worried about tomorrow.", "I am so ashamed of myself.", "우울해요", "마음이 편안해졌어요.", "정말 기뻐!", "정말 기뻐!"]) {
      await exchange(page, words, "네.");
    }
    await lookBack(page);
    await drawn(page);
    const shown = () => page.evaluate(() => {
      const image = document.querySelector("#look .picture img");
      const { left, right, width } = image.getBoundingClientRect();
      const { scrollWidth, clientWidth } = document.getElementById("look");
      return { natural: image.naturalWidth, scale: width / image.naturalWidth, inside: left >= 0 && right <= innerWidth && scrollWidth <= clientWidth };
    });
    const narrow = await shown();
    assert.equal(narrow.natural, 300);
    assert.ok(narrow.inside, "all of it is on the screen");
    assert.ok(narrow.scale > 0.9, `letters of 14 pixels are ${14 * narrow.scale}`);
    await accessible(page, `${width}: looking back`);
    await picture(page, `narrow-${width}-${locale}-${colorScheme}`);
    // Turned, it is another one.
    await page.setViewportSize({ width: 800, height: width });
    await page.waitForFunction(() => document.querySelector("#look .picture img").naturalWidth === 720);
    assert.ok((await shown()).inside);
    await leave(page);
  }
});

test("a card is made, and made anew; one that cannot be stays", async () => {
  const page = await visit(PHONE);
  const email = await register(page);
  await exchange(page, "내일 발표가 너무 불안해요.", "그랬군요.");
  await exchange(page, "숨을 천천히 쉬니 마음이 편안해졌어요.", "다행이에요.");
  await lookBack(page);
  assert.match(await page.textContent("#look .card"), /카드 한 장으로/);
  await drawn(page);
  await page.click("#look .card button");
  await page.waitForFunction(() => document.querySelector("#look .card button").disabled);
  await house.model.say(JSON.stringify(draft));
  await house.model.end();
  await page.waitForSelector("#look blockquote");
  assert.equal(await page.textContent("#look .card h3"), draft.title);
  assert.deepEqual(await page.locator("#look blockquote").allTextContents(), ["“너무 불안해요”"]);
  assert.match(await page.textContent("#look .card"), /불안 · 편안.*있었던 일내일 발표가 있다\..*#발표.*틀릴 수 있어요/);
  assert.equal(await page.textContent("#look-status"), "카드를 만들었어요.");
  await accessible(page, "a card");
  // Nobody writes now: what was written stays.
  house.model.fails = true;
  await page.click("#look .card button");
  await page.waitForFunction(() => document.querySelector("#look .card .trouble").textContent.includes("그대로 두었어요"));
  assert.equal(await page.textContent("#look .card h3"), draft.title);
  await accessible(page, "a card that stays");
  await picture(page, "phone-card-stays");
  house.model.fails = false;
  await page.keyboard.press("Escape");
  // It ends elsewhere; here it can be read, card first.
  const sessionId = await page.evaluate(() => JSON.parse(sessionStorage.getItem("deepme.session")));
  assert.equal((await elsewhere(email, "POST", `/emotion/sessions/${sessionId}/end`)).status, 200);
  await page.reload();
  await page.waitForSelector("#read", { state: "visible" });
  await picture(page, "phone-ended");
  await accessible(page, "an ended conversation");
  await lookBack(page, "#read");
  assert.equal(await page.locator("#look-body section").first().getAttribute("class"), "card");
  await drawn(page);
  await picture(page, "phone-card");
  await leave(page);
});

test("without a model a card says that it is none of a model's", async () => {
  const page = await visit({ ...DESK, colorScheme: "dark" });
  await register(page);
  await exchange(page, "I am so worried about tomorrow.", "I see.");
  await exchange(page, "Thank you so much, that was kind.", "Gladly.");
  house.model.fails = true;
  await lookBack(page);
  await page.click("#look .card button");
  await page.waitForSelector("#look blockquote");
  assert.match(await page.textContent("#look .card"), /Put together without a language model/);
  await drawn(page);
  await accessible(page, "an extract");
  await picture(page, "desk-dark-card");
  await leave(page);
});
