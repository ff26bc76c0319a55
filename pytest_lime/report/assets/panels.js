// The slider that wipes between the heatmap of a baseline and that of now. Without it both stand side by side.
"use strict";

for (const wipe of document.querySelectorAll(".wipe")) {
  const stage = wipe.querySelector(".wipe-stage");
  const range = wipe.querySelector(".wipe-range");

  const show = () => {
    stage.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % the baseline, the rest now`);
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
  show();
  wipe.hidden = false;
}
