// The page at "/": wires the door, the conversation and the drawer. No framework, no build: read it in this order:
//
//   api.js     REST, tokens and how they are renewed
//   talk.js, turn.js   one conversation over a WebSocket that survives lost connections (the protocol is here)
//   log.js     the conversation on the screen and for screen readers
//   felt.js    what a message felt like: the server's guess, and the person's own word
//   look.js, card.js   looking back on a conversation: how it went, and its card
//   trend.js   how the conversations of the last days felt
//   picture.js, sheet.js   a picture of the server's with the same in words, the dialog that asks for it
//   door.js, drawer.js, sure.js, box.js, beside.js, words.js, keep.js   logging in, the list and the person's rights, the
//              question before what cannot be undone, the box that one writes in, what is said beside it, texts, what is
//              kept in the browser

import { Api } from "./api.js";
import { lines, pin, status, unpin } from "./beside.js";
import { Box } from "./box.js";
import { Door } from "./door.js";
import { Drawer } from "./drawer.js";
import { Felt } from "./felt.js";
import { tab } from "./keep.js";
import { Log } from "./log.js";
import { Look } from "./look.js";
import { sure } from "./sure.js";
import { Talk } from "./talk.js";
import { Trend } from "./trend.js";
import { explain, speak, spoken, switchLanguage, t, tell } from "./words.js";

const by = (id) => document.getElementById(id);

/** What the server says of itself in the page: `{ registration, guests, cards, lines, feelings }`. */
const server = JSON.parse(by("server").textContent);

const api = new Api();
const box = new Box(by("words"));
const felt = new Felt(api, by("log"), { left: leave, done: () => box.focus(), hidden: () => status(t("felt_hidden"), true) });
const log = new Log(by("log"), by("heard"), by("urgent"), felt);
const door = new Door(api, server, enter);
const drawer = new Drawer(api, { chosen: open, trend: () => trend.show(), left: leave });
const look = new Look(api, { left: leave });
const trend = new Trend(api, { left: leave });

/** The conversation that is open. @type {?Talk} */
let talk = null;
/** Whether everything of it that was said before is shown. */
let whole = false;
/** Whether it has ended: it can be read, and no more. */
let ended = false;
/** Whether that was just now, so that its card is still being made. */
let fresh = false;
/** Words of somebody whose login was over before they could be sent. */
let stash = null;

// Coming and going ---------------------------------------------------------------------------------------------------

function enter() {
  by("door").hidden = true;
  by("room").hidden = false;
  if (stash?.words && stash.user_id === api.person.user_id) tab.set("draft", stash.words);
  stash = null;
  box.recall();
  // After a reload we are where we were.
  const sessionId = tab.get("session");
  const unsent = tab.get("unsent");
  if (sessionId) load(sessionId, unsent);
  else {
    whole = true;
    connect({ unsent });
  }
  box.focus();
}

/** Back to the door. @param why the name of the text that says so */
function leave(why = "") {
  clear();
  box.hide();
  api.forget();
  by("room").hidden = true;
  by("door").hidden = false;
  door.show("login", why && t(why));
}

// Conversations ------------------------------------------------------------------------------------------------------

/** Empties the room. Words that are on their way in the conversation before come back into the box. */
function clear() {
  const unsaid = talk?.unsaid;
  talk?.leave();
  talk = null;
  whole = false;
  ended = false;
  fresh = false;
  giveBack(unsaid?.words);
  closeDialogs();
  log.clear();
  unpin();
  by("opening").hidden = false;
  by("composer").hidden = false;
  status("");
  running();
}

/** A new conversation. The server knows of it from the first message on. */
function begin() {
  clear();
  tab.drop("session");
  whole = true;
  connect({});
  box.focus();
}

/** A conversation of before: what was said by REST, what goes on by the socket. */
async function open({ session_id: sessionId }) {
  clear();
  tab.set("session", sessionId);
  await load(sessionId);
  box.focus();
}

/** The same after a reload: a message that may not have arrived is sent again, under its `message_id`. */
async function load(sessionId, unsent = null) {
  by("opening").hidden = true;
  const here = () => tab.get("session") === sessionId && talk === null;
  try {
    const [session, steps] = await Promise.all([api.get(`/emotion/sessions/${sessionId}`), api.steps(sessionId)]);
    if (!here()) return;
    log.history(steps);
    log.follow(true);
    whole = true;
    if (session.ended_at) return rest();
  } catch (error) {
    if (!here()) return;
    if (error.status === 401) return leave("login_over");
    // Not found: reserved, and nothing was said in it yet. No status: the network is gone, which the socket will tell.
    if (error.status && error.status !== 404) status(explain(error));
  }
  connect({ sessionId, unsent });
}

/** Nothing more is written in it; what was being written is for the next one. */
function rest() {
  talk?.leave();
  talk = null;
  ended = true;
  by("composer").hidden = true;
  status(t(box.text.trim() ? "ended_draft" : "ended"));
  running();
}

/** Ends the conversation, once the person is sure. */
function end() {
  if (talk?.busy) return status(t(talk.unsaid ? "still_unsent" : "end_busy"), true);
  const sessionId = tab.get("session");
  const texts = { title: "end_title", text: server.cards ? "end_text" : "end_text_only", yes: "end_yes", no: "end_no" };
  const act = async () => {
    try {
      await api.end(sessionId);
    } catch (error) {
      if (error.status !== 401) throw error;
      leave("login_over");
    }
  };
  sure(texts, act, () => {
    if (tab.get("session") !== sessionId || !api.person) return;
    rest();
    fresh = server.cards;
    by("read").focus();
  });
}

function connect({ sessionId, unsent }) {
  // What a conversation says that was left meanwhile is not heard.
  const mine = (handle) => (...rest) => talk === next && handle(...rest);
  const on = Object.fromEntries(Object.entries(heard).map(([name, handle]) => [name, mine(handle)]));
  const next = new Talk(api, on, { sessionId, unsent });
  talk = next;
  if (unsent) log.say(unsent, false);
  by("opening").hidden = !log.empty;
  running();
}

/** What a conversation tells us. */
const heard = {
  opened(sessionId, again) {
    tab.set("session", sessionId);
    if (again) status(t("back"), true);
    if (again || !whole) missed(sessionId);
    running();
  },
  lost(unsaid) {
    if (unsaid) log.say(unsaid, false);
    status(t("offline"));
    running();
  },
  accepted(turn) {
    tab.drop("unsent");
    by("opening").hidden = true;
    log.accepted(turn);
    running();
  },
  text: (turn) => log.text(turn),
  safety(safety, turn) {
    closeDialogs(); // Nothing stands before help.
    pin(log.safety(safety, turn), safety);
  },
  notice(notice) {
    const text = tell(notice);
    if (text) log.remark(text);
  },
  ended(turn, done) {
    log.ended(turn, done);
    running();
  },
  failed(turn, error) {
    log.ended(turn, { status: "failed" });
    status(explain(error));
    running();
  },
  refused(turn, error) {
    log.withdraw(turn);
    giveBack(turn.words);
    // Another device of theirs has ended it.
    if (error.code === "session_ended") return rest();
    status(`${explain(error)} ${t("given_back")}`);
    running();
  },
  over(why, unsaid) {
    giveBack(unsaid?.words);
    if (why === "login") {
      stash = { user_id: api.person?.user_id, words: box.text };
      return leave("login_over");
    }
    // Somebody erased it; or nothing was said in it for a day, then another one will do.
    const nothing = log.empty;
    begin();
    if (!nothing) status(t("gone"));
  },
};

/** What we have not seen: another device may have gone on while we were away. */
async function missed(sessionId) {
  try {
    const steps = await api.steps(sessionId);
    if (talk?.sessionId !== sessionId) return;
    log.history(steps);
    whole = true;
    running();
  } catch (error) {
    // Nothing was said yet; or it is tried again with the next connection.
    whole = error.status === 404;
  }
}

// The composer -------------------------------------------------------------------------------------------------------

/** Words that were not taken are the person's again. */
function giveBack(text) {
  tab.drop("unsent");
  box.giveBack(text);
}

/** What there is to do: send, or stop; end it, and look back, once there is something to look back on. */
function running() {
  const busy = talk?.busy ?? false;
  const stoppable = busy && talk.connected;
  by("stop").hidden = !stoppable;
  by("send").hidden = stoppable;
  by("log").setAttribute("aria-busy", busy);
  by("back").hidden = log.stored < (ended ? 1 : 2);
  by("end").hidden = ended || log.stored === 0;
  by("after").hidden = !ended;
  by("read").hidden = log.stored === 0;
}

function send() {
  const text = box.text;
  if (!text.trim() || !talk) return;
  if (talk.busy) return status(t(talk.unsaid ? "still_unsent" : "busy"));
  if (talk.connected) status("");
  const turn = talk.say(text);
  // Until the server has them these words are in one place only: here.
  tab.set("unsent", { messageId: turn.messageId, words: text });
  box.put("");
  by("opening").hidden = true;
  log.say(turn, talk.connected);
  running();
}

by("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
by("stop").addEventListener("click", () => {
  talk?.stop();
  box.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && talk?.busy && !document.querySelector("dialog[open]")) talk.stop();
});
for (const id of ["fresh", "anew"]) by(id).addEventListener("click", begin);
by("end").addEventListener("click", end);
by("menu").addEventListener("click", () => drawer.show(tab.get("session")));
for (const id of ["back", "read"]) by(id).addEventListener("click", () => look.show(tab.get("session"), fresh));

// Without cards that come by themselves there is no "the card" yet.
if (!server.cards) by("read").dataset.t = "look";

// Languages, and the beginning ----------------------------------------------------------------------------------------

function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

function translate() {
  speak();
  by("opening").textContent = t("opening");
  const known = server.lines.map((line) => ({ name: line[spoken()], contact: line.contact }));
  for (const element of document.querySelectorAll(".lines")) lines(element, t("lines"), known);
}

for (const button of document.querySelectorAll("button.language")) {
  button.addEventListener("click", () => {
    switchLanguage();
    translate();
    if (!by("door").hidden) door.show();
    if (by("drawer").open) {
      by("drawer").close();
      drawer.show(tab.get("session"));
    }
  });
}

translate();
if (api.person) enter();
else {
  by("door").hidden = false;
  door.show("login");
}
