// What is said beside the conversation: one quiet line above the box, and help that stays in sight.

import { contact, make } from "./log.js";
import { t } from "./words.js";

const by = (id) => document.getElementById(id);

let fading = 0;

/** One quiet line above the box. @param brief whether it goes by itself */
export function status(text, brief = false) {
  clearTimeout(fading);
  by("status").textContent = text;
  if (brief) fading = setTimeout(() => status(""), 4000);
}

/** Whom to call, as a list of links. */
export function lines(element, title, resources) {
  const links = resources.map(({ name, contact: to }) => make("span", {}, `${name} `, contact(to)));
  element.replaceChildren(make("span", { text: title }), ...links);
  element.hidden = resources.length === 0;
}

/** Help stays in sight: when the conversation has gone on below it, its first lines stand above the box. */
export function pin(card, safety) {
  lines(by("help"), t("lines"), safety.resources.slice(0, 2));
  by("help").firstChild.className = "unseen";
  by("help").hidden = true;
  inSight.disconnect();
  inSight.observe(card);
}

const inSight = new IntersectionObserver(([{ isIntersecting }]) => (by("help").hidden = isIntersecting));

export function unpin() {
  inSight.disconnect();
  by("help").hidden = true;
}
