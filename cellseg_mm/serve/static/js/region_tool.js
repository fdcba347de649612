import { byId } from './element.js';

const CLOSE_PX = 10; // of the screen: a click this near the first corner closes the polygon
const STEP_PX = 4; // between the corners of a freehand line

const HINTS = {
  rectangle: 'Drag a rectangle. Esc ends.',
  polygon: 'Drag freehand, or click corners; double-click or Enter closes. Esc ends.',
};

const rectangle = ([x0, y0], [x1, y1]) => [
  [x0, y0],
  [x1, y0],
  [x1, y1],
  [x0, y1],
];

/** Draws regions with the pointer: a rectangle, or a polygon by corners or freehand. */
export class RegionTool {
  #start = null;
  #freehand = false;

  constructor(viewer, state) {
    this.viewer = viewer;
    this.state = state;
    const { osd } = viewer;
    const during = (handle) => (event) => {
      if (!state.tool) return;
      event.preventDefaultAction = true;
      handle(viewer.pointInside(event.position), event);
    };
    osd.addHandler(
      'canvas-press',
      during((point) => this.#press(point)),
    );
    osd.addHandler(
      'canvas-drag',
      during((point) => this.#drag(point)),
    );
    osd.addHandler(
      'canvas-drag-end',
      during(() => {}),
    );
    osd.addHandler(
      'canvas-release',
      during((point) => this.#release(point)),
    );
    osd.addHandler(
      'canvas-click',
      during((point, event) => event.quick && this.#click(point)),
    );
    osd.addHandler(
      'canvas-double-click',
      during(() => this.close()),
    );
    state.on(['tool'], () => this.#showHint());
  }

  /** Choose a tool, or put it away if it is in hand. */
  choose(tool) {
    this.#start = null;
    this.state.set({ tool: this.state.tool === tool ? null : tool, draft: null });
  }

  /** The part of the image that is in view becomes the region. */
  takeView() {
    const [left, top, right, bottom] = this.viewer.visibleBox();
    this.state.set({ tool: null, draft: null, region: rectangle([left, top], [right, bottom]) });
  }

  /** Close the polygon; one with fewer than three corners is dropped. */
  close() {
    const { draft } = this.state;
    if (!draft) return;
    const corners = draft.filter(
      ([x, y], i) => !i || Math.hypot(x - draft[i - 1][0], y - draft[i - 1][1]) > 1e-3,
    );
    if (corners.length < 3) this.state.set({ draft: null });
    else this.state.set({ tool: null, draft: null, region: corners });
  }

  /** Take back the last corner. */
  undo() {
    const { draft } = this.state;
    if (draft) this.state.set({ draft: draft.length > 1 ? draft.slice(0, -1) : null });
  }

  #near(one, two, pixels) {
    return Math.hypot(one[0] - two[0], one[1] - two[1]) * this.viewer.view().scale < pixels;
  }

  #press(point) {
    this.#start = point;
    this.#freehand = false;
  }

  #drag(point) {
    if (!this.#start) return;
    if (this.state.tool === 'rectangle') {
      const corners = rectangle(this.#start, point);
      this.state.set({ draft: [...corners, corners[0]] });
      return;
    }
    if (!this.#freehand && this.#near(this.#start, point, 6)) return;
    const draft = this.state.draft ?? [this.#start];
    this.#freehand = true;
    if (!this.#near(draft.at(-1), point, STEP_PX)) this.state.set({ draft: [...draft, point] });
  }

  #release(point) {
    const start = this.#start;
    this.#start = null;
    if (!start) return;
    if (this.state.tool === 'rectangle') {
      if (this.#near(start, point, 4)) this.state.set({ draft: null });
      else this.state.set({ tool: null, draft: null, region: rectangle(start, point) });
    } else if (this.#freehand) {
      this.close();
    }
  }

  #click(point) {
    if (this.state.tool !== 'polygon' || this.#freehand) return;
    const draft = this.state.draft ?? [];
    if (draft.length > 2 && this.#near(draft[0], point, CLOSE_PX)) this.close();
    else this.state.set({ draft: [...draft, point] });
  }

  #showHint() {
    const hint = byId('hint');
    hint.hidden = !this.state.tool;
    hint.textContent = HINTS[this.state.tool] ?? '';
    byId('stage').classList.toggle('drawing', Boolean(this.state.tool));
  }
}
