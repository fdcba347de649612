import { byId } from './element.js';
import { lengthText } from './numbers.js';

const LONGEST = 130; // CSS pixels

/** The longest of 1, 2, 5, 10, 20, … that is not over `most`. */
export function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return power * [5, 2, 1].find((digit) => digit * power <= most * (1 + 1e-9));
}

/** Keeps the scale bar, the zoom and the position under the pointer up to date. */
export function startScaleBar(viewer, state) {
  const bar = byId('scale-bar');
  const mpp = () => state.job?.mpp?.[0] ?? null;

  const update = () => {
    bar.hidden = !viewer.isOpen;
    if (bar.hidden) {
      byId('zoom').textContent = '';
      return;
    }
    const { scale } = viewer.view();
    const unit = mpp() ?? 1;
    const length = roundLength((LONGEST / scale) * unit);
    bar.style.width = `${(length / unit) * scale}px`;
    bar.firstElementChild.textContent = lengthText(length / unit, mpp());
    byId('zoom').textContent = `${Math.round(100 * scale)} %`;
  };

  viewer.osd.addHandler('update-viewport', update);
  viewer.osd.addHandler('close', update);
  state.on(['job'], update);
  byId('stage').addEventListener('pointermove', (event) => {
    if (!viewer.isOpen) return;
    const box = viewer.osd.canvas.getBoundingClientRect();
    const [x, y] = viewer.pointAt({ x: event.clientX - box.left, y: event.clientY - box.top });
    byId('position').textContent = `x ${Math.floor(x)}, y ${Math.floor(y)} px`;
  });
}
