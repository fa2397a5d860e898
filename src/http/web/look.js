// Looking back on a conversation: how its moods followed each other, and its card. docs/emotion.md, "Flow" and "Cards".
//
// Only when somebody asks for it. Where somebody may be in danger, whom to reach comes first, and the picture only when it
// is asked for.

import { content } from "./card.js";
import { make } from "./log.js";
import { draw, inWords, unsafe, whenAsked } from "./picture.js";
import { Sheet } from "./sheet.js";
import { feeling, hour, spoken, t } from "./words.js";

const by = (id) => document.getElementById(id);

/** How often, and after how many milliseconds each time, we look for a card that is being made. */
const LOOKS = 30;
const BETWEEN = 1500;

export class Look {
  #api;
  #sheet;

  /** @param on `left(why)` when the login is over */
  constructor(api, on) {
    this.#api = api;
    this.#sheet = new Sheet(by("look"), on.left);
  }

  /** Opens it for a conversation. @param coming whether it has just ended: its card is being made */
  async show(sessionId, coming = false) {
    by("look-body").replaceChildren();
    this.#sheet.open();
    by("look-status").textContent = t("gathering");
    const here = await this.#sheet.run(by("look").querySelector(".trouble"), async (here) => {
      const [flow, card] = await Promise.all([this.#api.flow(sessionId), this.#api.card(sessionId)]);
      if (!here()) return;
      const waits = coming && !card;
      const shown = waits ? this.#waiting() : this.#card(sessionId, card);
      const parts = [this.#flow(flow, card?.kind === "care"), shown];
      // What was written of it says more than a line, and help comes before everything.
      if (card || waits) parts.reverse();
      by("look-body").append(...parts.filter(Boolean));
      if (waits) this.#await(sessionId, shown);
    });
    if (here) by("look-status").textContent = "";
  }

  /** Where the card will be that the server is making. */
  #waiting() {
    return make("section", { className: "card" }, make("h3", { text: t("card") }), make("p", { className: "hint", text: t("card_coming") }));
  }

  /** Until it is there; when that takes too long, it is made when somebody asks. */
  async #await(sessionId, waiting) {
    let card = null;
    await this.#sheet.run(by("look").querySelector(".trouble"), async (here) => {
      for (let n = 0; n < LOOKS && !card; n += 1) {
        await new Promise((done) => setTimeout(done, BETWEEN));
        if (!here()) return;
        card = await this.#api.card(sessionId);
      }
    });
    if (!waiting.isConnected) return;
    waiting.replaceWith(this.#card(sessionId, card));
    if (card && by("look").open) by("look-status").textContent = t("card_there");
  }

  // The flow ---------------------------------------------------------------------------------------------------------

  #flow(flow, care) {
    if (flow.points.length < 2) return null;
    const section = make("section", { className: "flow" });
    const show = () => draw(section, {
      title: t("flow"),
      alt: t("flow_alt"),
      ask: (narrow) => this.#api.flowPicture(flow.session_id, spoken(), narrow),
      run: (...work) => this.#sheet.run(...work),
      words: this.#inWords(flow),
    });
    if (care || flow.points.some(unsafe)) whenAsked(section, show);
    else show();
    return section;
  }

  /** What the picture shows. */
  #inWords({ points, turning_points: turns, truncated }) {
    const items = points.map(({ step_id, step_order, created_at, emotion }) => {
      const turn = turns.find((one) => one.step_id === step_id);
      const felt = !emotion ? t("unknown") : emotion.unsure ? t("unsure") : feeling(emotion.emotion_label);
      const more = [emotion?.corrected && t("picked"), turn && t(turn.direction)].filter(Boolean);
      return make("li", { value: step_order, text: [hour(created_at), felt, ...more].join(" · ") });
    });
    return inWords(make("ol", {}, ...items), truncated);
  }

  // The card ---------------------------------------------------------------------------------------------------------

  #card(sessionId, card) {
    const section = make("section", { className: "card" });
    const make_it = make("button", { type: "button", text: t(card ? "make_again" : "make_card") });
    const trouble = make("p", { className: "trouble" });
    trouble.setAttribute("role", "alert");
    make_it.addEventListener("click", () => this.#make(sessionId, section, make_it, trouble, card));
    section.append(
      ...(card ? content(card) : [make("h3", { text: t("card") }), make("p", { className: "hint", text: t("no_card") })]),
      // Whom to reach is not written anew.
      ...(card?.kind === "care" ? [] : [trouble, make_it]),
    );
    return section;
  }

  async #make(sessionId, section, button, trouble, before) {
    button.disabled = true;
    button.textContent = t("making_card");
    by("look-status").textContent = "";
    await this.#sheet.run(trouble, async (here) => {
      const card = await this.#api.makeCard(sessionId).catch((error) => {
        // The one from before stays, and that is what there is to say.
        throw before && error.code === "overloaded" ? Object.assign(error, { field: "card" }) : error;
      });
      if (!here()) return;
      const made = this.#card(sessionId, card);
      section.replaceWith(made);
      made.querySelector("h3").focus();
      by("look-status").textContent = t("card_there");
    });
    button.disabled = false;
    button.textContent = t(before ? "make_again" : "make_card");
  }
}
