// Looking back on a conversation: how its moods followed each other, and its card. docs/emotion.md, "Flow" and "Cards".
//
// Only when somebody asks for it. The flow is the server's picture, which wants the token in a header: it is fetched, and
// shown as an image of what was fetched (`blob:`), which runs nothing and loads nothing; what it shows stands below it in
// words. Where somebody may be in danger, whom to reach comes first, and the picture only when it is asked for.

import { content } from "./card.js";
import { make } from "./log.js";
import { explain, feeling, hour, spoken, t } from "./words.js";

const by = (id) => document.getElementById(id);

export class Look {
  #api;
  #on;
  #dialog = by("look");
  #trouble = this.#dialog.querySelector(".trouble");
  /** Tells what was asked for by a dialog that was closed meanwhile. */
  #times = 0;

  /** @param on `left(why)` when the login is over */
  constructor(api, on) {
    this.#api = api;
    this.#on = on;
    this.#dialog.querySelector(".close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", ({ target }) => target === this.#dialog && this.#dialog.close());
    this.#dialog.addEventListener("close", () => (this.#times += 1));
  }

  /** Opens it for a conversation. */
  async show(sessionId) {
    by("look-body").replaceChildren();
    this.#dialog.showModal();
    by("look-status").textContent = t("gathering");
    const here = await this.#try(this.#trouble, async (here) => {
      const [flow, card] = await Promise.all([this.#api.flow(sessionId), this.#api.card(sessionId)]);
      if (!here()) return;
      const parts = [this.#flow(flow, card?.kind === "care"), this.#card(sessionId, card)];
      // What was written of it says more than a line, and help comes before everything.
      if (card) parts.reverse();
      by("look-body").append(...parts.filter(Boolean));
    });
    if (here) by("look-status").textContent = "";
  }

  /** Does it, and tells in `trouble` what went wrong. `here()`, and what is returned, is whether the dialog is still open. */
  async #try(trouble, work) {
    const times = this.#times;
    const here = () => this.#times === times;
    trouble.textContent = "";
    try {
      await work(here);
    } catch (error) {
      if (error.status === 401) this.#on.left("login_over");
      else if (here()) trouble.textContent = explain(error);
    }
    return here();
  }

  // The flow ---------------------------------------------------------------------------------------------------------

  #flow(flow, care) {
    if (flow.points.length < 2) return null;
    const section = make("section", { className: "flow" });
    if (!care) this.#draw(section, flow);
    else {
      const ask = make("button", { type: "button", text: t("flow_too") });
      ask.addEventListener("click", () => {
        this.#draw(section, flow);
        section.querySelector("summary").focus();
      });
      section.append(ask);
    }
    return section;
  }

  #draw(section, flow) {
    const frame = make("div", { className: "picture" });
    const trouble = make("p", { className: "trouble" });
    section.replaceChildren(
      make("h3", { className: "unseen", text: t("flow") }), // The picture has a title.
      frame,
      make("p", { className: "hint narrow", text: t("guessed") }),
      trouble,
      this.#inWords(flow),
    );
    this.#try(trouble, async (here) => {
      const url = URL.createObjectURL(await this.#api.flowPicture(flow.session_id, spoken()));
      if (!here()) return URL.revokeObjectURL(url);
      const image = make("img", { alt: t("flow_alt"), width: 720, height: 344 });
      image.onload = image.onerror = () => URL.revokeObjectURL(url);
      image.src = url;
      frame.append(image);
      // On a phone it is wider than the screen: what scrolls is reached by the keyboard, too.
      frame.tabIndex = 0;
      frame.setAttribute("role", "group");
      frame.setAttribute("aria-label", t("flow"));
    });
  }

  /** What the picture shows. */
  #inWords({ points, turning_points: turns, truncated }) {
    const items = points.map(({ step_id, step_order, created_at, emotion }) => {
      const turn = turns.find((one) => one.step_id === step_id);
      const felt = !emotion ? t("unknown") : emotion.unsure ? t("unsure") : feeling(emotion.emotion_label);
      const more = [emotion?.corrected && t("picked"), turn && t(turn.direction)].filter(Boolean);
      return make("li", { value: step_order, text: [hour(created_at), felt, ...more].join(" · ") });
    });
    return make(
      "details",
      {},
      make("summary", { text: t("flow_in_words") }),
      ...(truncated ? [make("p", { className: "hint", text: t("older") })] : []),
      make("ol", {}, ...items),
    );
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
    await this.#try(trouble, async (here) => {
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
