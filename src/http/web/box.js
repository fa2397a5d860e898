// The box that one writes in: it grows with its text, keeps a draft over a reload, and knows which Enter sends.

import { tab } from "./keep.js";

export class Box {
  #field;

  /** @param field a `textarea` of a form, which is submitted when somebody wants to send */
  constructor(field) {
    this.#field = field;
    field.addEventListener("input", () => this.#keep());
    field.addEventListener("keydown", (event) => {
      // Enter that ends the composition of a syllable (한글, かな) belongs to the input method; Safari sends it after the
      // composition has ended, as 229.
      if (event.isComposing || event.keyCode === 229) return;
      const send = event.key === "Enter" && !event.shiftKey && matchMedia("(pointer: fine)").matches;
      if (!send) return;
      event.preventDefault();
      field.form.requestSubmit();
    });
  }

  get text() {
    return this.#field.value;
  }

  /** Another text is in it, and is the draft. */
  put(text) {
    this.#field.value = text;
    this.#keep();
  }

  /** Nothing is in it, though the draft is kept for whoever comes back. */
  hide() {
    this.#field.value = "";
    this.#resize();
  }

  /** The draft of before a reload. */
  recall() {
    this.#field.value = tab.get("draft") ?? "";
    this.#resize();
  }

  /** Words that were not taken, before what was typed since. */
  giveBack(text) {
    if (text) this.put([text, this.text].filter(Boolean).join("\n"));
  }

  /** Not where it would make a keyboard cover half of a phone. */
  focus() {
    if (matchMedia("(pointer: fine)").matches) this.#field.focus();
  }

  #keep() {
    if (this.text) tab.set("draft", this.text);
    else tab.drop("draft");
    this.#resize();
  }

  /** As high as its text, up to what the style sheet allows; newer browsers do this by `field-sizing`. */
  #resize() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
  }
}
