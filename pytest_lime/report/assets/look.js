// Under the pointer: pixels of the image file and the superpixel's weight. Dragging draws a box for a claim.
"use strict";

(() => {
  const frame = JSON.parse(document.getElementById("frame").textContent);
  const picture = document.getElementById("labels");
  const [boxX, boxY, boxWidth, boxHeight] = frame.box;
  const [columns, rows] = frame.grid;
  const [fileHeight, fileWidth] = frame.file;
  let labels = null;

  const read = () => {
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const data = context.getImageData(0, 0, columns, rows).data;
    labels = new Uint16Array(columns * rows);
    for (let i = 0; i < labels.length; i += 1) labels[i] = 256 * data[4 * i + 1] + data[4 * i + 2];
  };
  if (picture.complete) read();
  else picture.addEventListener("load", read);

  const clamp = (value, most) => Math.min(Math.max(value, 0), most);
  const short = (value) => (Math.abs(value) >= 0.001 || value === 0 ? value.toPrecision(3) : value.toExponential(2));

  for (const stage of document.querySelectorAll(".stage")) {
    const weights = JSON.parse(stage.dataset.weights);
    const drawn = stage.querySelector(".drawn");
    const told = stage.closest("figure").querySelector(".pointer");
    let start = null;
    let kept = "";

    const place = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(stage.getScreenCTM().inverse());
      return [clamp(point.x, fileWidth), clamp(point.y, fileHeight)];
    };

    const under = (x, y) => {
      const column = Math.floor(((x - boxX) / boxWidth) * columns);
      const row = Math.floor(((y - boxY) / boxHeight) * rows);
      if (!labels || column < 0 || row < 0 || column >= columns || row >= rows) return null;
      return labels[row * columns + column];
    };

    // The share of the positive weight that lies in the box, as the claim `mass` reckons it before any split.
    const mass = (x0, y0, x1, y1) => {
      const inside = {};
      const all = {};
      for (let row = 0; row < rows; row += 1) {
        const y = boxY + ((row + 0.5) / rows) * boxHeight;
        for (let column = 0; column < columns; column += 1) {
          const x = boxX + ((column + 0.5) / columns) * boxWidth;
          const label = labels[row * columns + column];
          all[label] = (all[label] || 0) + 1;
          if (x >= x0 && x < x1 && y >= y0 && y < y1) inside[label] = (inside[label] || 0) + 1;
        }
      }
      let part = 0;
      let total = 0;
      for (const [label, weight] of Object.entries(weights)) {
        if (weight <= 0) continue;
        total += weight;
        part += (weight * (inside[label] || 0)) / all[label];
      }
      return total > 0 ? part / total : 0;
    };

    const tell = (x, y) => {
      const label = under(x, y);
      const lines = [`x ${Math.floor(x)}, y ${Math.floor(y)}`];
      if (label !== null) lines[0] += ` · superpixel ${label}, weight ${short(weights[label])}`;
      told.textContent = lines[0];
      if (kept) {
        const code = Object.assign(document.createElement("code"), { textContent: kept.text });
        told.append(document.createElement("br"), code, kept.words);
      } else {
        const hint = Object.assign(document.createElement("span"), { className: "quiet", textContent: "Drag to draw a box for a claim." });
        told.append(document.createElement("br"), hint);
      }
    };

    stage.addEventListener("pointerdown", (event) => {
      start = place(event);
      stage.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    stage.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      if (start) {
        const [x0, x1] = [start[0], x].sort((a, b) => a - b).map(Math.round);
        const [y0, y1] = [start[1], y].sort((a, b) => a - b).map(Math.round);
        drawn.setAttribute("x", x0);
        drawn.setAttribute("y", y0);
        drawn.setAttribute("width", x1 - x0);
        drawn.setAttribute("height", y1 - y0);
        const share = frame.signed && labels ? `, ${short(mass(x0, y0, x1, y1))} of the weight for the class` : "";
        kept = x1 > x0 && y1 > y0 ? { text: `Box(${x0}, ${y0}, ${x1}, ${y1})`, words: share } : "";
      }
      tell(x, y);
    });
    stage.addEventListener("pointerup", () => {
      start = null;
    });
  }
})();
