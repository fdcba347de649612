import { jobPath } from './api.js';
import { drawSketch } from './sketch.js';
import { complain } from './status_line.js';

const MARGIN = 0.15; // of the view, drawn beyond each edge, so that panning has something to show
const MOST_PIXELS = 6e6;

/**
 * The one canvas over the image. A worker draws the cells of a view; until it has drawn the next
 * view, the last picture is moved and stretched along with the image. So the page never waits.
 */
export class CellLayer {
  #worker = new Worker(new URL('cells/worker.js', import.meta.url), { type: 'module' });
  #frame = null; // {view, bitmap, detail}
  #asked = null; // the view that the worker draws now
  #stale = true; // something other than the view has changed
  #tickets = new Map();
  #shown = { a: null, b: null }; // ids of the jobs whose cells are drawn
  #painting = false;
  /** Called with the detail of every picture: 'outlines', 'centres', 'density' or 'nothing'. */
  onDetail = () => {};

  constructor(viewer, state) {
    this.viewer = viewer;
    this.state = state;
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'cells';
    viewer.osd.canvas.append(this.canvas);
    this.pen = this.canvas.getContext('2d');
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = () =>
      complain('The part of the page that draws cells has failed; reload the page.');
    viewer.osd.addHandler('update-viewport', () => this.#paint());
    viewer.osd.addHandler('resize', () => this.#repaint());
    viewer.osd.addHandler('close', () => this.#paint());
    state.on(['job', 'other'], () => this.#openLayers());
    state.on(['hidden', 'level', 'showCells', 'fill', 'marks', 'differences'], () => this.#change());
    state.on(['agreement', 'differences'], () => this.#markDifferences());
    state.on(['draft', 'region', 'selected'], () => this.#repaint());
  }

  /** Is the picture on the screen that of the present view and style, with all it needs? */
  get settled() {
    return Boolean(this.#frame) && !this.#stale && !this.#asked && !this.#needsFrame();
  }

  get detail() {
    return this.#frame?.detail ?? 'nothing';
  }

  /** The cell at a point, or null: {id, layer, x, y, polygon}. */
  cellAt(x, y) {
    return this.#find({ how: 'at', x, y });
  }
  nearestCell(x, y) {
    return this.#find({ how: 'nearest', x, y });
  }
  nextCell(id, step) {
    return this.#find({ how: 'next', id, step });
  }

  #find(question) {
    const ticket = crypto.getRandomValues(new Uint32Array(1))[0];
    this.#worker.postMessage({ type: 'find', ticket, style: this.#style(), ...question });
    return new Promise((resolve) => this.#tickets.set(ticket, resolve));
  }

  #openLayers() {
    const { job, other } = this.state;
    const known = (each) => (each?.state === 'done' && each.width ? each : null);
    this.#openLayer('a', known(job));
    this.#openLayer('b', known(other));
  }

  #openLayer(layer, job) {
    if ((job?.id ?? null) === this.#shown[layer]) return;
    this.#shown[layer] = job?.id ?? null;
    if (layer === 'a') {
      this.#frame = null;
      this.state.set({ histogram: null });
    }
    if (!job) this.#worker.postMessage({ type: 'close', layer });
    else this.#worker.postMessage({ type: 'open', layer, base: this.#base(job.id), job });
    this.#repaint();
  }

  #base(id) {
    return new URL(`${jobPath(id)}/`, document.baseURI).href;
  }

  #markDifferences() {
    const { agreement } = this.state;
    const ids = { a: agreement?.only_a_ids ?? null, b: agreement?.only_b_ids ?? null };
    for (const layer of ['a', 'b']) {
      const base = this.#base(this.#shown[layer] ?? '');
      this.#worker.postMessage({ type: 'mark', layer, base, ids: ids[layer] });
    }
  }

  #hear(message) {
    if (message.type === 'frame') {
      this.#frame?.bitmap.close();
      this.#frame = message;
      this.onDetail(message.detail);
      this.#asked = null;
      this.#repaint();
    } else if (message.type === 'changed') {
      this.#change();
    } else if (message.type === 'opened') {
      if (message.layer === 'a' && message.base === this.#base(this.#shown.a ?? '')) {
        this.state.set({ histogram: message.histogram });
      }
      this.#change();
    } else {
      this.#answer(message);
    }
  }

  #answer({ type, ticket, cell, text }) {
    if (type === 'error') complain(text);
    this.#tickets.get(ticket)?.(cell ?? null);
    this.#tickets.delete(ticket);
  }

  #change() {
    this.#stale = true;
    this.#repaint();
  }

  #repaint() {
    if (this.#painting) return;
    this.#painting = true;
    requestAnimationFrame(() => {
      this.#painting = false;
      this.#paint();
    });
  }

  #paint() {
    if (!this.viewer.isOpen) {
      this.canvas.width = this.canvas.width; // clears it
      return;
    }
    const view = this.viewer.view();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
    }
    this.pen.clearRect(0, 0, width, height);
    if (this.#frame) this.#drawFrame(view, ratio);
    drawSketch(this.pen, this.state, { ...view, scale: view.scale * ratio }, ratio);
    this.#ask(view, ratio);
  }

  #drawFrame(view, ratio) {
    const { bitmap, view: drawn } = this.#frame;
    const scale = view.scale * ratio;
    const stretch = scale / drawn.scale;
    const [x, y] = [(drawn.x - view.x) * scale, (drawn.y - view.y) * scale];
    if (Math.abs(stretch - 1) < 1e-6) this.pen.drawImage(bitmap, Math.round(x), Math.round(y));
    else this.pen.drawImage(bitmap, x, y, bitmap.width * stretch, bitmap.height * stretch);
  }

  #needsFrame(view = this.viewer.view(), ratio = window.devicePixelRatio || 1) {
    if (this.#stale || !this.#frame) return true;
    const drawn = this.#frame.view;
    if (Math.abs((view.scale * drawn.ratio) / drawn.scale - 1) > 1e-6 || drawn.screen !== ratio) return true;
    return (
      view.x < drawn.x ||
      view.y < drawn.y ||
      view.x + view.width / view.scale > drawn.x + drawn.width / drawn.scale ||
      view.y + view.height / view.scale > drawn.y + drawn.height / drawn.scale
    );
  }

  #ask(view, ratio) {
    if (this.#asked || !this.#shown.a || !this.#needsFrame(view, ratio)) return;
    const wide = 1 + 2 * MARGIN;
    const pixels = view.width * view.height * (wide * ratio) ** 2;
    const perCss = ratio * Math.min(1, Math.sqrt(MOST_PIXELS / pixels));
    const scale = view.scale * perCss;
    const [left, top] = [Math.round(MARGIN * view.width * perCss), Math.round(MARGIN * view.height * perCss)];
    this.#asked = {
      x: view.x - left / scale,
      y: view.y - top / scale,
      scale,
      width: Math.round(view.width * perCss) + 2 * left,
      height: Math.round(view.height * perCss) + 2 * top,
      ratio: perCss, // pixels of the picture for a CSS pixel
      screen: ratio, // pixels of the screen for a CSS pixel
    };
    this.#stale = false;
    this.#worker.postMessage({ type: 'draw', view: this.#asked, style: this.#style() });
  }

  #style() {
    const { hidden, level, showCells, fill, marks, differences } = this.state;
    return { hidden: [...hidden], level, showCells, fill, marks, differences };
  }
}
