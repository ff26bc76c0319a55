// Search, filters kept in the address, and a button that copies a command. The page is complete without them.
"use strict";

(() => {
  const overview = document.querySelector(".overview");
  if (!overview) return;

  const rows = [...overview.querySelectorAll("tbody tr")].map((row) => ({
    row,
    card: document.getElementById(row.dataset.card),
    mood: row.dataset.mood,
    text: row.textContent.toLowerCase(),
  }));
  const address = new URLSearchParams(location.search);

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const search = make("input", {
    type: "search",
    placeholder: "Find a test, image or target",
    value: address.get("q") || "",
  });
  search.setAttribute("aria-label", "Find a test, image or target");
  const verdict = make("select", {}, make("option", { value: "", textContent: "All verdicts" }));
  verdict.setAttribute("aria-label", "Verdict");
  for (const mood of new Set(rows.map((entry) => entry.mood))) {
    const entry = rows.find((candidate) => candidate.mood === mood);
    verdict.append(make("option", { value: mood, textContent: entry.row.querySelector(".badge").textContent.trim() }));
  }
  verdict.value = address.get("verdict") || "";
  if (verdict.selectedIndex < 0) verdict.value = "";
  const count = make("output", { className: "quiet" });

  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const entry of rows) {
      const fits =
        (!verdict.value || entry.mood === verdict.value) && words.every((word) => entry.text.includes(word));
      entry.row.hidden = !fits;
      if (entry.card) entry.card.hidden = !fits;
      shown += fits;
    }
    const narrowed = words.length > 0 || verdict.value !== "";
    count.textContent = narrowed ? `${shown} of ${rows.length}` : "";
    const query = new URLSearchParams();
    if (search.value) query.set("q", search.value);
    if (verdict.value) query.set("verdict", verdict.value);
    const text = query.toString();
    try {
      history.replaceState(null, "", (text ? `?${text}` : location.pathname) + location.hash);
    } catch {
      // Some browsers keep the address of a local file as it is: the filter still works.
    }
  };

  // A link to a card that the filter hides would lead nowhere.
  const reveal = () => {
    const card = document.getElementById(location.hash.slice(1));
    if (!card || !card.hidden) return;
    search.value = "";
    verdict.value = "";
    apply();
    card.scrollIntoView();
  };

  if (rows.length > 1) {
    overview.querySelector("h2").after(make("div", { className: "filters" }, search, verdict, count));
    search.addEventListener("input", apply);
    verdict.addEventListener("change", apply);
    window.addEventListener("hashchange", reveal);
    if (search.value || verdict.value) apply();
    reveal();
  }

  if (navigator.clipboard && window.isSecureContext) {
    for (const command of document.querySelectorAll("pre.command")) {
      const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(command.textContent);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Press Ctrl+C";
          getSelection().selectAllChildren(command);
        }
      });
      command.after(button);
    }
  }
})();
