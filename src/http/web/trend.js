// How the conversations of the last days felt. docs/emotion.md, "Flow".
//
// From the menu, and only when somebody asks for it. It is guessed and says so; where there is little or nothing to show
// that is all right, and is said so, too. Where somebody may have been in danger, whom to reach comes first.

import { make } from "./log.js";
import { draw, inWords, unsafe, whenAsked } from "./picture.js";
import { Sheet } from "./sheet.js";
import { feeling, moment, spoken, t } from "./words.js";

const by = (id) => document.getElementById(id);

const DAY = 24 * 3600 * 1000;

export class Trend {
  #api;
  #sheet;

  /** @param on `left(why)` when the login is over */
  constructor(api, on) {
    this.#api = api;
    this.#sheet = new Sheet(by("trend"), on.left);
    by("days").addEventListener("change", () => this.#load());
  }

  show() {
    by("days").querySelector("[value='30']").checked = true;
    this.#sheet.open();
    this.#load();
  }

  async #load() {
    this.#sheet.renew();
    const days = Number(by("days").querySelector(":checked").value);
    const from = new Date(Date.now() - days * DAY).toISOString();
    by("trend-body").replaceChildren();
    by("trend-help").hidden = true;
    by("trend-status").textContent = t("gathering");
    const here = await this.#sheet.run(by("trend").querySelector(".trouble"), async (here) => {
      const trend = await this.#api.trend(from);
      if (!here()) return;
      const section = make("section");
      const care = trend.points.some(unsafe);
      by("trend-help").hidden = !care;
      if (care) whenAsked(section, () => this.#fill(section, trend, from));
      else this.#fill(section, trend, from);
      by("trend-body").append(section);
    });
    if (here) by("trend-status").textContent = "";
  }

  #fill(section, trend, from) {
    const { points } = trend;
    const little = points.length === 0 ? "trend_none" : points.every(({ emotion_label: label }) => !label) ? "trend_unsure" : "";
    if (little) return section.replaceChildren(make("p", { text: t(little) }));
    const words = this.#inWords(trend);
    if (points.length === 1) return section.replaceChildren(make("p", { text: t("trend_one") }), words);
    draw(section, {
      title: t("trend_title"),
      alt: t("trend_alt"),
      ask: (narrow) => this.#api.trendPicture(from, spoken(), narrow),
      run: (...work) => this.#sheet.run(...work),
      words,
    });
    section.prepend(make("p", { className: "hint", text: t("trend_hint") }));
  }

  /** What the picture shows. */
  #inWords({ points, turning_points: turns, truncated }) {
    const items = points.map(({ session_id, at, emotion_label: label }) => {
      const turn = turns.find((one) => one.session_id === session_id);
      const parts = [moment(at), label ? feeling(label) : t("unsure"), ...(turn ? [t(turn.direction)] : [])];
      return make("li", { text: parts.join(" · ") });
    });
    return inWords(make("ul", {}, ...items), truncated);
  }
}
