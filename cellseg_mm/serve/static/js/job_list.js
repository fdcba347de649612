import { jobPath, removeJob } from './api.js';
import { sourceOf } from './compare_panel.js';
import { byId, element, icon } from './element.js';
import { whole } from './numbers.js';
import { complain } from './status_line.js';

const THUMBNAIL_LEVEL = 7; // at most 128 pixels

/** What a job is at, in words. */
export function progressText(job) {
  if (job.state === 'queued') return job.position > 1 ? `Waits, ${job.position - 1} before it` : 'Waits';
  if (job.state === 'running') return job.tiles ? `Tile ${job.tiles_done} of ${job.tiles}` : 'Begins';
  if (job.state === 'failed') return job.error ?? 'Failed';
  if (job.state === 'cancelled') return 'Cancelled';
  return `${sourceOf(job)} · ${whole(job.cells)} cells`;
}

const isActive = ({ state }) => state === 'queued' || state === 'running';

/** The jobs with their state; a click shows one, the cross cancels or removes it. */
export class JobList {
  #items = new Map();

  constructor(state, watch) {
    this.state = state;
    this.watch = watch;
    this.list = byId('jobs');
    state.on(['jobs', 'job'], () => this.#show());
    this.#show();
  }

  /** A line for a file that is being sent; call the result with the share sent, or with null at the end. */
  sending(file) {
    const bar = element('progress', { max: 1, value: 0, 'aria-label': `Sending ${file.name}` });
    const line = element(
      'li',
      { className: 'job' },
      element(
        'div',
        { className: 'job-words' },
        element('span', { className: 'job-name' }, file.name),
        element('span', { className: 'muted' }, 'Sending'),
        bar,
      ),
    );
    this.list.prepend(line);
    return (share) => (share === null ? line.remove() : (bar.value = share));
  }

  #show() {
    const { jobs, job: current } = this.state;
    const items = jobs.map((job) => {
      let item = this.#items.get(job.id);
      if (!item) this.#items.set(job.id, (item = this.#build(job)));
      this.#update(item, job, job.id === current?.id);
      return item.line;
    });
    for (const [id, { line }] of this.#items) {
      if (jobs.some((job) => job.id === id)) continue;
      line.remove();
      this.#items.delete(id);
    }
    const sending = [...this.list.children].filter((line) => !line.dataset.id);
    const wanted = [...sending, ...items];
    if (wanted.some((line, i) => this.list.children[i] !== line)) this.list.replaceChildren(...wanted);
  }

  #build(job) {
    const picture = element('img', { className: 'thumbnail', alt: '', loading: 'lazy', hidden: true });
    const text = element('span', { className: 'muted job-text' });
    const bar = element('progress', { hidden: true, 'aria-label': `Progress of ${job.name}` });
    const open = element(
      'button',
      { type: 'button', className: 'job-open', onclick: () => this.watch.show(job.id) },
      element('span', { className: 'thumbnail-box' }, picture),
      element(
        'span',
        { className: 'job-words' },
        element('span', { className: 'job-name', title: job.name }, job.name),
        text,
        bar,
      ),
    );
    const remove = element(
      'button',
      { type: 'button', className: 'icon-button job-remove', onclick: () => this.#remove(job.id) },
      icon('cross'),
    );
    const line = element('li', { className: 'job' }, open, remove);
    line.dataset.id = job.id;
    return { line, picture, text, bar, open, remove };
  }

  #update({ line, picture, text, bar, open, remove }, job, isCurrent) {
    line.classList.toggle('current', isCurrent);
    open.setAttribute('aria-current', String(isCurrent));
    text.textContent = progressText(job);
    text.classList.toggle('bad', job.state === 'failed');
    bar.hidden = !isActive(job);
    if (job.state === 'running' && job.tiles) {
      bar.max = job.tiles;
      bar.value = job.tiles_done;
    } else {
      bar.removeAttribute('value');
    }
    const words = `${isActive(job) ? 'Cancel' : 'Remove'} ${job.name}`;
    remove.title = words;
    remove.setAttribute('aria-label', words);
    if (job.width && picture.hidden) {
      picture.src = `${jobPath(job.id)}/tiles/${Math.min(THUMBNAIL_LEVEL, job.max_level)}/0_0.jpg`;
      picture.hidden = false;
    }
  }

  async #remove(id) {
    const job = this.state.jobs.find((each) => each.id === id);
    if (job.state === 'done' && !confirm(`Remove ${job.name} with its results?`)) return;
    try {
      await removeJob(id);
      await this.watch.refresh();
    } catch (error) {
      complain(error);
    }
  }
}
