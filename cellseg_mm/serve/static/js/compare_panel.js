import { addTruth, agreement, segmentAgain } from './api.js';
import { byId, element } from './element.js';
import { percent, whole } from './numbers.js';
import { leastScore } from './score_level.js';
import { complain, say } from './status_line.js';

const WAIT_MS = 300; // while the slider moves

export const sourceOf = (job) => job.truth ?? job.model ?? 'cells';

/** Compare the result with another one of the same image: a second model's, or true cells. */
export class ComparePanel {
  #timer = 0;
  #listed = '';

  constructor(state, watch) {
    this.state = state;
    this.watch = watch;
    this.choice = element('select', { id: 'other', onchange: () => this.#choose(this.choice.value) });
    this.model = element('select', { id: 'other-model', 'aria-label': 'Model to compare with' });
    this.file = element('input', { type: 'file', accept: '.geojson,.json,.gz', hidden: true });
    this.file.onchange = () => {
      if (this.file.files[0]) this.addTruth(this.file.files[0]);
      this.file.value = '';
    };
    this.result = element('div', { 'aria-live': 'polite' });
    this.run = element(
      'div',
      { className: 'buttons' },
      this.model,
      element('button', { type: 'button', onclick: () => this.#runModel() }, 'Run this model'),
    );
    this.more = element(
      'div',
      {},
      this.run,
      element(
        'div',
        { className: 'buttons' },
        element('button', { type: 'button', onclick: () => this.file.click() }, 'Open true cells (GeoJSON)…'),
      ),
      this.file,
    );
    this.line = element('span', { className: 'line other', title: 'Its outlines', hidden: true });
    this.label = element('label', {}, 'With ', this.choice, this.line);
    state.on(['job', 'jobs', 'models', 'other'], () => this.#list());
    state.on(['job', 'other', 'level'], () => this.#compareSoon());
    state.on(['agreement', 'differences'], () => this.#show());
    this.#list();
  }

  /** Send a GeoJSON file of true cells, and compare with it. */
  async addTruth(file) {
    const { job } = this.state;
    if (job?.state !== 'done') {
      complain('Open an image and wait for its cells before you add true cells.');
      return;
    }
    say(`Reading ${file.name} …`);
    try {
      await this.#follow(await addTruth(job.id, file));
      say(`Compared with ${file.name}.`);
    } catch (error) {
      complain(error);
    }
  }

  async #runModel() {
    const { job } = this.state;
    try {
      await this.#follow(await segmentAgain(job.id, this.model.value));
      say(`${this.model.value} is looking at ${job.name}.`);
    } catch (error) {
      complain(error);
    }
  }

  async #follow(job) {
    await this.watch.refresh();
    this.#choose(job.id);
  }

  #choose(id) {
    const other = this.state.jobs.find((job) => job.id === id) ?? null;
    this.state.set({ other });
    if (other) this.watch.prepare(other);
  }

  #list() {
    const { job, jobs, models, other } = this.state;
    const box = byId('compare');
    if (!job) {
      box.replaceChildren(element('p', { className: 'note' }, 'No image is open.'));
      this.#listed = '';
      return;
    }
    if (other && (other.image !== job.image || other.id === job.id)) {
      this.state.set({ other: null });
      return;
    }
    const others = jobs.filter((each) => each.image === job.image && each.id !== job.id);
    const listed = JSON.stringify([
      job.id,
      others.map(({ id, state }) => [id, state]),
      models.length,
      other?.id,
    ]);
    if (listed === this.#listed) return;
    this.#listed = listed;
    const option = (each) => {
      const text = sourceOf(each) + (each.state === 'done' ? '' : ` (${each.state})`);
      return element('option', { value: each.id, selected: each.id === other?.id }, text);
    };
    this.choice.replaceChildren(element('option', { value: '' }, 'nothing'), ...others.map(option));
    const fresh = models.filter(({ name }) => name !== job.model);
    const kept = this.model.value;
    this.model.replaceChildren(
      ...fresh.map(({ name }) => element('option', { value: name, selected: name === kept }, name)),
    );
    if (!this.more.isConnected) box.replaceChildren(this.label, this.result, this.more);
    this.label.hidden = others.length === 0;
    this.run.hidden = fresh.length === 0;
  }

  #compareSoon() {
    clearTimeout(this.#timer);
    const { job, other } = this.state;
    if (job?.state === 'done' && other?.state === 'done' && job.width && other.width) {
      this.#timer = setTimeout(() => this.#compare(), this.state.agreement ? WAIT_MS : 0);
    } else {
      this.state.set({ agreement: null });
      this.#show();
    }
  }

  async #compare() {
    const { job, other, level } = this.state;
    const isCurrent = () =>
      this.state.job?.id === job.id && this.state.other?.id === other.id && this.state.level === level;
    try {
      const numbers = await agreement(job.id, other.id, leastScore(level));
      if (isCurrent()) this.state.set({ agreement: numbers });
    } catch (error) {
      if (isCurrent()) complain(error);
    }
  }

  #show() {
    const { job, other, agreement: numbers, differences } = this.state;
    this.line.hidden = !other || (differences && Boolean(numbers));
    if (!other || !job) {
      this.result.replaceChildren();
      return;
    }
    if (!numbers) {
      const waits = other.state === 'done' ? 'Comparing …' : `${sourceOf(other)}: ${other.state}.`;
      this.result.replaceChildren(element('p', { className: 'note' }, waits));
      return;
    }
    const row = (key, name, value) =>
      element(
        'tr',
        {},
        element(
          'th',
          { scope: 'row' },
          key && element('span', { className: `line ${key}`, 'aria-hidden': 'true' }),
          name,
        ),
        element('td', { className: 'number' }, value),
      );
    const check = element('input', { type: 'checkbox', checked: differences });
    check.onchange = () => this.state.set({ differences: check.checked });
    this.result.replaceChildren(
      element(
        'table',
        { className: 'measures' },
        element(
          'tbody',
          {},
          row(null, 'in both', whole(numbers.matched)),
          row(differences && 'only-a', `only in ${sourceOf(job)}`, whole(numbers.only_a)),
          row(differences && 'only-b', `only in ${sourceOf(other)}`, whole(numbers.only_b)),
          row(null, 'F1 (IoU ≥ 0.5)', numbers.f1?.toFixed(3) ?? '–'),
          row(null, 'same class, of those in both', percent(numbers.same_class, numbers.matched)),
        ),
      ),
      element('label', { className: 'check' }, check, ' Highlight what only one has (D)'),
    );
  }
}
