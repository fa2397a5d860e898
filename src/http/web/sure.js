// The question before something that cannot be undone.

import { explain, t } from "./words.js";

const by = (id) => document.getElementById(id);

/**
 * Asks once. What keeps things as they are has the focus.
 * @param texts names of texts: `title`, `text`, `yes` and, unless it is "leave it as it is", `no`
 * @param act   does it; what it throws is told, and it can be tried again
 * @param done  is called when it is done and the dialog is gone
 */
export function sure({ title, text, yes, no = "keep" }, act, done) {
  const dialog = by("sure");
  const trouble = dialog.querySelector(".trouble");
  by("sure-title").textContent = t(title);
  by("sure-text").textContent = t(text);
  by("sure-no").textContent = t(no);
  by("sure-yes").textContent = t(yes);
  trouble.textContent = "";
  by("sure-no").onclick = () => dialog.close();
  by("sure-yes").onclick = async () => {
    by("sure-yes").disabled = true;
    trouble.textContent = "";
    try {
      await act();
      dialog.close();
      done?.();
    } catch (error) {
      trouble.textContent = explain(error);
    } finally {
      by("sure-yes").disabled = false;
    }
  };
  dialog.showModal();
}
