// Sections that follow the archive: the page is fetched again when something has changed, and what differs is replaced.
"use strict";

const root = document.querySelector("[data-live-source]");
const state = document.querySelector("#live-state");

// Countdowns go on by themselves.
function tick() {
  for (const time of document.querySelectorAll("[data-countdown]")) {
    const left = Math.max(0, Math.floor((Date.parse(time.dateTime) - Date.now()) / 1000));
    const two = (number) => String(number).padStart(2, "0");
    time.textContent = `${Math.floor(left / 3600)}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}`;
    time.toggleAttribute("data-soon", left < 7200);
  }
}

// A section that somebody is using stays as it is until later.
function isBusy(section) {
  const active = document.activeElement;
  return section.contains(active) && active.matches("input, textarea, select, button");
}

// Bars move instead of jumping, so they are kept where only their numbers differ.
function replace(section, fresh) {
  const old = [...section.querySelectorAll("details")].map((details) => details.open);
  fresh.querySelectorAll("details").forEach((details, at) => { details.open = old[at] ?? false; });
  const scrolled = [...section.querySelectorAll(".scroll")].map((area) => area.scrollLeft);
  section.replaceChildren(...fresh.childNodes);
  section.querySelectorAll(".scroll").forEach((area, at) => { area.scrollLeft = scrolled[at] ?? 0; });
}

let known = new Map();
let running = false;
let again = false;

async function refresh() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  try {
    const response = await fetch(root.dataset.livePage ?? location.href, { headers: { accept: "text/html" } });
    if (response.status === 401 || response.status === 403) location.reload();
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const fresh of page.querySelectorAll("[data-live][id]")) {
      const section = document.getElementById(fresh.id);
      const text = fresh.innerHTML;
      if (!section || known.get(fresh.id) === text || isBusy(section)) continue;
      known.set(fresh.id, text);
      replace(section, fresh);
    }
    tick();
  } catch {
    // The stream says when the service is back.
  } finally {
    running = false;
    if (again) {
      again = false;
      setTimeout(refresh, 500);
    }
  }
}

if (root && "EventSource" in window) {
  const source = new EventSource(root.dataset.liveSource);
  const say = (text) => { if (state && state.textContent !== text) state.textContent = text; };
  source.addEventListener("open", () => {
    say(state?.dataset.on ?? "");
    state?.setAttribute("data-connected", "");
  });
  source.addEventListener("error", () => {
    say(state?.dataset.off ?? "");
    state?.removeAttribute("data-connected");
  });
  source.addEventListener("change", refresh);
  // The end of a session.
  source.addEventListener("end", () => {
    source.close();
    location.reload();
  });
  addEventListener("pagehide", () => source.close());
  setInterval(tick, 1000);
}
