// What a message felt like: the server's guess under the person's own words, and the person's word on it.
// docs/emotion.md, "Where it is seen".
//
// Nobody is told what they feel. A guess is said as one, in the past tense and with a question, and only where the server
// is sure enough. Where somebody may be in danger nothing is guessed aloud in the whole conversation, and there is no line
// at all under the words that said so. Who does not want to read guesses puts them away, here or in the drawer, for good.
// The person's own word takes the place of the guess, and can be taken back.

import { preference } from "./keep.js";
import { make } from "./log.js";
import { explain, feeling, feelings, t } from "./words.js";

const by = (id) => document.getElementById(id);

/** A text that changes with the language. */
const text = (name) => {
  const element = make("span", { text: t(name) });
  element.dataset.t = name;
  return element;
};

export class Felt {
  #api;
  #root;
  #on;
  #dialog = by("felt");
  /** What is being asked about: `{ turn, stepId }`. */
  #asked = null;

  /**
   * @param root what the conversation stands in
   * @param on   `left(why)` when the login is over, `hidden()` when guesses were put away, `done()` where the focus has
   *             nowhere to go
   */
  constructor(api, root, on) {
    this.#api = api;
    this.#root = root;
    this.#on = on;
    this.#dialog.querySelector(".close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", ({ target }) => target === this.#dialog && this.#dialog.close());
    by("felt-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const label = new FormData(by("felt-form")).get("feeling");
      if (label) this.#try((stepId) => this.#api.correct(stepId, label));
    });
    by("felt-back").addEventListener("click", () => this.#try((stepId) => this.#api.takeBack(stepId)));
    by("felt-hide").addEventListener("click", () => {
      this.#shown(false);
      this.#dialog.close();
      this.#on.done();
      this.#on.hidden();
    });
    by("guesses").addEventListener("change", () => this.#shown(by("guesses").checked));
    this.#shown(preference.get("guesses") ?? true);
  }

  #shown(shown) {
    if (shown) preference.drop("guesses");
    else preference.set("guesses", false);
    by("guesses").checked = shown;
    this.#root.classList.toggle("unfelt", !shown);
  }

  /** Another conversation. */
  clear() {
    this.#root.classList.remove("spared");
  }

  /** Somebody may be in danger: by the words of this turn, if it is known which. */
  spare(turn) {
    this.#root.classList.add("spared");
    turn?.classList.add("spared");
    turn?.querySelector(".felt")?.remove();
  }

  /** Under the person's words of a turn: what they felt, if there is something to say. @returns the line */
  show(turn, stepId, emotion) {
    turn.querySelector(".felt")?.remove();
    if (!emotion || emotion.unsure || turn.classList.contains("spared")) return null;
    const { emotion_label: label, corrected } = emotion;
    if (!feelings.includes(label)) return null; // A newer server may know more of them.
    const line = corrected
      ? make("button", { type: "button", className: "felt own" }, text("own_word"), " ", text(`is_${label}`))
      : make("button", { type: "button", className: "felt" }, text(`seemed_${label}`), " · ", text("not_so"));
    line.setAttribute("aria-haspopup", "dialog");
    line.addEventListener("click", () => this.#ask(turn, stepId, emotion));
    turn.querySelector(".mine").after(line);
    return line;
  }

  #ask(turn, stepId, emotion) {
    this.#asked = { turn, stepId };
    const choices = feelings.map((label) => {
      const input = make("input", { type: "radio", name: "feeling", value: label });
      input.defaultChecked = label === emotion.emotion_label;
      return make("label", {}, input, make("span", { text: feeling(label) }));
    });
    by("feelings").replaceChildren(...choices);
    by("felt-back").hidden = !emotion.corrected;
    this.#dialog.querySelector(".trouble").textContent = "";
    this.#dialog.showModal();
    by("feelings").querySelector(":checked").focus();
  }

  async #try(work) {
    const { turn, stepId } = this.#asked;
    const trouble = this.#dialog.querySelector(".trouble");
    const buttons = this.#dialog.querySelectorAll("form button");
    trouble.textContent = "";
    for (const button of buttons) button.disabled = true;
    try {
      const { emotion } = await work(stepId);
      const line = this.show(turn, stepId, emotion);
      // Closed meanwhile, or about another message by now: its focus is where it was put.
      if (!this.#dialog.open || this.#asked.stepId !== stepId) return;
      this.#dialog.close();
      // What opened the dialog is another line now.
      if (line?.offsetParent) line.focus();
      else this.#on.done();
    } catch (error) {
      if (error.status === 401) this.#on.left("login_over");
      else if (this.#asked.stepId === stepId) trouble.textContent = explain(error);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }
}
