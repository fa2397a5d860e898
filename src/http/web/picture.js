// A picture of the server's, and the same in words. docs/emotion.md, "Flow".
//
// It wants the token in a header: it is fetched, and shown as an image of what was fetched (`blob:`), which runs nothing
// and loads nothing. For a narrow screen the server draws it from top to bottom, so that it can be read without scrolling
// sideways.

import { make } from "./log.js";
import { t } from "./words.js";

const narrow = matchMedia("(max-width: 42rem)");

/** The pixels of a wide one. A narrow one is as high as it takes. */
const WIDE = { width: 720, height: 344 };

/**
 * Puts it into a section.
 * @param alt   what it is
 * @param ask   fetches it, `narrow` or not
 * @param run   does something while it is of interest, and tells in an element what went wrong; see sheet.js
 * @param words what says the same
 */
export function draw(section, { title, alt, ask, run, words }) {
  const frame = make("div", { className: "picture" });
  const trouble = make("p", { className: "trouble" });
  // The picture has a title that is seen.
  section.replaceChildren(make("h3", { className: "unseen", text: title }), frame, trouble, words);
  const load = () => run(trouble, async (here) => {
    const slim = narrow.matches;
    const url = URL.createObjectURL(await ask(slim));
    if (!here() || slim !== narrow.matches) return URL.revokeObjectURL(url);
    const image = make("img", { alt, ...(slim ? { className: "slim" } : WIDE) });
    image.onload = image.onerror = () => URL.revokeObjectURL(url);
    image.src = url;
    frame.replaceChildren(image);
  });
  load();
  // A phone is turned.
  const turned = () => (frame.checkVisibility() ? load() : narrow.removeEventListener("change", turned));
  narrow.addEventListener("change", turned);
}

/** What a picture shows, item by item. */
export function inWords(list, truncated) {
  return make(
    "details",
    {},
    make("summary", { text: t("flow_in_words") }),
    ...(truncated ? [make("p", { className: "hint", text: t("older") })] : []),
    list,
  );
}

/** Where somebody may have been in danger, whom to reach comes first, and nothing is drawn unasked. */
export const unsafe = ({ safety_tier }) => ["elevated", "imminent"].includes(safety_tier);

/** What is shown of it only when it is asked for. @param show puts it into the section */
export function whenAsked(section, show) {
  const ask = make("button", { type: "button", text: t("flow_too") });
  ask.addEventListener("click", () => {
    show();
    section.querySelector("summary")?.focus();
  });
  section.replaceChildren(ask);
}
