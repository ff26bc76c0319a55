// Search and filters kept in the address, keys, and buttons that copy. The page is complete without them.
"use strict";

(() => {
  const overview = document.querySelector(".overview");
  if (!overview) return;

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const short = (text) => (text.length > 70 ? `${text.slice(0, 69)}…` : text);

  const cards = [...document.querySelectorAll(".card")];
  const rows = [...overview.querySelectorAll("tr[data-card]")].map((row) => ({
    row,
    card: document.getElementById(row.dataset.card),
    set: row.closest("tr.set"),
    verdict: [row.dataset.mood],
    claim: [...row.querySelectorAll(".found .name")].map((name) => name.textContent),
    target: [row.querySelector(".target").textContent.trim()],
    file: row.dataset.file ? [row.dataset.file] : [],
    mark: JSON.parse(row.dataset.marks),
    text: `${row.textContent} ${row.dataset.reason || ""}`.toLowerCase(),
  }));
  const sets = [...overview.querySelectorAll("tr.set")].map((row) => ({
    row,
    details: row.querySelector("details"),
    opened: false,
  }));

  // The fields of the filter: verdicts are switched, of each other field one value is chosen.
  const verdicts = new Set();
  const selects = {};
  const search = make("input", { type: "search", id: "search", placeholder: "Search tests, images, claims …" });
  search.setAttribute("aria-label", "Search tests, images, targets, claims and reasons");
  const count = make("output", { className: "count" });
  const clearing = make("button", { type: "button", className: "clear", textContent: "Clear", hidden: true });
  const none = make("p", { className: "none", textContent: "No check fits these filters.", hidden: true });

  const values = (field) => {
    const counts = new Map();
    for (const entry of rows) for (const value of new Set(entry[field])) counts.set(value, (counts.get(value) || 0) + 1);
    return [...counts].sort(([first], [second]) => first.localeCompare(second));
  };
  for (const [field, all] of [["claim", "All claims"], ["target", "All targets"], ["file", "All files"], ["mark", "All marks"]]) {
    const found = values(field);
    // Of a single value there is nothing to choose, unless some checks are without it.
    if (!found.length || (found.length === 1 && found[0][1] === rows.length)) continue;
    const select = make("select", {}, make("option", { value: "", textContent: all }));
    select.setAttribute("aria-label", field[0].toUpperCase() + field.slice(1));
    for (const [value, many] of found) {
      select.append(make("option", { value, dir: "auto", textContent: `${short(value)} (${many})` }));
    }
    selects[field] = select;
  }

  const address = () => {
    const query = new URLSearchParams();
    if (search.value) query.set("q", search.value);
    if (verdicts.size) query.set("verdict", [...verdicts].join(","));
    for (const [field, select] of Object.entries(selects)) if (select.value) query.set(field, select.value);
    return query.toString();
  };
  const remember = (hash = location.hash) => {
    const query = address();
    try {
      history.replaceState(null, "", (query ? `?${query}` : location.pathname) + hash);
    } catch {
      // Some browsers keep the address of a local file as it is: the filter still works.
    }
  };
  const recall = () => {
    const query = new URLSearchParams(location.search);
    search.value = query.get("q") || "";
    for (const mood of (query.get("verdict") || "").split(",")) if (chips.has(mood)) verdicts.add(mood);
    for (const [field, select] of Object.entries(selects)) {
      select.value = query.get(field) || "";
      if (select.selectedIndex < 0) select.value = "";
    }
  };

  const galleries = [...document.querySelectorAll(".gallery")];
  const hide = (element, hidden) => {
    if (element && element.hidden !== hidden) element.hidden = hidden;
  };
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = Object.entries(selects).filter(([, select]) => select.value);
    const narrowed = words.length > 0 || verdicts.size > 0 || chosen.length > 0;
    const alive = new Set();
    let shown = 0;
    for (const entry of rows) {
      const fits =
        (!verdicts.size || verdicts.has(entry.verdict[0])) &&
        chosen.every(([field, select]) => entry[field].includes(select.value)) &&
        words.every((word) => entry.text.includes(word));
      hide(entry.row, !fits);
      hide(entry.card, !fits);
      if (fits) {
        shown += 1;
        if (entry.set) alive.add(entry.set);
      }
    }
    for (const set of sets) {
      hide(set.row, !alive.has(set.row));
      // What was found is shown, and folded away again when nothing is searched for.
      if (narrowed && alive.has(set.row) && !set.details.open) set.details.open = set.opened = true;
      if (!narrowed && set.opened) set.details.open = set.opened = false;
    }
    const standing = new Set(rows.filter(({ card }) => card && !card.hidden).map(({ card }) => `#${card.id}`));
    for (const gallery of galleries) {
      const members = [...gallery.querySelectorAll(".member")];
      hide(gallery, narrowed && !members.some((member) => standing.has(member.getAttribute("href"))));
    }
    hide(document.querySelector(".galleries"), galleries.every((gallery) => gallery.hidden));
    for (const [mood, chip] of chips) chip.setAttribute("aria-pressed", String(verdicts.has(mood)));
    count.textContent = narrowed ? `${shown} of ${rows.length}` : "";
    hide(clearing, !narrowed);
    hide(none, shown > 0);
    remember();
  };
  const clear = () => {
    search.value = "";
    verdicts.clear();
    for (const select of Object.values(selects)) select.value = "";
    apply();
  };

  // Without scripts a chip leads to the first check of its verdict; with them it is a switch.
  const chips = new Map();
  for (const link of document.querySelectorAll(".chips a")) {
    const chip = make("button", { type: "button", className: link.className }, ...link.childNodes);
    const mood = link.dataset.verdict;
    chip.addEventListener("click", () => {
      if (!verdicts.delete(mood)) verdicts.add(mood);
      apply();
    });
    chips.set(mood, chip);
    link.replaceWith(chip);
  }

  // A link to a card that the filter hides would lead nowhere.
  const reveal = () => {
    const card = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!card || !card.hidden) return;
    clear();
    card.scrollIntoView();
  };

  const dialog = make("dialog", { className: "keys" });
  const keys = make("button", { type: "button", className: "hint" }, "Keys ", make("kbd", { textContent: "?" }));
  const close = make("button", { type: "button", textContent: "Close" });
  const list = make("dl", {});
  for (const [names, words] of [
    [["/"], "search"],
    [["j", "n"], "next check"],
    [["k", "p"], "previous check"],
    [["←", "→"], "in a picture: superpixels by strength"],
    [["Esc"], "clear search and filters"],
    [["?"], "these keys"],
  ]) {
    const term = make("dt", {});
    names.forEach((name, place) => term.append(place ? " " : "", make("kbd", { textContent: name })));
    list.append(make("div", {}, term, make("dd", { textContent: words })));
  }
  dialog.setAttribute("aria-label", "Keys");
  dialog.append(make("h2", { textContent: "Keys" }), list, close);
  close.addEventListener("click", () => dialog.close());
  keys.addEventListener("click", () => dialog.showModal());

  const go = (step) => {
    const shown = cards.filter((card) => !card.hidden);
    const inView = (card) => {
      const { top, bottom } = card.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    };
    const focused = document.activeElement?.closest(".card");
    let place = focused && inView(focused) ? shown.indexOf(focused) : -1;
    if (place < 0) place = shown.findLastIndex((card) => card.getBoundingClientRect().top < 24);
    const next = shown[place < 0 ? (step > 0 ? 0 : -1) : place + step];
    if (!next) return;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start", behavior: "instant" });
    remember(`#${next.id}`);
  };
  const actions = {
    "/": () => {
      search.focus();
      search.select();
    },
    j: () => go(1),
    n: () => go(1),
    k: () => go(-1),
    p: () => go(-1),
    "?": () => dialog.showModal(),
    Escape: clear,
  };

  const bar = make("div", { className: "filters" }, search, ...Object.values(selects), clearing, count, keys);
  bar.setAttribute("role", "search");
  overview.querySelector("h2").after(bar);
  overview.append(none);
  document.body.append(dialog);
  recall();
  search.addEventListener("input", apply);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    // Out of an empty box, so that the other keys are keys again.
    if (!search.value) search.blur();
    search.value = "";
    apply();
  });
  clearing.addEventListener("click", () => {
    clear();
    search.focus();
  });
  for (const select of Object.values(selects)) select.addEventListener("change", apply);
  window.addEventListener("hashchange", reveal);
  // A switch or a slider takes none of these keys.
  const typing = "input:not([type=checkbox], [type=range]), select, textarea, [contenteditable]";
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open) return;
    if (event.target.closest(typing) || !Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key]();
  });
  if (address()) apply();
  reveal();

  // A browser that does not let a page write to the clipboard shows the text, selected.
  const copy = async (text, button) => {
    const words = button.textContent;
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      for (let around = text.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
      getSelection().selectAllChildren(text);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => (button.textContent = words), 4000);
  };
  // The other script tells of each card that comes near the view: a thousand cards need no buttons yet.
  document.addEventListener("lime-near", ({ target }) => {
    const more = target.querySelector(":scope > .more");
    const buttons = make("div", { className: "copies" });
    for (const [kind, words] of [["command", "Copy the command that runs this check again"], ["issue-text", "Copy for an issue"]]) {
      const text = more.querySelector(`pre.${kind}`);
      if (!text) continue;
      const button = make("button", { type: "button", className: "copy", textContent: words });
      button.addEventListener("click", () => copy(text, button));
      buttons.append(button);
    }
    if (buttons.children.length) more.prepend(buttons);
  });
})();
