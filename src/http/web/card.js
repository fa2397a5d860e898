// The card of a conversation as text: what a model wrote, what was put together without one, or whom to reach.
// docs/emotion.md, "Cards".
//
// What the person said themselves looks like a quote, and nothing else does; who wrote the rest is said at its end.

import { help, make } from "./log.js";
import { feeling, t } from "./words.js";

/** What a card may say, in this order. */
const PARTS = ["situation", "thoughts", "body", "behaviour", "needs", "coping", "insight"];

/** The content of a card, to be put into a section. */
export function content(card) {
  const emotions = card.emotions.map(feeling).join(" · ");
  const parts = PARTS.filter((part) => card[part]).flatMap((part) => [
    make("dt", { text: t(part) }),
    make("dd", { text: card[part] }),
  ]);
  const quotes = card.quotes.map(({ text }) => make("dd", {}, make("blockquote", { text: `“${text}”` })));
  if (quotes.length > 0) parts.push(make("dt", { text: t("quotes") }), ...quotes);
  const note = { written: t("written"), extract: t("extract") }[card.kind];
  return [
    make("h3", { text: card.title, tabIndex: -1 }),
    ...(emotions ? [make("p", { className: "hint", text: emotions })] : []),
    ...(parts.length > 0 ? [make("dl", {}, ...parts)] : []),
    ...(card.tags.length > 0 ? [make("p", { className: "hint", text: card.tags.map((tag) => `#${tag}`).join(" ") })] : []),
    ...(card.safety ? [help(card.safety)] : []),
    ...(note ? [make("p", { className: "hint", text: note })] : []),
  ];
}
