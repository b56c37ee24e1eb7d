// What the page does with JavaScript beyond what it does without: completions, keys, copying. All else is links and forms.
"use strict";

const search = document.querySelector("#search");

// Completions while one types, as a combobox of the ARIA practices.
function suggestions(input) {
  const list = document.createElement("ul");
  list.className = "suggestions";
  list.id = "suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.labels[0]?.textContent ?? "");
  list.hidden = true;
  input.after(list);
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");
  let chosen = -1;
  let timer;
  let request;

  const close = () => {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (index) => {
    const options = [...list.children];
    chosen = options.length ? (index + options.length) % options.length : -1;
    options.forEach((option, at) => option.setAttribute("aria-selected", String(at === chosen)));
    const option = options[chosen];
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }
  };
  const show = (found) => {
    list.replaceChildren(...found.map((one, at) => {
      const option = document.createElement("li");
      option.id = `suggestion-${at}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.href = one.href;
      const text = document.createElement("bdi");
      text.textContent = one.text;
      const kind = document.createElement("span");
      kind.className = "kind";
      kind.textContent = one.kind;
      option.append(text, kind);
      // Before the focus leaves the field.
      option.addEventListener("mousedown", (event) => {
        event.preventDefault();
        location.assign(one.href);
      });
      return option;
    }));
    chosen = -1;
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
  };
  const ask = async () => {
    request?.abort();
    const prefix = input.value.trim();
    if (prefix.length < 2) return close();
    request = new AbortController();
    try {
      const address = `${input.dataset.suggest}?prefix=${encodeURIComponent(prefix)}`;
      const response = await fetch(address, { signal: request.signal, headers: { accept: "application/json" } });
      if (response.ok && document.activeElement === input) show(await response.json());
    } catch {
      close();
    }
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 120);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen < 0 ? -1 : chosen - 1);
    else if (event.key === "Escape") close();
    else if (event.key === "Enter" && chosen >= 0) location.assign(list.children[chosen].dataset.href);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

if (search?.dataset.suggest) suggestions(search);

// `/` leads to the search box; arrows lead from it through the rows, where Enter follows the link.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const active = document.activeElement;
  const writes = active?.matches("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !writes && search) {
    event.preventDefault();
    search.focus();
    search.select();
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!step || rows.length === 0) return;
  const at = rows.indexOf(active);
  if (at < 0 && !(active === search && step > 0)) return;
  event.preventDefault();
  if (at === 0 && step < 0) search?.focus();
  else rows[Math.min(at + step, rows.length - 1)].focus();
});

// Empty fields stay out of the address.
document.querySelector("form[data-search]")?.addEventListener("submit", (event) => {
  for (const field of event.target.elements) if (field.name && field.value === "") field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-search] :disabled")) field.disabled = false;
});

// A calendar that is wider than the screen begins with the present.
for (const calendar of document.querySelectorAll(".calendar")) {
  calendar.scrollLeft = (calendar.scrollWidth * (new Date().getMonth() + 1)) / 12 - calendar.clientWidth;
}

// Copying is offered where the browser allows it: over HTTPS and on this machine.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = button.dataset.copy || button.closest("figure").querySelector("code").textContent;
    await navigator.clipboard.writeText(text);
    const label = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}
