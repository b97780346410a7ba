// Logging in: a token is sent once, and a cookie that no script can read stands for it from then on.

import { say } from "./dom.js";
import { logIn, whoIsThis } from "./session.js";

const [form, token, wrong] = ["form", "token", "wrong"].map((id) => document.getElementById(id));

/** Where somebody wanted to go, if that is a page of this board. */
function target() {
  const to = new URLSearchParams(location.search).get("to") ?? "/";
  const url = new URL(to, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : "/";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  say(wrong, "");
  try {
    await logIn(token.value.trim());
    location.replace(target());
  } catch (error) {
    say(wrong, error.message);
    token.select();
  }
});

// Whoever came by a link from elsewhere is logged in and was not known to be: a browser sends no cookie along with such a click.
whoIsThis()
  .then((who) => who && location.replace(target()))
  .catch(() => {});
