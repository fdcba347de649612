import { cellOf } from './api.js';
import { byId, element } from './element.js';
import { short } from './numbers.js';
import { complain, say } from './status_line.js';
import { swatch } from './swatch.js';

const APART = new Set(['id', 'class', 'score', 'probabilities']);

const ENDINGS = { _um2: 'um', _um: 'um', _px: 'px', _od: 'od' };

/** "major_axis_um" as "major axis" and "um". */
function nameAndUnit(key) {
  const ending = Object.keys(ENDINGS).find((end) => key.endsWith(end)) ?? '';
  const name = key.slice(0, key.length - ending.length).replaceAll('_', ' ');
  return [name, ENDINGS[ending] ?? ''];
}

const withUnit = (value, unit) => (value === undefined ? '' : `${short(value)}${unit && ` ${unit}`}`);

function bars(job, probabilities) {
  const rows = Object.entries(probabilities).filter(([, p]) => p !== null);
  return rows.map(([name, p]) => {
    const label = job.classes.findIndex((known) => known.name === name);
    const bar = element('span', { className: 'bar-fill' });
    bar.style.width = `${100 * p}%`;
    bar.style.background = job.classes[label]?.color ?? 'currentColor';
    return element(
      'div',
      { className: 'probability' },
      element('span', { className: 'name' }, name),
      element('span', { className: 'bar-track' }, bar),
      element('span', { className: 'number' }, p.toFixed(2)),
    );
  });
}

/** One row a measurement: in pixels, and in µm where the scale is known. */
function table(cell) {
  const measures = new Map();
  for (const [key, value] of Object.entries(cell)) {
    if (APART.has(key) || typeof value !== 'number' || !Number.isFinite(value)) continue;
    const [name, unit] = nameAndUnit(key);
    measures.set(name, { ...measures.get(name), [unit]: value });
  }
  const rows = [...measures].map(([name, { px, um, od, '': bare }]) => {
    const square = name === 'area' ? '²' : '';
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, name),
      element('td', { className: 'number muted' }, withUnit(px, `px${square}`)),
      element(
        'td',
        { className: 'number' },
        um === undefined ? withUnit(od ?? bare, od === undefined ? '' : 'OD') : withUnit(um, `µm${square}`),
      ),
    );
  });
  return element('table', { className: 'measures' }, element('tbody', {}, rows));
}

/** Class, probabilities and measurements of the cell that was clicked. */
export class CellPanel {
  constructor(viewer, layer, state) {
    this.layer = layer;
    this.state = state;
    this.viewer = viewer;
    viewer.osd.addHandler('canvas-click', (event) => {
      if (!event.quick || state.tool || !viewer.isOpen) return;
      const [x, y] = viewer.pointAt(event.position);
      this.#select(layer.cellAt(x, y));
    });
    state.on(
      ['job'],
      () => state.selected && state.selected.of !== state.job?.id && state.set({ selected: null }),
    );
    state.on(['selected'], () => this.#show());
    this.#show();
  }

  /** Select the shown cell that is nearest to the middle of the view. */
  selectMiddle() {
    const { x, y, scale, width, height } = this.viewer.view();
    this.#select(this.layer.nearestCell(x + width / 2 / scale, y + height / 2 / scale));
  }

  /** Select the next or the previous cell, and look at it. */
  async selectNext(step) {
    const id = this.state.selected?.layer === 'a' ? this.state.selected.id : null;
    const cell = await this.#select(this.layer.nextCell(id, step));
    if (cell) this.viewer.lookAt(cell.x, cell.y);
  }

  async #select(finding) {
    const job = this.state.job;
    const cell = await finding;
    if (job !== this.state.job && job?.id !== this.state.job?.id) return null;
    const owner = cell?.layer === 'b' ? this.state.other : this.state.job;
    this.state.set({ selected: cell && owner ? { ...cell, of: job.id, job: owner } : null });
    return cell;
  }

  async #show() {
    const box = byId('cell');
    const { selected } = this.state;
    if (!selected) {
      box.replaceChildren(
        element('p', { className: 'note' }, 'Click a cell, or press Enter for the one in the middle.'),
      );
      return;
    }
    try {
      const cell = await cellOf(selected.job.id, selected.id);
      if (this.state.selected !== selected) return;
      const { job } = selected;
      const label = job.classes.findIndex(({ name }) => name === cell.class);
      const title = element(
        'p',
        { className: 'cell-title' },
        label >= 0 && swatch(label, job.classes[label].color),
        element('b', {}, cell.class),
        element('span', { className: 'muted' }, `cell ${cell.id}`),
        element('span', { className: 'score' }, `score ${cell.score.toFixed(2)}`),
      );
      const whose =
        selected.layer === 'b' ? element('p', { className: 'note' }, `Of ${job.truth ?? job.model}.`) : null;
      box.replaceChildren(
        ...[title, whose, ...bars(job, cell.probabilities ?? {}), table(cell)].filter(Boolean),
      );
      box.scrollIntoView({ block: 'nearest' });
      say(`Cell ${cell.id}: ${cell.class}, score ${cell.score.toFixed(2)}.`);
    } catch (error) {
      complain(error);
    }
  }
}
