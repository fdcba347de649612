const BIN_PX = 8; // of the screen, at least

const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** Clouds of colour for views from afar: one pixel a bin of the image, stretched smoothly. */
export class Density {
  #key = null;
  #canvas = null;

  /** Draw the cells of a layer that the style shows. */
  draw(pen, layer, view, shown, styleKey) {
    const side = 2 ** Math.ceil(Math.log2((BIN_PX * view.ratio) / view.scale));
    const key = `${layer.base} ${side} ${styleKey}`;
    if (key !== this.#key) {
      this.#canvas = this.#fill(layer, side, shown);
      this.#key = key;
    }
    pen.imageSmoothingEnabled = true;
    const size = side * view.scale;
    pen.drawImage(
      this.#canvas,
      -view.x * view.scale,
      -view.y * view.scale,
      this.#canvas.width * size,
      this.#canvas.height * size,
    );
  }

  #fill(layer, side, shown) {
    const { points, colours } = layer;
    const width = Math.ceil(layer.width / side);
    const height = Math.ceil(layer.height / side);
    const sums = new Float32Array(4 * width * height); // red, green, blue, cells
    const paint = colours.map(rgb);
    for (let i = 0; i < points.count; i++) {
      if (!shown(points.label(i), points.level(i))) continue;
      const column = Math.min(width - 1, Math.floor(points.x(i) / side));
      const at = 4 * (Math.min(height - 1, Math.floor(points.y(i) / side)) * width + column);
      const [red, green, blue] = paint[points.label(i)];
      sums[at] += red;
      sums[at + 1] += green;
      sums[at + 2] += blue;
      sums[at + 3]++;
    }
    const filled = [];
    for (let at = 3; at < sums.length; at += 4) if (sums[at]) filled.push(sums[at]);
    const full = Float32Array.from(filled).sort()[Math.floor(0.98 * filled.length)] || 1;
    const canvas = new OffscreenCanvas(width, height);
    const image = new ImageData(width, height);
    for (let at = 0; at < sums.length; at += 4) {
      const cells = sums[at + 3];
      if (!cells) continue;
      for (let channel = 0; channel < 3; channel++) image.data[at + channel] = sums[at + channel] / cells;
      image.data[at + 3] = 255 * Math.min(0.62, 0.1 + 0.52 * (cells / full) ** 0.75);
    }
    canvas.getContext('2d').putImageData(image, 0, 0);
    return canvas;
  }
}
