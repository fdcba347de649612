const AT_ONCE = 4;
const KEPT_BYTES = 96 << 20;
const RETRY_MS = 3000;

/** Outlines of the cells of one square: views on the bytes of a polygons file. */
class PolygonTile {
  constructor(bytes) {
    this.size = bytes.byteLength;
    this.words = new Uint32Array(bytes);
    this.bytes = new Uint8Array(bytes);
    this.floats = new Float32Array(bytes);
    const offsets = [];
    const shorts = new Uint16Array(bytes);
    for (let at = 0; at < this.words.length; at += 2 + 2 * shorts[2 * at + 3]) offsets.push(at);
    this.offsets = Uint32Array.from(offsets); // of each cell, in words of 4 bytes
    this.shorts = shorts;
    this.#findBoxes();
  }

  id(i) {
    return this.words[this.offsets[i]];
  }
  label(i) {
    return this.bytes[4 * this.offsets[i] + 4];
  }
  level(i) {
    return this.bytes[4 * this.offsets[i] + 5];
  }
  vertices(i) {
    return this.shorts[2 * this.offsets[i] + 3];
  }
  /** Where the cell's x, y, x, y, … begin in `floats`. */
  start(i) {
    return this.offsets[i] + 2;
  }
  /** A copy of a cell's x, y, x, y, … */
  polygon(i) {
    return this.floats.slice(this.start(i), this.start(i) + 2 * this.vertices(i));
  }

  /** Float32Array of left, top, right, bottom of each cell. */
  #findBoxes() {
    this.boxes = new Float32Array(4 * this.offsets.length);
    for (let i = 0; i < this.offsets.length; i++) {
      let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
      const end = this.start(i) + 2 * this.vertices(i);
      for (let k = this.start(i); k < end; k += 2) {
        const x = this.floats[k];
        const y = this.floats[k + 1];
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        if (y > bottom) bottom = y;
      }
      this.boxes.set([left, top, right, bottom], 4 * i);
    }
  }
}

/** The outlines of a job, fetched square by square and kept while memory allows. */
export class PolygonTiles {
  #tiles = new Map(); // least recently used first
  #pending = new Map();
  #failed = new Map();
  #wanted = [];
  #bytes = 0;

  /**
   * @param {string} base address of the job, with a slash at its end
   * @param {number} side of a square in pixels
   * @param {function} onChange called after a square has come, or could not be had (with the error)
   */
  constructor(base, side, { width, height }, onChange) {
    this.base = base;
    this.side = side;
    this.columns = Math.ceil(width / side);
    this.rows = Math.ceil(height / side);
    this.onChange = onChange;
  }

  /** Keys of the squares that a box touches, those at its middle first. */
  keysIn(left, top, right, bottom) {
    const [firstRow, lastRow] = [this.#place(top, this.rows), this.#place(bottom, this.rows)];
    const [first, last] = [this.#place(left, this.columns), this.#place(right, this.columns)];
    const found = [];
    for (let row = firstRow; row <= lastRow; row++) {
      for (let column = first; column <= last; column++) {
        const x = (column + 0.5) * this.side - (left + right) / 2;
        const y = (row + 0.5) * this.side - (top + bottom) / 2;
        found.push({ key: `${column}_${row}`, distance: x * x + y * y });
      }
    }
    return found.sort((a, b) => a.distance - b.distance).map(({ key }) => key);
  }

  keyAt(x, y) {
    return `${this.#place(x, this.columns)}_${this.#place(y, this.rows)}`;
  }

  #place(value, count) {
    return Math.min(count - 1, Math.max(0, Math.floor(value / this.side)));
  }

  /** The square, if it has been fetched. */
  get(key) {
    const tile = this.#tiles.get(key);
    if (tile) {
      this.#tiles.delete(key);
      this.#tiles.set(key, tile);
    }
    return tile;
  }

  /** Fetch these squares, in this order, and no longer those that were wanted before. */
  want(keys) {
    const now = performance.now();
    this.#wanted = keys.filter(
      (key) => !this.#tiles.has(key) && !this.#pending.has(key) && !(this.#failed.get(key) > now),
    );
    this.#fetchNext();
  }

  #fetchNext() {
    while (this.#wanted.length && this.#pending.size < AT_ONCE) {
      this.load(this.#wanted.shift()).then(
        () => this.onChange(),
        (error) => this.onChange(error),
      );
    }
  }

  /** The square, fetched if need be. */
  async load(key) {
    const tile = this.get(key);
    if (tile) return tile;
    if (!this.#pending.has(key)) this.#pending.set(key, this.#fetch(key));
    return this.#pending.get(key);
  }

  async #fetch(key) {
    try {
      const answer = await fetch(`${this.base}polygons/${key}.bin`);
      if (!answer.ok) throw new Error(`Outlines could not be read: the server answers ${answer.status}.`);
      const tile = new PolygonTile(await answer.arrayBuffer());
      this.#tiles.set(key, tile);
      this.#bytes += tile.size;
      this.#forget();
      return tile;
    } catch (error) {
      this.#failed.set(key, performance.now() + RETRY_MS);
      throw error instanceof TypeError
        ? new Error('Outlines could not be read: the server does not answer.')
        : error;
    } finally {
      this.#pending.delete(key);
      this.#fetchNext();
    }
  }

  #forget() {
    for (const [key, tile] of this.#tiles) {
      if (this.#bytes <= KEPT_BYTES || this.#tiles.size === 1) return;
      this.#tiles.delete(key);
      this.#bytes -= tile.size;
    }
  }
}
