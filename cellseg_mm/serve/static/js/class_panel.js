import { byId, element } from './element.js';
import { percent, whole } from './numbers.js';
import { countFrom, levelText, lowestLevel } from './score_level.js';
import { say } from './status_line.js';
import { swatch } from './swatch.js';

/** Classes with counts, on and off; the least score; how cells are drawn. */
export class ClassPanel {
  #shownFor = null; // the job that the slider has been set for

  constructor(state) {
    this.state = state;
    this.slider = byId('level');
    this.slider.oninput = () => state.set({ level: Number(this.slider.value) });
    for (const [id, key] of [
      ['show-cells', 'showCells'],
      ['fill', 'fill'],
      ['marks', 'marks'],
    ]) {
      byId(id).onchange = (event) => state.set({ [key]: event.target.checked });
    }
    state.on(['histogram', 'job'], () => this.#setSlider());
    state.on(['job', 'histogram', 'hidden', 'level'], () => this.#show());
    state.on(['showCells', 'fill', 'marks'], () => {
      byId('show-cells').checked = state.showCells;
      byId('fill').checked = state.fill;
      byId('marks').checked = state.marks;
    });
    this.#show();
  }

  /** Show or hide a class by its place in the list. */
  toggle(index) {
    const name = this.state.job?.classes?.[index]?.name;
    if (!name) return;
    const hidden = new Set(this.state.hidden);
    if (!hidden.delete(name)) hidden.add(name);
    this.state.set({ hidden });
    say(`${name} is ${hidden.has(name) ? 'hidden' : 'shown'}.`);
  }

  /** Show a class alone; all of them if it is alone already. */
  isolate(index) {
    const names = this.state.job.classes.map(({ name }) => name);
    const others = names.filter((_, i) => i !== index);
    const { hidden } = this.state;
    const isAlone = !hidden.has(names[index]) && others.every((name) => hidden.has(name));
    this.state.set({ hidden: new Set(isAlone ? [] : others) });
  }

  /** Move the least score by some 255ths. */
  step(by) {
    if (this.slider.disabled) return;
    this.slider.value = Number(this.slider.value) + by;
    this.state.set({ level: Number(this.slider.value) });
    say(`Least score ${levelText(this.state.level)}.`);
  }

  #setSlider() {
    const { job, histogram } = this.state;
    this.slider.disabled = !histogram;
    if (!histogram || this.#shownFor === job.id) return;
    this.#shownFor = job.id;
    const lowest = lowestLevel(histogram);
    this.slider.min = lowest;
    this.slider.value = lowest;
    this.state.set({ level: lowest });
  }

  #show() {
    const { job, histogram, hidden, level } = this.state;
    const box = byId('classes');
    byId('level-text').textContent = histogram ? levelText(level) : '';
    this.slider.setAttribute('aria-valuetext', levelText(level));
    if (!job?.classes || !histogram) {
      box.replaceChildren(
        element('p', { className: 'note' }, job ? 'The cells are not known yet.' : 'No image is open.'),
      );
      this.rows = null;
      return;
    }
    if (!this.rows || this.rowsOf !== job.id) this.#build(box, job);
    const counts = job.classes.map((_, label) => countFrom(histogram, label, level));
    const all = counts.reduce((sum, count) => sum + count, 0);
    job.classes.forEach(({ name }, label) => {
      const { toggle, count, share } = this.rows[label];
      toggle.setAttribute('aria-pressed', String(!hidden.has(name)));
      count.textContent = whole(counts[label]);
      share.textContent = percent(counts[label], all);
    });
    this.total.textContent = whole(all);
  }

  #build(box, job) {
    this.rowsOf = job.id;
    this.total = element('span', { className: 'number' });
    this.rows = job.classes.map(({ name, color }, label) => {
      const count = element('span', { className: 'number' });
      const share = element('span', { className: 'share muted' });
      const key = label < 9 ? element('kbd', {}, String(label + 1)) : element('kbd');
      const toggle = element(
        'button',
        {
          type: 'button',
          className: 'class-row',
          title: `Show or hide ${name} (${label + 1}); double-click: only ${name}`,
        },
        key,
        swatch(label, color),
        element('span', { className: 'name' }, name),
        count,
        share,
      );
      toggle.onclick = () => this.toggle(label);
      toggle.ondblclick = () => this.isolate(label);
      return { toggle, count, share };
    });
    const total = element(
      'p',
      { className: 'class-row total' },
      element('span', { className: 'name' }, 'All cells'),
      this.total,
      element('span', { className: 'share' }),
    );
    box.replaceChildren(...this.rows.map(({ toggle }) => toggle), total);
  }
}
