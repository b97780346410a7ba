// What the coordinator tells, whenever it tells it.

import { say } from "./dom.js";
import { askAgain } from "./session.js";

/** Wait before a stream that the server refused is asked for again, milliseconds. */
const WAIT = 5_000;

/**
 * Calls `show` with what each event of this name carries, and says in `news` whether the coordinator answers.
 *
 * A browser opens few connections to one server, for all of its tabs: a page that nobody sees leaves them to the others.
 */
export function follow(path, name, news, show) {
  let events = null;
  let timer = null;

  const open = () => {
    events = new EventSource(path);
    events.addEventListener(name, (event) => {
      show(JSON.parse(event.data));
      say(news, "As it stands now");
    });
    events.addEventListener("error", () => {
      say(news, "The coordinator does not answer; trying again …");
      // After a connection was lost it comes back by itself; after an answer that is no stream it does not.
      if (events.readyState !== EventSource.CLOSED) return;
      clearTimeout(timer);
      timer = setTimeout(turn, WAIT);
      // It may be that nobody is let in here any more who has not logged in anew.
      askAgain();
    });
  };
  const turn = () => {
    clearTimeout(timer);
    events?.close();
    if (document.visibilityState === "visible") open();
  };

  document.addEventListener("visibilitychange", turn);
  turn();
}
