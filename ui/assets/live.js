// While a run is under way, its page is fetched again, and what it shows replaced. Without this the page reloads by itself.
"use strict";

const WAIT_MS = 2000;

async function refresh() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = document.getElementById("main");
    const news = fresh.getElementById("main");
    const isTyping = main.contains(document.activeElement) && document.activeElement.matches("input, select");
    if (answer.ok && news !== null && news.innerHTML !== refresh.shown && !isTyping) {
      const open = [...main.querySelectorAll("details[open]")].map((details) => details.id);
      const focused = document.activeElement?.getAttribute("href");
      refresh.shown = news.innerHTML;
      main.replaceChildren(...news.childNodes);
      open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
      if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
    const isOver = answer.ok && fresh.querySelector('script[src="/assets/live.js"]') === null;
    if (isOver) return;
  } catch {
    // The server is gone or restarts: the page stays as it is, and asks again.
  }
  setTimeout(refresh, WAIT_MS);
}

setTimeout(refresh, WAIT_MS);
