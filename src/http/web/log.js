// The conversation on the screen, and in the ears.
//
// Everything that was said, by the person or a model, becomes text nodes: there is no HTML made of strings here, and
// the page's policy (Trusted Types) would not let any be. A screen reader is told of an answer by whole sentences, in
// a region of its own, never token by token; of help it is told at once.

import { moment, spoken, t } from "./words.js";

/** An element with text or children. */
export function make(tag, { className, text, ...rest } = {}, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  Object.assign(element, rest);
  element.append(...children);
  return element;
}

/** What to dial becomes a link that dials, an address one that opens; anything else stays text. */
export function contact(text) {
  if (/^\+?[\d][\d\s-]*$/.test(text)) {
    return make("a", { text, href: `tel:${text.replaceAll(/[\s-]/g, "")}` });
  }
  if (/^(https?:\/\/)?[\w-]+(\.[\w-]+)+(\/\S*)?$/.test(text)) {
    const href = text.startsWith("http") ? text : `https://${text}`;
    return make("a", { text, href, target: "_blank", rel: "noopener noreferrer" });
  }
  return document.createTextNode(text);
}

/** What is said to somebody who may be in danger, and whom to reach. */
export function help({ message, resources }) {
  const lines = resources.map(({ name, contact: to, note }) =>
    make("li", {}, make("span", { text: name }), contact(to), ...(note ? [make("small", { text: note })] : [])),
  );
  const card = make("section", { className: "safety" }, make("p", { text: message }), make("ul", {}, ...lines));
  card.setAttribute("aria-label", t("help"));
  return card;
}

/** How far from the end somebody may have scrolled and still be reading along. */
const NEAR = 140;

export class Log {
  #root;
  #heard;
  #urgent;
  #felt;
  /** The turns that are shown, by `message_id` and by `step_id`. */
  #entries = new Map();
  /** How much of the running answer a screen reader was told. */
  #told = 0;

  /** @param felt shows what the messages felt like */
  constructor(root, heard, urgent, felt) {
    this.#root = root;
    this.#heard = heard;
    this.#urgent = urgent;
    this.#felt = felt;
  }

  get empty() {
    return this.#root.childElementCount === 0;
  }

  /** How many turns the server has, as far as we know. */
  get stored() {
    return new Set([...this.#entries.values()].filter((entry) => entry.stored)).size;
  }

  clear() {
    this.#felt.clear();
    for (const element of [this.#root, this.#heard, this.#urgent]) element.replaceChildren();
    this.#entries.clear();
    this.#told = 0;
  }

  /** What was said before, from `GET /emotion/steps/{session_id}`; what is shown already is left alone. */
  history(steps) {
    for (const step of steps) {
      if (this.#entries.has(step.step_id) || this.#entries.has(step.message_id)) continue;
      const entry = this.#entry(step.message_id, step.user_input, step.created_at, step.step_order);
      this.#entries.set(step.step_id, entry);
      entry.stored = true;
      if (["elevated", "imminent"].includes(step.safety_tier)) this.#felt.spare(entry.root);
      if (step.status === "pending") continue; // The socket tells the rest of it.
      this.#felt.show(entry.root, step.step_id, step.emotion);
      entry.answer.data = step.gpt_response;
      this.#mark(entry, step);
    }
  }

  /** The person's words, from when they are said. */
  #entry(messageId, words, time, order = Infinity) {
    if (time && this.empty) this.#root.append(make("p", { className: "when", text: moment(time) }));
    const answer = document.createTextNode("");
    const mark = make("p", { className: "mark" });
    const said = make("p", { className: "words", text: words });
    const reply = make("p", { className: "words" }, answer);
    const root = make(
      "div",
      { className: "turn" },
      make("div", { className: "mine" }, make("span", { className: "unseen", text: t("me") }), said),
      make("div", { className: "theirs" }, make("span", { className: "unseen", text: t("listener") }), reply, mark),
    );
    const later = [...this.#entries.values()].find((other) => other.order > order);
    this.#root.insertBefore(root, later?.root ?? null);
    const entry = { root, answer, mark, order, theirs: root.lastChild };
    if (messageId) this.#entries.set(messageId, entry);
    return entry;
  }

  #of(turn) {
    return this.#entries.get(turn.messageId) ?? this.#entries.get(turn.stepId);
  }

  /** The person has spoken; without a connection the words are still on their way. */
  say(turn, sent) {
    let entry = this.#of(turn);
    if (!entry) {
      entry = this.#entry(turn.messageId, turn.words, Date.now());
      this.#heard.replaceChildren();
      this.#told = 0;
      this.follow(true);
    }
    this.#state(entry, sent ? "listening" : "unsent");
  }

  /** The words are stored, or another device said some. */
  accepted(turn) {
    if (!this.#of(turn)) this.say(turn, true);
    const entry = this.#of(turn);
    this.#entries.set(turn.stepId, entry);
    entry.stored = true;
    if (!turn.text) this.#state(entry, "listening");
    this.follow();
  }

  /** The answer as far as it is there. */
  text(turn) {
    const entry = this.#of(turn);
    if (!entry) return;
    const near = this.#near();
    this.#state(entry, null);
    entry.answer.data = turn.text;
    this.#tell(turn.text, false);
    if (near) this.follow(true);
  }

  /** The answer is over; `end` has `status`, `finish_reason` and `emotion`. */
  ended(turn, end) {
    const entry = this.#of(turn);
    if (!entry) return;
    this.#state(entry, null);
    this.#tell(turn.text, true);
    const said = this.#mark(entry, end);
    if (said) this.#announce(said);
    this.#felt.show(entry.root, turn.stepId, end.emotion);
    this.follow();
  }

  /** The words were not taken: they are the composer's again. */
  withdraw(turn) {
    const entry = this.#of(turn);
    this.#entries.delete(turn.messageId);
    // Help that came with them stays.
    if (entry) entry.root.replaceWith(...entry.root.querySelectorAll(".safety"));
  }

  #state(entry, state) {
    if (entry.state === state) return;
    entry.state = state;
    entry.theirs.classList.toggle("listening", state === "listening");
    entry.mark.textContent = state ? t(state) : "";
  }

  #mark(entry, { status, finish_reason }) {
    const name = status === "complete" ? finish_reason : status;
    const text = ["cancelled", "interrupted", "failed", "length", "content_filter"].includes(name) ? t(name) : "";
    entry.mark.textContent = text;
    return text;
  }

  /** Somebody may be in danger: before the answer, told at once, and it stays. */
  safety(safety, turn) {
    const card = help(safety);
    const entry = turn && this.#of(turn);
    const place = entry?.root ?? this.#root;
    this.#felt.spare(entry?.root);
    const shown = [...place.querySelectorAll(".safety")].find((other) => other.textContent === card.textContent);
    if (shown) return shown; // A message that is sent again brings its help again.
    if (entry) entry.theirs.before(card);
    else this.#root.append(card);
    const heard = safety.resources.map(({ name, contact: to }) => `${name} ${to}`).join(", ");
    this.#urgent.textContent = `${safety.message} ${heard}`;
    this.follow(true);
    return card;
  }

  /** Something that is good to know, beside the conversation. */
  remark(text) {
    this.#root.append(make("p", { className: "remark", text }));
    this.#announce(text);
    this.follow();
  }

  // For ears ---------------------------------------------------------------------------------------------------------

  /** Sentences that are whole are said; the last one when the answer is over. */
  #tell(text, whole) {
    if (this.#told > text.length) this.#told = text.length;
    const rest = text.slice(this.#told);
    const end = whole ? rest.length : sentences(rest);
    if (end === 0) return;
    this.#announce(rest.slice(0, end));
    this.#told += end;
  }

  #announce(text) {
    if (text.trim()) this.#heard.append(make("p", { text, lang: spoken() }));
  }

  // For eyes ---------------------------------------------------------------------------------------------------------

  #near() {
    return document.documentElement.scrollHeight - scrollY - innerHeight < NEAR;
  }

  /** Stays at the end with somebody who reads along; whoever reads further up is left in peace. */
  follow(always = false) {
    if (always || this.#near()) scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }
}

/** Where the last whole sentence of a text ends. */
function sentences(text) {
  let end = 0;
  for (const match of text.matchAll(/[.!?。…]+["'”’)]*\s/g)) end = match.index + match[0].length;
  return end;
}
