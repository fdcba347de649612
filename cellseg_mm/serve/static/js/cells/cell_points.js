/** How many bytes points.bin has for a cell: id, x, y, class, score, radius. */
const RECORD = 16;
const CELLS_PER_BIN = 32;

/** All cells of a job as points: views on the bytes of points.bin, and a grid to find those in a box. */
export class CellPoints {
  /**
   * @param {ArrayBuffer} bytes of points.bin, little-endian as every browser's machine is
   * @param {number} width of the image in pixels
   * @param {number} height of the image in pixels
   */
  constructor(bytes, width, height) {
    this.count = Math.floor(bytes.byteLength / RECORD);
    this.words = new Uint32Array(bytes, 0, 4 * this.count);
    this.floats = new Float32Array(bytes, 0, 4 * this.count);
    this.bytes = new Uint8Array(bytes, 0, 16 * this.count);
    this.shorts = new Uint16Array(bytes, 0, 8 * this.count);
    this.side = Math.max(32, Math.sqrt((width * height * CELLS_PER_BIN) / Math.max(1, this.count)));
    this.columns = Math.ceil(width / this.side) || 1;
    this.rows = Math.ceil(height / this.side) || 1;
    this.#fillGrid();
    this.#measure();
  }

  id(i) {
    return this.words[4 * i];
  }
  x(i) {
    return this.floats[4 * i + 1];
  }
  y(i) {
    return this.floats[4 * i + 2];
  }
  label(i) {
    return this.bytes[16 * i + 12];
  }
  level(i) {
    return this.bytes[16 * i + 13];
  }
  /** Of a disc of the cell's area, in pixels. */
  radius(i) {
    return this.shorts[8 * i + 7] / 10;
  }

  #column(x) {
    return Math.min(this.columns - 1, Math.max(0, Math.floor(x / this.side)));
  }
  #row(y) {
    return Math.min(this.rows - 1, Math.max(0, Math.floor(y / this.side)));
  }

  /** Counting sort of the cells by bin: cells of bin b are order[starts[b]] to order[starts[b + 1]]. */
  #fillGrid() {
    const bins = this.columns * this.rows;
    const binOf = new Uint32Array(this.count);
    this.starts = new Uint32Array(bins + 1);
    for (let i = 0; i < this.count; i++) {
      binOf[i] = this.#row(this.y(i)) * this.columns + this.#column(this.x(i));
      this.starts[binOf[i] + 1]++;
    }
    for (let b = 0; b < bins; b++) this.starts[b + 1] += this.starts[b];
    const next = this.starts.slice();
    this.order = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i++) this.order[next[binOf[i]]++] = i;
  }

  #measure() {
    const radii = new Float32Array(this.count);
    for (let i = 0; i < this.count; i++) radii[i] = this.radius(i);
    radii.sort();
    this.medianRadius = radii[this.count >> 1] || 1;
    this.largestRadius = radii[this.count - 1] || 1;
  }

  /** Uint32Array: cells of a class and a score level, at 256 · class + level. */
  histogram(classes) {
    const counts = new Uint32Array(256 * classes);
    for (let i = 0; i < this.count; i++) counts[256 * this.label(i) + this.level(i)]++;
    return counts;
  }

  /** Call `visit(i)` for cells in the bins that a box touches. */
  visitBox(left, top, right, bottom, visit) {
    const first = this.#column(left);
    const last = this.#column(right);
    for (let row = this.#row(top); row <= this.#row(bottom); row++) {
      const end = this.starts[row * this.columns + last + 1];
      for (let k = this.starts[row * this.columns + first]; k < end; k++) visit(this.order[k]);
    }
  }

  /** How many cells are in the bins that a box touches. */
  countBox(left, top, right, bottom) {
    const first = this.#column(left);
    const last = this.#column(right);
    let count = 0;
    for (let row = this.#row(top); row <= this.#row(bottom); row++) {
      count += this.starts[row * this.columns + last + 1] - this.starts[row * this.columns + first];
    }
    return count;
  }
}
