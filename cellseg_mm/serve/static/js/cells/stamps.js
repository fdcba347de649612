/** Sprites copied into pixels: the quickest way to draw a hundred thousand marks. */
export class Stamps {
  constructor() {
    this.canvas = new OffscreenCanvas(1, 1);
    this.pen = this.canvas.getContext('2d');
  }

  /** Begin a picture of this size with nothing in it. */
  clear(width, height) {
    if (this.image?.width !== width || this.image?.height !== height) {
      this.image = new ImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      [this.canvas.width, this.canvas.height] = [width, height];
    } else {
      this.pixels.fill(0);
    }
    this.used = false;
  }

  /** Put the middle of a sprite at x, y; of two pixels the more opaque one stays, the later if equal. */
  add(sprite, x, y) {
    const { side, pixels } = sprite;
    const { width, height } = this.image;
    const left = Math.round(x - side / 2);
    const top = Math.round(y - side / 2);
    if (left + side <= 0 || top + side <= 0 || left >= width || top >= height) return;
    this.used = true;
    const [firstColumn, lastColumn] = [Math.max(0, -left), Math.min(side, width - left)];
    const lastRow = Math.min(side, height - top);
    for (let row = Math.max(0, -top); row < lastRow; row++) {
      const base = (top + row) * width + left;
      for (let column = firstColumn; column < lastColumn; column++) {
        const pixel = pixels[row * side + column];
        // Alpha is the highest byte.
        if (pixel >>> 24 >= this.pixels[base + column] >>> 24 && pixel >>> 24)
          this.pixels[base + column] = pixel;
      }
    }
  }

  /** Draw what was put. */
  drawOn(pen) {
    if (!this.used) return;
    this.pen.putImageData(this.image, 0, 0);
    pen.drawImage(this.canvas, 0, 0);
  }
}
