/**
 * Marks of classes: a shape each, so that colour is not the only difference. A shape traces itself
 * around (0, 0) at about the size of a disc of radius 1.
 */
const polygon =
  (...corners) =>
  (path) => {
    corners.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  };

const SHAPES = [
  (path) => path.arc(0, 0, 1, 0, 7), // disc
  polygon([-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]), // square
  polygon([0, -1.2], [1.1, 0.8], [-1.1, 0.8]), // triangle
  polygon([0, -1.25], [1.05, 0], [0, 1.25], [-1.05, 0]), // diamond
  polygon(
    [-0.4, -1.1],
    [0.4, -1.1],
    [0.4, -0.4],
    [1.1, -0.4],
    [1.1, 0.4],
    [0.4, 0.4],
    [0.4, 1.1],
    [-0.4, 1.1],
    [-0.4, 0.4],
    [-1.1, 0.4],
    [-1.1, -0.4],
    [-0.4, -0.4],
  ), // plus
  polygon([0, 1.2], [1.1, -0.8], [-1.1, -0.8]), // triangle, upside down
  polygon([0, -1.15], [1.1, -0.36], [0.68, 0.93], [-0.68, 0.93], [-1.1, -0.36]), // pentagon
  polygon([-1.2, -0.55], [1.2, -0.55], [1.2, 0.55], [-1.2, 0.55]), // bar
];

/** Trace the shape of a class; used again from the start if there are more classes. */
export const traceMark = (path, label) => SHAPES[label % SHAPES.length](path);

/** A square sprite of a mark, as 32-bit pixels. */
export function markSprite(label, colour, radius, edge) {
  const side = 2 * Math.ceil(1.3 * radius + edge) + 1;
  const pen = new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true });
  pen.translate(side / 2, side / 2);
  pen.scale(radius, radius);
  pen.beginPath();
  traceMark(pen, label);
  if (edge) {
    pen.lineWidth = (2 * edge) / radius;
    pen.strokeStyle = '#ffffffd0';
    pen.stroke();
  }
  pen.fillStyle = colour;
  pen.fill();
  return { side, pixels: new Uint32Array(pen.getImageData(0, 0, side, side).data.buffer) };
}

/** A square sprite of a ring. */
export function ringSprite(colour, radius, width) {
  const side = 2 * Math.ceil(radius + width + 1) + 1;
  const pen = new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true });
  pen.beginPath();
  pen.arc(side / 2, side / 2, radius, 0, 7);
  pen.lineWidth = width + 1.5;
  pen.strokeStyle = '#000000b0';
  pen.stroke();
  pen.lineWidth = width;
  pen.strokeStyle = colour;
  pen.stroke();
  return { side, pixels: new Uint32Array(pen.getImageData(0, 0, side, side).data.buffer) };
}
