// What lies under the pointer: a superpixel's figures, its outline, and its row in the chart; and the heatmap's opacity.
"use strict";

(() => {
  const STORED = "pytest-lime-heatmap";

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // One opacity for all heatmaps, kept for the next visit where the browser allows it.
  let opacity = 100;
  const fade = (percent, store = true) => {
    opacity = Math.min(100, Math.max(0, Number(percent) || 0));
    document.documentElement.style.setProperty("--heat", String(opacity / 100));
    for (const slider of document.querySelectorAll(".opacity input")) slider.value = String(opacity);
    try {
      if (store) localStorage.setItem(STORED, String(opacity));
    } catch {
      // A page that may store nothing starts anew each time.
    }
  };
  try {
    const stored = localStorage.getItem(STORED);
    if (stored !== null) fade(stored, false);
  } catch {
    // As above.
  }

  const decode = ({ shape: [height, width], runs }) => {
    const labels = new Int32Array(height * width).fill(-1);
    let place = 0;
    for (const run of runs.split(" ")) {
      const [label, length] = run.split(":").map(Number);
      labels.fill(label, place, place + length);
      place += length;
    }
    return { height, width, labels };
  };

  // The border of one superpixel as straight runs along the grid.
  const outline = ({ height, width, labels }, label) => {
    const at = (y, x) => y >= 0 && x >= 0 && y < height && x < width && labels[y * width + x] === label;
    let path = "";
    for (let y = 0; y <= height; y += 1) {
      for (let x = 0, start = -1; x <= width; x += 1) {
        const edge = x < width && at(y, x) !== at(y - 1, x);
        if (edge && start < 0) start = x;
        if (!edge && start >= 0) {
          path += `M${start} ${y}h${x - start}`;
          start = -1;
        }
      }
    }
    for (let x = 0; x <= width; x += 1) {
      for (let y = 0, start = -1; y <= height; y += 1) {
        const edge = y < height && at(y, x) !== at(y, x - 1);
        if (edge && start < 0) start = y;
        if (!edge && start >= 0) {
          path += `M${x} ${start}v${y - start}`;
          start = -1;
        }
      }
    }
    return path;
  };

  const drawn = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  // Lines over every superpixel whose interval holds 0, with a switch beside those of the other layers.
  const hatch = (card, stack, { height, width, labels }, unsure) => {
    let path = "";
    for (let y = 0; y < height; y += 1) {
      for (let x = 0, start = -1; x <= width; x += 1) {
        const inside = x < width && unsure.has(labels[y * width + x]);
        if (inside && start < 0) start = x;
        if (!inside && start >= 0) {
          path += `M${start} ${y}h${x - start}v1h${start - x}z`;
          start = -1;
        }
      }
    }
    const id = `${card.id}--hatch`;
    const size = width / 40;
    const pattern = drawn(
      "pattern",
      { id, width: size, height: size, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      drawn("rect", { class: "hatch-under", width: size * 0.34, height: size }),
      drawn("rect", { class: "hatch-over", width: size * 0.17, height: size }),
    );
    const frame = { class: "layer layer-unsure", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const layer = drawn("svg", frame, drawn("defs", {}, pattern), drawn("path", { d: path, fill: `url(#${id})` }));
    stack.querySelector(".layer-heatmap")?.after(layer);
    const box = make("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => (layer.style.visibility = box.checked ? "" : "hidden"));
    const told = make("label", { title: "Superpixels whose interval holds 0" }, box, "May be 0 (hatched)");
    card.querySelector(".toggles")?.append(told);
  };

  const connect = (card, map) => {
    const stack = card.querySelector(".layers .stack");
    const chart = card.querySelector(".weights");
    if (!stack || !chart || !map) return;
    const grid = decode(map);
    const bars = [...chart.querySelectorAll(".weight-rows li[data-superpixel]")];
    const figures = new Map();
    for (const row of chart.querySelectorAll("tbody tr[data-superpixel]")) {
      const [rank, superpixel, weight, interval, place] = [...row.cells].map((cell) => cell.textContent.trim());
      const ranked = /\d/.test(rank) ? `, rank ${rank}` : "";
      const bar = bars.find((candidate) => candidate.dataset.superpixel === row.dataset.superpixel);
      const words = `Superpixel ${superpixel}${ranked}: weight ${weight}, interval ${interval}${place ? `, ${place}` : ""}`;
      figures.set(Number(superpixel), { words, row, bar });
    }
    const order = [...figures.keys()];

    const unsure = new Set([...figures].filter(([, { row }]) => row.classList.contains("unsure")).map(([label]) => label));
    if (unsure.size) hatch(card, stack, grid, unsure);

    const under = drawn("path", { class: "outline-under", "vector-effect": "non-scaling-stroke" });
    const over = drawn("path", { class: "outline-over", "vector-effect": "non-scaling-stroke" });
    const frame = { class: "layer outline", viewBox: `0 0 ${grid.width} ${grid.height}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    stack.append(drawn("svg", frame, under, over));
    const touch = matchMedia("(hover: none)").matches;
    const hint = touch ? "Tap a superpixel." : "Point at a superpixel, or focus the picture and press the arrow keys.";
    const reading = make("p", { className: "reading", textContent: hint });
    reading.setAttribute("aria-live", "polite");
    stack.after(reading);
    stack.tabIndex = 0;
    stack.setAttribute("role", "application");
    stack.setAttribute("aria-label", "Superpixels, the strongest first: walk them with the arrow keys");

    let shown = null;
    let held = null;
    const show = (label) => {
      const next = figures.has(label) ? label : null;
      if (next === shown) return;
      for (const element of [figures.get(shown)?.row, figures.get(shown)?.bar]) element?.classList.remove("lit");
      shown = next;
      for (const element of [figures.get(shown)?.row, figures.get(shown)?.bar]) element?.classList.add("lit");
      const path = shown === null ? "" : outline(grid, shown);
      under.setAttribute("d", path);
      over.setAttribute("d", path);
      reading.textContent = shown === null ? hint : figures.get(shown).words;
    };
    const hold = (label) => show((held = label));

    const point = (event) => {
      const box = stack.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * grid.width);
      const y = Math.floor(((event.clientY - box.top) / box.height) * grid.height);
      const inside = x >= 0 && y >= 0 && x < grid.width && y < grid.height;
      show(inside ? grid.labels[y * grid.width + x] : held);
    };
    stack.addEventListener("pointermove", point);
    stack.addEventListener("pointerdown", point);
    stack.addEventListener("pointerleave", () => show(held));
    stack.addEventListener("focus", () => {
      // A click has already chosen; whoever comes by the keyboard begins with the strongest.
      if (stack.matches(":focus-visible")) hold(shown ?? order[0]);
    });
    stack.addEventListener("blur", () => hold(null));
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    const walk = (event, list, current) => {
      const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
      if (!plain || !Object.hasOwn(steps, event.key)) return null;
      event.preventDefault();
      return list[Math.min(list.length - 1, Math.max(0, list.indexOf(current) + steps[event.key]))];
    };
    stack.addEventListener("keydown", (event) => {
      const label = walk(event, order, shown);
      if (label !== null) hold(label);
    });

    const superpixel = (event) => Number(event.target.closest("[data-superpixel]")?.dataset.superpixel ?? NaN);
    chart.addEventListener("pointerover", (event) => show(superpixel(event)));
    chart.addEventListener("pointerleave", () => show(held));
    chart.addEventListener("focusin", (event) => hold(superpixel(event)));
    chart.addEventListener("focusout", () => hold(null));
    // The chart is one stop of the Tab key, too.
    bars.forEach((bar, place) => (bar.tabIndex = place ? -1 : 0));
    chart.addEventListener("keydown", (event) => {
      const bar = event.target.closest(".weight-rows li");
      const next = bar && walk(event, bars, bar);
      if (!next) return;
      bar.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  };

  const wake = (card) => {
    // With scripts the browser has taken what is in here as text.
    for (const folded of card.querySelectorAll("noscript")) folded.outerHTML = folded.textContent;
    card.dispatchEvent(new CustomEvent("lime-near", { bubbles: true }));
    const layers = card.querySelector(".layers");
    if (layers?.querySelector(".layer-heatmap")) {
      const slider = make("input", { type: "range", min: "0", max: "100", step: "5", value: String(opacity) });
      slider.addEventListener("input", () => fade(slider.value));
      layers.append(make("label", { className: "opacity" }, make("span", { textContent: "Opacity of the heatmap" }), slider));
    }
    const inside = card.querySelector("script.map");
    if (inside) {
      connect(card, JSON.parse(inside.textContent));
    } else if (card.dataset.map) {
      // A page that was opened as a file may not fetch, and may not read the pixels of its pictures.
      const script = make("script", { src: card.dataset.map });
      script.addEventListener("load", () => connect(card, window.limeMaps?.[card.id]));
      document.head.append(script);
    }
  };

  const cards = document.querySelectorAll(".card");
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        wake(target);
      }
    },
    { rootMargin: "500px 0px" },
  );
  for (const card of cards) observer.observe(card);
})();
