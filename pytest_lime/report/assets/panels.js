// A slider that wipes between the heatmap of a baseline and that of now, and links to what is folded. Without it both
// heatmaps stand side by side.
"use strict";

for (const both of document.querySelectorAll(".before-now")) {
  const [before, now] = both.querySelectorAll(".stack");
  if (!now) continue;

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  // The photograph and the outline of the region are the same on both sides: one of each lies under and over the wipe.
  const layers = (stack, className) =>
    make("div", { className }, ...[...stack.querySelectorAll(".layer:not(.always)")].map((one) => one.cloneNode()));
  const line = make("span", { className: "wipe-line" });
  // Either name stands on its own side, as long as there is room for it.
  const names = ["before", "now"].map((side) => make("span", { className: `wipe-name wipe-name-${side}`, textContent: side === "now" ? "Now" : "Before" }));
  const stage = make(
    "div",
    { className: "stack wipe-stage" },
    before.querySelector(".photo").cloneNode(true),
    layers(before, "layer wipe-before"),
    layers(now, "layer wipe-now"),
    ...[...now.querySelectorAll(".always")].map((one) => one.cloneNode()),
    line,
    ...names,
  );
  const range = make("input", { type: "range", className: "wipe-range", min: 0, max: 100, value: 50 });
  range.setAttribute("aria-label", "How much of the picture shows the baseline");

  const show = () => {
    stage.style.setProperty("--at", `${range.value}%`);
    names[0].hidden = range.value < 20;
    names[1].hidden = range.value > 80;
    range.setAttribute("aria-valuetext", `${range.value} % before, ${100 - range.value} % now`);
  };
  const follow = (event) => {
    const { left, width } = stage.getBoundingClientRect();
    range.value = String(Math.round((100 * (event.clientX - left)) / width));
    show();
  };
  range.addEventListener("input", show);
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    follow(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });

  both.append(make("figure", { className: "picture wipe" }, stage, make("figcaption", {}, range)));
  show();
}

// What a link leads to unfolds; a link may be followed again after it was folded.
const unfold = (address) => {
  const details = document.getElementById(address.slice(1))?.closest(".gallery, .method details");
  if (details) details.open = true;
};
for (const link of document.querySelectorAll('a[href^="#page--"]')) {
  link.addEventListener("click", () => unfold(link.getAttribute("href")));
}
window.addEventListener("hashchange", () => unfold(location.hash));
unfold(location.hash);
