import { countIn } from './api.js';
import { byId, element, icon } from './element.js';
import { percent, short, whole } from './numbers.js';
import { leastScore } from './score_level.js';
import { complain } from './status_line.js';
import { swatch } from './swatch.js';

const WAIT_MS = 150; // while the slider moves

const areaText = ({ area_mm2, area_px }) => {
  if (area_mm2 === null) return `${whole(Math.round(area_px))} px²`;
  return area_mm2 < 0.1 ? `${short(area_mm2 * 1e6)} µm²` : `${short(area_mm2)} mm²`;
};

/** Cells in the region by class, with area and density. */
export class RegionPanel {
  #timer = 0;

  constructor(tool, state) {
    this.state = state;
    this.result = element('div', { 'aria-live': 'polite' });
    const button = (name, words, key, act) =>
      element('button', { type: 'button', title: `${words} (${key})`, onclick: act }, icon(name), words);
    byId('region').replaceChildren(
      element(
        'div',
        { className: 'buttons' },
        button('rectangle', 'Rectangle', 'R', () => tool.choose('rectangle')),
        button('polygon', 'Polygon', 'P', () => tool.choose('polygon')),
        button('view', 'What is in view', 'V', () => tool.takeView()),
      ),
      this.result,
    );
    state.on(['job'], () => {
      const image = state.job?.image ?? null;
      if (image !== this.image) state.set({ region: null, draft: null, tool: null });
      this.image = image;
    });
    state.on(['region', 'level', 'job'], () => this.#countSoon());
  }

  #countSoon() {
    clearTimeout(this.#timer);
    const { region, job } = this.state;
    if (!region || job?.state !== 'done') this.result.replaceChildren();
    else this.#timer = setTimeout(() => this.#count(), WAIT_MS);
  }

  async #count() {
    const { region, job, level } = this.state;
    try {
      const counts = await countIn(job.id, region, leastScore(level));
      if (this.state.region !== region || this.state.level !== level || this.state.job.id !== job.id) return;
      this.#show(counts, job);
    } catch (error) {
      complain(error);
    }
  }

  #show(counts, job) {
    const perArea = counts.area_mm2 === null ? null : (n) => short(n / counts.area_mm2);
    const row = (label, name, n) =>
      element(
        'tr',
        {},
        element(
          'th',
          { scope: 'row' },
          label === null ? null : swatch(label, job.classes[label].color),
          name,
        ),
        element('td', { className: 'number' }, whole(n)),
        element('td', { className: 'number muted' }, percent(n, counts.cells)),
        perArea && element('td', { className: 'number' }, perArea(n)),
      );
    const heads = ['', 'cells', '', ...(perArea ? ['per mm²'] : [])];
    this.result.replaceChildren(
      element(
        'table',
        { className: 'measures' },
        element(
          'thead',
          {},
          element(
            'tr',
            {},
            heads.map((text) => element('th', { scope: 'col', className: 'number' }, text)),
          ),
        ),
        element(
          'tbody',
          {},
          job.classes.map(({ name }, label) => row(label, name, counts.classes[name] ?? 0)),
          row(null, 'All cells', counts.cells),
        ),
      ),
      element(
        'p',
        { className: 'region-foot' },
        element('span', {}, `Area ${areaText(counts)}`),
        element(
          'button',
          { type: 'button', className: 'link', onclick: () => this.state.set({ region: null }) },
          'Remove region',
        ),
      ),
    );
  }
}
