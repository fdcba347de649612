// The image browser: outlines of true and predicted cells on a canvas that zooms.
"use strict";
(() => {
  const root = document.getElementById("browser");
  const data = JSON.parse(document.getElementById("browser-data").textContent);
  if (!root || !data.images.length) return;

  const find = (selector) => root.querySelector(selector);
  const canvas = find("canvas");
  const pen = canvas.getContext("2d");
  const MAX_ZOOM = 24; // screen pixels for each image pixel
  const state = { image: 0, view: "difference", scale: 1, x: 0, y: 0, fitted: true };

  // ---- cells -----------------------------------------------------------------------------------

  // COCO's compressed run lengths: column-major, background first.
  function decode(counts, height) {
    const runs = [];
    for (let at = 0; at < counts.length; ) {
      let value = 0, shift = 0, more = true;
      while (more) {
        const bits = counts.charCodeAt(at++) - 48;
        value |= (bits & 31) << shift;
        shift += 5;
        more = (bits & 32) !== 0;
        if (!more && bits & 16) value |= -1 << shift;
      }
      if (runs.length > 2) value += runs[runs.length - 2];
      runs.push(value);
    }
    const strips = []; // [column, first row, end row]
    let position = 0;
    runs.forEach((length, i) => {
      let end = position + length;
      while (i % 2 && position < end) {
        const column = Math.floor(position / height);
        const stop = Math.min(end, (column + 1) * height);
        strips.push([column, position - column * height, stop - column * height]);
        position = stop;
      }
      position = end;
    });
    return strips;
  }

  function makeCell(counts, height, facts) {
    const strips = decode(counts, height);
    let x1 = Infinity, y1 = Infinity, x2 = 0, y2 = 0;
    for (const [column, first, end] of strips) {
      x1 = Math.min(x1, column); x2 = Math.max(x2, column + 1);
      y1 = Math.min(y1, first); y2 = Math.max(y2, end);
    }
    const w = Math.max(0, x2 - x1), h = Math.max(0, y2 - y1);
    const bits = new Uint8Array(w * h);
    for (const [column, first, end] of strips)
      for (let row = first; row < end; row++) bits[(row - y1) * w + column - x1] = 1;
    const inside = (column, row) =>
      column >= 0 && row >= 0 && column < w && row < h && bits[row * w + column] === 1;
    return { ...facts, x: x1, y: y1, w, h, inside };
  }

  // The borders between pixels in and out of the cell, merged to straight lines.
  function trace(path, { x, y, w, h, inside }) {
    for (let row = 0; row <= h; row++)
      for (let column = 0; column < w; ) {
        const edge = () => column < w && inside(column, row - 1) !== inside(column, row);
        if (!edge()) { column++; continue; }
        path.moveTo(x + column, y + row);
        while (edge()) column++;
        path.lineTo(x + column, y + row);
      }
    for (let column = 0; column <= w; column++)
      for (let row = 0; row < h; ) {
        const edge = () => row < h && inside(column - 1, row) !== inside(column, row);
        if (!edge()) { row++; continue; }
        path.moveTo(x + column, y + row);
        while (edge()) row++;
        path.lineTo(x + column, y + row);
      }
  }

  // Cells are decoded when their image is first shown.
  function prepare(image) {
    if (image.ready) return;
    image.picture = new Image();
    image.picture.onload = draw;
    image.picture.src = image.source;
    image.cells = {
      truth: image.truth.map(([type, kind, counts]) =>
        makeCell(counts, image.height, { type, kind })),
      prediction: image.predictions.map(([type, kind, counts, score, iou]) =>
        makeCell(counts, image.height, { type, kind, score, iou })),
    };
    image.paths = new Map();
    for (const side of ["truth", "prediction"])
      for (const cell of image.cells[side]) {
        const key = `${side} ${cell.type} ${cell.kind}`;
        if (!image.paths.has(key))
          image.paths.set(key, { side, type: cell.type, kind: cell.kind, path: new Path2D() });
        trace(image.paths.get(key).path, cell);
      }
    image.ready = true;
  }

  // ---- what is shown ---------------------------------------------------------------------------

  const missed = data.kinds.findIndex((kind) => kind.name === "missed");
  const isOn = (group, index) => find(`input[name="${group}"][value="${index}"]`).checked;
  const current = () => data.images[state.image];

  // Colour of a cell in the current view; null where it is not shown.
  function colourOf(cell, side) {
    if (!isOn("class", cell.type)) return null;
    if (state.view !== "difference")
      return side === state.view ? data.classes[cell.type].colour : null;
    if (!isOn("kind", cell.kind)) return null;
    if (side === "prediction" || cell.kind === missed) return data.kinds[cell.kind].colour;
    return cell.kind === 0 ? null : "#ffffff"; // the true cell that a wrong one stands for
  }

  function draw() {
    const image = current();
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = canvas;
    if (canvas.width !== Math.round(clientWidth * ratio)) canvas.width = Math.round(clientWidth * ratio);
    if (canvas.height !== Math.round(clientHeight * ratio)) canvas.height = Math.round(clientHeight * ratio);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const zoom = state.scale * ratio;
    pen.setTransform(zoom, 0, 0, zoom, state.x * ratio, state.y * ratio);
    pen.imageSmoothingEnabled = state.scale < 4;
    if (image.picture.complete && image.picture.naturalWidth)
      pen.drawImage(image.picture, 0, 0, image.width, image.height);
    if (find('input[name="outlines"]').checked)
      for (const pass of ["truth", "prediction"])
        for (const group of image.paths.values()) {
          const colour = group.side === pass ? colourOf(group, group.side) : null;
          if (!colour) continue;
          pen.lineCap = "square";
          // A dark border keeps the line visible on whatever is below.
          for (const [style, width] of [["rgb(0 0 0 / 45%)", 3.2], [colour, 2]]) {
            pen.strokeStyle = style;
            pen.lineWidth = (state.scale < 0.8 ? 0.7 : 1) * width / state.scale;
            pen.stroke(group.path);
          }
        }
    find(".zoom-level").textContent = `${Math.round(100 * state.scale)} %`;
  }

  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  function describe() {
    const image = current();
    const shown = { truth: 0, prediction: 0 };
    const kinds = data.kinds.map(() => 0);
    for (const side of ["truth", "prediction"])
      for (const cell of image.cells[side])
        if (isOn("class", cell.type)) {
          shown[side]++;
          if (side === "prediction" || cell.kind === missed) kinds[cell.kind]++;
        }
    const parts = {
      truth: `${shown.truth} true cells`,
      prediction: `${shown.prediction} predicted cells`,
      difference: data.kinds.map((kind, i) => `${kinds[i]} ${kind.name}`).join(", "),
    };
    const pq = image.pq === null ? "" : `, PQ ${image.pq.toFixed(3)}`;
    const text = `${image.name}${pq}. ${parts[state.view]}.`;
    find(".status").textContent = text;
    canvas.setAttribute("aria-label", `Image with outlines of cells. ${text}`);
    root.dataset.view = state.view;
    root.dataset.image = state.image;
  }

  function update() { describe(); redraw(); }

  // ---- zoom ------------------------------------------------------------------------------------

  const fitScale = () =>
    Math.min(canvas.clientWidth / current().width, canvas.clientHeight / current().height);

  function moveTo(scale, x, y) {
    const image = current();
    const least = fitScale();
    state.scale = Math.max(Math.min(scale, MAX_ZOOM), least);
    state.fitted = state.scale <= least * 1.001;
    // The image fills the canvas or is centred in it.
    const keep = (offset, room, size) =>
      size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, offset));
    state.x = keep(x, canvas.clientWidth, image.width * state.scale);
    state.y = keep(y, canvas.clientHeight, image.height * state.scale);
    // A page on a phone scrolls under one finger until there is something to pan.
    canvas.style.touchAction = state.fitted ? "pan-x pan-y" : "none";
    canvas.classList.toggle("zoomed", !state.fitted);
    redraw();
  }

  const fit = () => moveTo(0, 0, 0);

  function zoomAt(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const scale = Math.max(Math.min(state.scale * factor, MAX_ZOOM), fitScale());
    const change = scale / state.scale;
    moveTo(scale, x - (x - state.x) * change, y - (y - state.y) * change);
  }

  const pan = (dx, dy) => moveTo(state.scale, state.x + dx, state.y + dy);

  canvas.addEventListener("wheel", (event) => {
    if (event.deltaY > 0 && state.fitted) return; // nothing to zoom out of: the page scrolls
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), event.offsetX, event.offsetY);
  }, { passive: false });

  const pointers = new Map();
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.isPrimary) pointers.clear();
    pointers.set(event.pointerId, place(event));
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) { inspect(now); return; }
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const distance = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
      zoomAt(distance(now) / distance(before), other.x, other.y);
    } else if (event.pointerType !== "touch" || !state.fitted) pan(now.x - before.x, now.y - before.y);
    pointers.set(event.pointerId, now);
  });
  for (const type of ["pointerup", "pointercancel", "pointerleave"])
    canvas.addEventListener(type, (event) => {
      if (type === "pointerup") inspect(place(event));
      pointers.delete(event.pointerId);
    });
  canvas.addEventListener("dblclick", (event) => zoomAt(2, event.offsetX, event.offsetY));

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      "+": () => zoomAt(1.5), "=": () => zoomAt(1.5), "-": () => zoomAt(1 / 1.5), 0: fit,
      ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0),
      ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
      t: () => setView("truth"), p: () => setView("prediction"), d: () => setView("difference"),
      n: () => showImage(state.image + 1), b: () => showImage(state.image - 1),
    };
    const action = keys[event.key];
    if (!action || (event.key.startsWith("Arrow") && state.fitted)) return;
    event.preventDefault();
    action();
  });

  // ---- the cell under the pointer --------------------------------------------------------------

  function inspect(point) {
    const image = current();
    const column = Math.floor((point.x - state.x) / state.scale);
    const row = Math.floor((point.y - state.y) / state.scale);
    const under = (side) =>
      image.cells[side].filter((cell) => cell.inside(column - cell.x, row - cell.y));
    const name = (cell) => data.classes[cell.type].name;
    const lines = [
      ...under("truth").map((cell) => `true ${name(cell)}`),
      ...under("prediction").map((cell) =>
        `predicted ${name(cell)}, score ${cell.score.toFixed(2)}, IoU ${cell.iou.toFixed(2)}: ` +
        data.kinds[cell.kind].name),
    ];
    find(".under-pointer").textContent = lines.join(" · ") || "Point at a cell to read about it.";
  }

  // ---- controls --------------------------------------------------------------------------------

  function setView(view) {
    state.view = view;
    find(`input[name="view"][value="${view}"]`).checked = true;
    find(".kinds").hidden = view !== "difference";
    update();
  }

  function showImage(index) {
    state.image = (index + data.images.length) % data.images.length;
    const image = current();
    prepare(image);
    find("select").value = String(state.image);
    canvas.style.aspectRatio = `${image.width} / ${image.height}`;
    fit();
    update();
  }

  root.addEventListener("change", (event) => {
    if (event.target.name === "view") setView(event.target.value);
    else if (event.target.name === "image") showImage(Number(event.target.value));
    else update();
  });
  const actions = {
    in: () => zoomAt(1.5), out: () => zoomAt(1 / 1.5), fit,
    next: () => showImage(state.image + 1), previous: () => showImage(state.image - 1),
  };
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (button) actions[button.dataset.action]();
  });
  for (const link of document.querySelectorAll("a[data-show-image]"))
    link.addEventListener("click", () => showImage(Number(link.dataset.showImage)));
  new ResizeObserver(() => (state.fitted ? fit() : pan(0, 0))).observe(canvas);

  root.hidden = false;
  showImage(0);
  setView("difference");
})();
