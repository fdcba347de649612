/** What the page shows. Every part reads from here, writes here, and is told what has changed. */
export class State {
  #values;
  #listeners = [];

  constructor(values) {
    this.#values = { ...values };
    for (const key of Object.keys(values)) {
      Object.defineProperty(this, key, { get: () => this.#values[key], enumerable: true });
    }
  }

  /** Call `listener` after any of the keys has changed. */
  on(keys, listener) {
    this.#listeners.push({ keys: new Set(keys), listener });
  }

  /** Change values; listeners run once, after all of them are in place. */
  set(patch) {
    const changed = Object.keys(patch).filter((key) => this.#values[key] !== patch[key]);
    for (const key of changed) {
      if (!(key in this.#values)) throw new Error(`There is no state "${key}".`);
      this.#values[key] = patch[key];
    }
    for (const { keys, listener } of this.#listeners) {
      if (changed.some((key) => keys.has(key))) listener(this);
    }
  }
}

/** The state of a page that has just been opened. */
export function initialState() {
  return new State({
    models: [],
    jobs: [], // as the server lists them, newest first
    job: null, // the one that is shown
    other: null, // the one it is compared with
    histogram: null, // Uint32Array: cells of a class and a score level, at 256 · class + level
    hidden: new Set(), // names of classes
    level: 0, // cells below it are left out: the score in 255ths
    showCells: true,
    fill: false,
    marks: false,
    tool: null, // 'rectangle' or 'polygon' while a region is drawn
    draft: null, // the region while it is drawn: [[x, y], …] in pixels of the image
    region: null, // the region: [[x, y], …]
    selected: null, // {job, id, polygon} of the cell that was clicked
    agreement: null, // what the server says of job and other
    differences: true, // highlight what only one of them has
  });
}
