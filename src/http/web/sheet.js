// A dialog that shows what it asks the server for.

import { explain } from "./words.js";

export class Sheet {
  #dialog;
  #left;
  /** Tells what was asked for by a dialog that was closed meanwhile, or of which something else was asked since. */
  #times = 0;

  /** @param left is called with why, when the login is over */
  constructor(dialog, left) {
    this.#dialog = dialog;
    this.#left = left;
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    // Beside the dialog is out of it.
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.renew());
  }

  open() {
    this.#dialog.showModal();
  }

  /** What is still being asked for is of no interest any more. */
  renew() {
    this.#times += 1;
  }

  /** Does it, and tells in `trouble` what went wrong. `here()`, and what is returned, is whether it is still of interest. */
  async run(trouble, work) {
    const times = this.#times;
    const here = () => this.#times === times;
    trouble.textContent = "";
    try {
      await work(here);
    } catch (error) {
      if (error.status === 401) this.#left("login_over");
      else if (here()) trouble.textContent = explain(error);
    }
    return here();
  }
}
