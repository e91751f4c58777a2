// Keeps a page up to date: counts times, and loads its parts again when the server says that they have changed.
// The page works without it.
"use strict";

(() => {
  const page = document.body;
  const stale = document.getElementById("stale");
  const RETRY_MS = 3000; // after a stream was lost, and longer with every try in vain
  const RETRY_MOST_MS = 15000;
  const LOAD_WITHIN_MS = 20000;
  const SILENT_AFTER_MS = 40000; // a stream says something every 15 s
  const LOST_AFTER_MS = 5000; // a page that could not be loaded says so then
  const OLD_AFTER_MS = 60000; // and in any case
  let freshAt = Date.now();
  let failed = false;
  let ahead = page.dataset.now ? Date.parse(page.dataset.now) - Date.now() : 0; // the ledger's clock before ours, in ms

  function span(seconds) {
    if (seconds < 10) return `${Math.max(seconds, 0).toFixed(1)} s`;
    let left = Math.round(seconds);
    const parts = [];
    for (const [word, size] of [["day", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
      const count = Math.floor(left / size);
      left -= count * size;
      if (count) parts.push(`${count} ${word}${word === "day" && count > 1 ? "s" : ""}`);
    }
    return parts.slice(0, 2).join(" ");
  }

  function count() {
    const now = Date.now() + ahead;
    for (const shown of document.querySelectorAll("time > [data-relative]")) {
      const seconds = (Date.parse(shown.parentElement.dateTime) - now) / 1000;
      shown.textContent = seconds > 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
    }
  }

  function isInUse(part) {
    const active = document.activeElement;
    const isTyped = [...part.querySelectorAll("input:not([type=hidden])")].some((input) => input.value !== input.defaultValue);
    return isTyped || (part.contains(active) && active.matches("input, select, textarea"));
  }

  function replace(part, fresh) {
    const open = [...part.querySelectorAll("details[open][id]")].map((each) => each.id);
    const focused = part.contains(document.activeElement) ? path(part, document.activeElement) : null;
    part.replaceChildren(...fresh.childNodes);
    part.className = fresh.className;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) focused.reduce((node, index) => node?.children[index], part)?.focus({ preventScroll: true });
  }

  function path(root, node) {
    const found = [];
    for (let at = node; at !== root; at = at.parentElement) found.unshift([...at.parentElement.children].indexOf(at));
    return found;
  }

  let loading = false;

  async function load() {
    if (loading || document.hidden) return;
    loading = true;
    try {
      const options = { headers: { "X-Board-Live": "1" }, redirect: "manual", signal: AbortSignal.timeout(LOAD_WITHIN_MS) };
      const answer = await fetch(page.dataset.page, options);
      // A page of this board leads elsewhere only to log in: here, or at a proxy.
      if (answer.type === "opaqueredirect" || answer.status === 401) return location.assign(page.dataset.page);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!fresh.body.dataset.now) throw new Error("not a page of the board");
      ahead = Date.parse(fresh.body.dataset.now) - Date.now();
      page.dataset.live = fresh.body.dataset.live; // names the version shown, for the next stream
      document.title = fresh.title;
      for (const part of fresh.querySelectorAll("[data-part]")) {
        const shown = document.getElementById(part.id);
        if (shown && !isInUse(shown) && shown.innerHTML !== part.innerHTML) replace(shown, part);
      }
      freshAt = Date.now();
      failed = false;
    } catch {
      failed = true; // it is tried again, and the page says how old it is
    } finally {
      loading = false;
      tick();
    }
  }

  function tick() {
    const age = Date.now() - freshAt;
    const isStale = page.dataset.live && !document.hidden && (age > OLD_AFTER_MS || (failed && age > LOST_AFTER_MS));
    if (stale && stale.hidden === Boolean(isStale)) {
      stale.hidden = !isStale;
      const since = new Date(freshAt + ahead).toISOString().slice(0, 19).replace("T", " ");
      stale.textContent = isStale ? `Not up to date since ${since} UTC: the server does not answer. Trying again.` : "";
    }
    if (!isStale) count(); // times that run would look as if somebody had looked
  }

  let stream = null;
  let heardAt = 0;
  let tries = 0;
  let timer = null;

  // The stream is opened again by us: the browser gives up for ever when a proxy answers for a server that restarts.
  function follow() {
    disconnect();
    stream = new EventSource(page.dataset.live);
    heardAt = Date.now();
    stream.addEventListener("open", () => {
      heardAt = Date.now();
      tries = 0;
    });
    stream.addEventListener("changed", () => {
      heardAt = Date.now();
      load();
    });
    stream.addEventListener("over", () => location.assign(page.dataset.page));
    stream.addEventListener("error", followLater);
  }

  function disconnect() {
    stream?.close();
    clearTimeout(timer);
    stream = timer = null;
  }

  function followLater() {
    disconnect();
    const wait = Math.min(RETRY_MS * ++tries, RETRY_MOST_MS) * (0.75 + Math.random() / 2); // not all pages at once
    timer = setTimeout(async () => {
      await load(); // finds out whether a login is needed, and keeps a page up to date that gets no stream
      if (!document.hidden) follow();
    }, wait);
  }

  if (page.dataset.now) setInterval(tick, 1000);
  if (page.dataset.live && window.EventSource) {
    if (!document.hidden) follow();
    setInterval(() => stream && Date.now() - heardAt > SILENT_AFTER_MS && followLater(), 5000);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return disconnect();
      tries = 0;
      load();
      follow();
    });
  }
})();
