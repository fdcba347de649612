/** Colours for what only one of two results has; both stand out on pink and violet. */
export const ONLY_A = '#ffd400';
export const ONLY_B = '#00e5ff';

/** Add a cell's outline to a path, in pixels of the canvas; corners closer than a pixel are left out. */
function trace(path, tile, i, view) {
  const { floats } = tile;
  const end = tile.start(i) + 2 * tile.vertices(i);
  let [lastX, lastY] = [NaN, NaN];
  for (let k = tile.start(i); k < end; k += 2) {
    const x = (floats[k] - view.x) * view.scale;
    const y = (floats[k + 1] - view.y) * view.scale;
    if (Number.isNaN(lastX)) path.moveTo(x, y);
    else if (Math.abs(x - lastX) + Math.abs(y - lastY) < 1) continue;
    else path.lineTo(x, y);
    [lastX, lastY] = [x, y];
  }
  path.closePath();
}

/** Paths by class of the cells of some squares that are in view, and of those that only this layer has. */
function collect(layer, tiles, view, shown, differences) {
  const byClass = layer.colours.map(() => new Path2D());
  const alone = new Path2D();
  const right = view.x + view.width / view.scale;
  const bottom = view.y + view.height / view.scale;
  for (const tile of tiles) {
    for (let i = 0; i < tile.offsets.length; i++) {
      const { boxes } = tile;
      if (boxes[4 * i] > right || boxes[4 * i + 2] < view.x) continue;
      if (boxes[4 * i + 1] > bottom || boxes[4 * i + 3] < view.y) continue;
      if (!shown(tile.label(i), tile.level(i))) continue;
      const isAlone = differences && layer.alone[tile.id(i)];
      trace(isAlone ? alone : byClass[tile.label(i)], tile, i, view);
    }
  }
  return { byClass, alone };
}

function drawAlone(pen, path, colour, dash, ratio) {
  pen.fillStyle = `${colour}50`;
  pen.fill(path);
  pen.setLineDash(dash.map((length) => length * ratio));
  for (const [style, width] of [
    ['#000000a0', 4.2],
    [colour, 2.4],
  ]) {
    pen.strokeStyle = style;
    pen.lineWidth = width * ratio;
    pen.stroke(path);
  }
  pen.setLineDash([]);
}

/** Draw the outlines of the first result, in the colours of its classes. */
export function drawOutlines(pen, layer, tiles, view, shown, style) {
  const differences = style.differences && Boolean(layer.alone);
  const { byClass, alone } = collect(layer, tiles, view, shown, differences);
  pen.lineJoin = 'round';
  pen.globalAlpha = differences ? 0.6 : 1;
  byClass.forEach((path, label) => {
    if (style.fill) {
      pen.fillStyle = `${layer.colours[label]}58`;
      pen.fill(path);
    }
    pen.strokeStyle = layer.colours[label];
    pen.lineWidth = (differences ? 1.2 : view.lineWidth) * view.ratio;
    pen.stroke(path);
  });
  pen.globalAlpha = 1;
  if (differences) drawAlone(pen, alone, ONLY_A, [], view.ratio);
}

/** Draw the outlines of the result that it is compared with: white dashes, or only what differs. */
export function drawOtherOutlines(pen, layer, tiles, view, shown, style) {
  const differences = style.differences && Boolean(layer.alone);
  const { byClass, alone } = collect(layer, tiles, view, shown, differences);
  pen.lineJoin = 'round';
  if (differences) {
    drawAlone(pen, alone, ONLY_B, [5, 3], view.ratio);
    return;
  }
  const path = new Path2D();
  for (const part of byClass) path.addPath(part);
  pen.setLineDash([4 * view.ratio, 4 * view.ratio]);
  for (const [colour, width] of [
    ['#000000a0', 3],
    ['#ffffff', 1.8],
  ]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width * view.ratio;
    pen.stroke(path);
  }
  pen.setLineDash([]);
}
