import { traceMark } from './cells/mark_shapes.js';

/** The mark of a class in its colour, as in the image. */
export function swatch(label, colour) {
  const canvas = document.createElement('canvas');
  const ratio = 2;
  [canvas.width, canvas.height] = [16 * ratio, 16 * ratio];
  canvas.className = 'swatch';
  canvas.setAttribute('aria-hidden', 'true');
  const pen = canvas.getContext('2d');
  pen.translate(8 * ratio, 8 * ratio);
  pen.scale(5.4 * ratio, 5.4 * ratio);
  pen.fillStyle = colour;
  pen.beginPath();
  traceMark(pen, label);
  pen.fill();
  return canvas;
}
