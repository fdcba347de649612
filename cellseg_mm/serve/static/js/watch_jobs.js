import { jobOf, jobs as fetchJobs } from './api.js';
import { complain, say } from './status_line.js';

const SOON_MS = 500; // while something is queued or runs
const LATER_MS = 5000;

const isActive = ({ state }) => state === 'queued' || state === 'running';

/** Keeps the list of jobs, the one shown and the one compared with as the server has them. */
export class JobWatch {
  #timer = 0;
  #silent = false;

  constructor(state) {
    this.state = state;
    document.addEventListener('visibilitychange', () => document.hidden || this.refresh());
    addEventListener('hashchange', () => this.#followAddress());
  }

  /** Ask now, and again before long. */
  async refresh() {
    clearTimeout(this.#timer);
    try {
      this.#take(await fetchJobs());
      if (this.#silent) say('The server answers again.');
      this.#silent = false;
    } catch (error) {
      if (!this.#silent) complain(error);
      this.#silent = true;
    }
    clearTimeout(this.#timer);
    const wait = this.state.jobs.some(isActive) && !this.#silent ? SOON_MS : LATER_MS;
    if (!document.hidden) this.#timer = setTimeout(() => this.refresh(), wait);
  }

  /** Show a job; the address of the page names it. */
  show(id) {
    if (location.hash === `#${id}`) this.#followAddress();
    else location.hash = id;
  }

  #take(fresh) {
    const old = new Map(this.state.jobs.map((job) => [job.id, job]));
    const same = (job) => JSON.stringify(old.get(job.id)) === JSON.stringify(job);
    const jobs = fresh.map((job) => (same(job) ? old.get(job.id) : job));
    const patch = { job: this.#current(this.state.job, jobs), other: this.#current(this.state.other, jobs) };
    if (jobs.length !== old.size || jobs.some((job, i) => job !== this.state.jobs[i])) patch.jobs = jobs;
    this.#tell(old, jobs);
    this.state.set(patch);
    if (!this.state.job) this.#followAddress();
  }

  /** Opened results are looked into when they are first asked for. */
  async prepare(job) {
    if (job.state !== 'done' || job.width) return;
    say(`Opening ${job.name} …`);
    try {
      await jobOf(job.id);
      await this.refresh();
      say(`${job.name} is open.`);
    } catch (error) {
      complain(error);
    }
  }

  #current(job, jobs) {
    return job ? (jobs.find(({ id }) => id === job.id) ?? null) : null;
  }

  #tell(old, jobs) {
    for (const job of jobs) {
      const before = old.get(job.id)?.state;
      if (!before || before === job.state) continue;
      if (job.state === 'failed') complain(job.error ?? `${job.name} failed.`);
      if (job.state === 'done') say(`${job.name}: ${job.cells.toLocaleString('en-US')} cells.`);
    }
  }

  #followAddress() {
    const id = decodeURIComponent(location.hash.slice(1));
    const job = this.state.jobs.find((each) => each.id === id) ?? null;
    if (job === this.state.job) return;
    this.state.set({ job });
    if (job) this.prepare(job);
  }
}
