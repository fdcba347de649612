import { shownBy } from './painter.js';

/** Is x, y inside a polygon x, y, x, y, …? By the number of edges that a line to the right crosses. */
export function contains(polygon, x, y) {
  let inside = false;
  for (let i = 0, j = polygon.length - 2; i < polygon.length; j = i, i += 2) {
    const [xi, yi, xj, yj] = [polygon[i], polygon[i + 1], polygon[j], polygon[j + 1]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

async function outline(layer, i) {
  const { points, tiles } = layer;
  const tile = await tiles.load(tiles.keyAt(points.x(i), points.y(i)));
  const at = tile.offsets.findIndex((_, k) => tile.id(k) === points.id(i));
  return at < 0 ? null : tile.polygon(at);
}

const found = async (layer, i) => {
  const { points } = layer;
  return { id: points.id(i), x: points.x(i), y: points.y(i), polygon: await outline(layer, i) };
};

/** The shown cell at a point of the image: the one whose outline holds it; null if there is none. */
export async function cellAt(layer, style, x, y) {
  const { points } = layer;
  const shown = shownBy(layer, style);
  const reach = 2.5 * points.largestRadius;
  const near = [];
  points.visitBox(x - reach, y - reach, x + reach, y + reach, (i) => {
    const distance = Math.hypot(points.x(i) - x, points.y(i) - y);
    if (distance <= reach && shown(points.label(i), points.level(i))) near.push({ i, distance });
  });
  near.sort((one, two) => one.distance - two.distance);
  for (const { i } of near.slice(0, 60)) {
    const cell = await found(layer, i);
    if (cell.polygon && contains(cell.polygon, x, y)) return cell;
  }
  return null;
}

/** The shown cell whose centre is nearest, however far; null if none is shown. */
export async function nearestCell(layer, style, x, y) {
  const { points } = layer;
  const shown = shownBy(layer, style);
  let best = -1;
  let least = Infinity;
  for (let i = 0; i < points.count; i++) {
    const distance = (points.x(i) - x) ** 2 + (points.y(i) - y) ** 2;
    if (distance < least && shown(points.label(i), points.level(i))) [best, least] = [i, distance];
  }
  return best < 0 ? null : found(layer, best);
}

/**
 * The shown cell after one by number, or before it (step -1), around the end if need be; without a
 * number (null) the first or the last.
 */
export async function nextCell(layer, style, id, step) {
  const { points } = layer;
  const shown = shownBy(layer, style);
  let i = step > 0 ? -1 : points.count;
  if (id !== null) for (i = 0; i < points.count && points.id(i) < id;) i++;
  for (let tries = 0; tries < points.count; tries++) {
    i = (i + step + points.count) % points.count;
    if (shown(points.label(i), points.level(i))) return found(layer, i);
  }
  return null;
}
