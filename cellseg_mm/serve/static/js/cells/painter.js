import { Density } from './density.js';
import { markSprite, ringSprite } from './mark_shapes.js';
import { ONLY_A, ONLY_B, drawOtherOutlines, drawOutlines } from './outlines.js';
import { Stamps } from './stamps.js';

const OUTLINES = { diameter: 6, cells: 15000 }; // on the screen in CSS pixels, and in view
const CENTRES = { diameter: 2.2, cells: 4000 };

/** Outlines near, centres from further, a cloud from afar; few cells are always shown one by one. */
function detailOf(points, view) {
  const diameter = (2 * points.medianRadius * view.scale) / view.ratio;
  const cells = points.countBox(
    view.x,
    view.y,
    view.x + view.width / view.scale,
    view.y + view.height / view.scale,
  );
  if (diameter >= OUTLINES.diameter && cells <= OUTLINES.cells) return 'outlines';
  return diameter >= CENTRES.diameter || cells <= CENTRES.cells ? 'centres' : 'density';
}

/** What the style shows of a layer: a function of class and level. */
export function shownBy(layer, style) {
  const visible = layer.names.map((name) => !style.hidden.includes(name));
  return (label, level) => level >= style.level && visible[label];
}

/** Draws the cells of a view, of one result or of two. */
export class Painter {
  #stamps = new Stamps();
  #density = new Density();
  #sprites = new Map();

  /**
   * Draw on a context of the view's size.
   *
   * view: x, y of the left upper corner in pixels of the image; scale, pixels of the canvas for one
   * of the image; width, height of the canvas; ratio, pixels of the canvas for a CSS pixel.
   * Returns the detail that was drawn.
   */
  draw(pen, layers, view, style) {
    const { a, b } = layers;
    if (!a || !style.showCells) return 'nothing';
    const detail = detailOf(a.points, view);
    const diameter = (2 * a.points.medianRadius * view.scale) / view.ratio;
    const close = { ...view, lineWidth: diameter > 45 ? 2.4 : diameter > 12 ? 1.8 : 1.2 };
    this.#stamps.clear(view.width, view.height);
    if (detail === 'density') {
      const key = JSON.stringify([style.level, style.hidden]);
      this.#density.draw(pen, a, view, shownBy(a, style), key);
    }
    const nearA = this.#layer(a, view, style, detail, diameter);
    const nearB = b && this.#layer(b, view, style, detail, diameter, true);
    this.#stamps.drawOn(pen);
    if (nearA) drawOutlines(pen, a, nearA, close, shownBy(a, style), style);
    if (nearB) drawOtherOutlines(pen, b, nearB, close, shownBy(b, style), style);
    if (nearA && style.marks && diameter > 12) this.#drawMarks(pen, a, view, style);
    return detail;
  }

  /** Stamp the cells of a layer that have no outline yet; returns the squares that have one. */
  #layer(layer, view, style, detail, diameter, isOther = false) {
    const differences = style.differences && Boolean(layer.alone);
    if (detail === 'outlines') {
      const margin = Math.min(512, 3 * layer.points.largestRadius);
      const right = view.x + view.width / view.scale + margin;
      const bottom = view.y + view.height / view.scale + margin;
      const keys = layer.tiles.keysIn(view.x - margin, view.y - margin, right, bottom);
      layer.tiles.want(keys);
      const here = keys.filter((key) => layer.tiles.get(key));
      if (here.length < keys.length) {
        const ready = new Set(here);
        const missing = (i) => !ready.has(layer.tiles.keyAt(layer.points.x(i), layer.points.y(i)));
        this.#stampCells(layer, view, style, {
          radius: Math.min(3, 0.25 * diameter),
          isOther,
          differences,
          only: missing,
        });
      }
      return here.map((key) => layer.tiles.get(key));
    }
    const radius = Math.max(1.1, Math.min(4, 0.36 * diameter));
    if (detail === 'centres') this.#stampCells(layer, view, style, { radius, isOther, differences });
    else if (differences) {
      const onlyAlone = (i) => layer.alone[layer.points.id(i)];
      this.#stampCells(layer, view, style, { radius: 1.6, isOther, differences, only: onlyAlone });
    }
    return null;
  }

  #stampCells(layer, view, style, { radius, isOther, differences, only }) {
    const { points } = layer;
    const shown = shownBy(layer, style);
    const size = radius * view.ratio;
    const edge = radius > 2 ? view.ratio : 0;
    const sprites = layer.colours.map((colour, label) => {
      if (isOther)
        return this.#sprite(`ring ${size}`, () => ringSprite('#ffffff', size + view.ratio, 1.4 * view.ratio));
      return this.#sprite(`${label} ${colour} ${size} ${edge}`, () => markSprite(label, colour, size, edge));
    });
    const alone = this.#sprite(`alone ${isOther} ${size}`, () =>
      isOther
        ? ringSprite(ONLY_B, size + 1.5 * view.ratio, 2 * view.ratio)
        : markSprite(1, ONLY_A, size + view.ratio, view.ratio),
    );
    const later = [];
    const right = view.x + view.width / view.scale;
    const bottom = view.y + view.height / view.scale;
    points.visitBox(view.x, view.y, right, bottom, (i) => {
      if (!shown(points.label(i), points.level(i)) || (only && !only(i))) return;
      if (differences && layer.alone[points.id(i)]) later.push(i);
      else if (!(differences && isOther)) this.#stamp(sprites[points.label(i)], points, i, view);
    });
    for (const i of later) this.#stamp(alone, points, i, view);
  }

  #stamp(sprite, points, i, view) {
    this.#stamps.add(sprite, (points.x(i) - view.x) * view.scale, (points.y(i) - view.y) * view.scale);
  }

  #drawMarks(pen, layer, view, style) {
    this.#stamps.clear(view.width, view.height);
    this.#stampCells(layer, view, style, { radius: 3.2, isOther: false, differences: false });
    this.#stamps.drawOn(pen);
  }

  #sprite(key, make) {
    if (this.#sprites.size > 500) this.#sprites.clear();
    if (!this.#sprites.has(key)) this.#sprites.set(key, make());
    return this.#sprites.get(key);
  }
}
