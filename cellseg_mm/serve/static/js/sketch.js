/** Trace corners [[x, y], …] or a flat x, y, x, y, … of the image on the canvas. */
function trace(pen, view, corners) {
  const flat = Array.isArray(corners) ? corners.flat() : corners;
  pen.beginPath();
  for (let i = 0; i < flat.length; i += 2) {
    const x = (flat[i] - view.x) * view.scale;
    const y = (flat[i + 1] - view.y) * view.scale;
    if (i) pen.lineTo(x, y);
    else pen.moveTo(x, y);
  }
}

function strokes(pen, ratio, widths) {
  for (const [colour, width] of widths) {
    pen.strokeStyle = colour;
    pen.lineWidth = width * ratio;
    pen.stroke();
  }
}

/** Draw the region, the one that is being drawn, and the selected cell. `view.scale` is of the canvas. */
export function drawSketch(pen, { region, draft, selected }, view, ratio) {
  pen.lineJoin = 'round';
  if (region) {
    trace(pen, view, region);
    pen.closePath();
    pen.fillStyle = '#ffffff1c';
    pen.fill();
    strokes(pen, ratio, [
      ['#000000b0', 4],
      ['#ffffff', 2],
    ]);
  }
  if (draft) {
    trace(pen, view, draft);
    strokes(pen, ratio, [
      ['#000000b0', 4],
      ['#ffffff', 2],
    ]);
    pen.fillStyle = '#ffffff';
    const [x, y] = [(draft[0][0] - view.x) * view.scale, (draft[0][1] - view.y) * view.scale];
    pen.beginPath();
    pen.arc(x, y, 4 * ratio, 0, 7);
    pen.fill();
    strokes(pen, ratio, [['#000000b0', 1.5]]);
  }
  if (selected?.polygon) {
    trace(pen, view, selected.polygon);
    pen.closePath();
    strokes(pen, ratio, [
      ['#000000', 6],
      ['#ffffff', 3.2],
    ]);
  }
}
