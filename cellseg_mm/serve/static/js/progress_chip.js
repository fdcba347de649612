import { removeJob } from './api.js';
import { byId } from './element.js';
import { progressText } from './job_list.js';
import { complain } from './status_line.js';

/** The progress of the job that is shown, over the image, with a button to cancel it. */
export function startProgressChip(state, watch) {
  byId('cancel').onclick = async () => {
    try {
      await removeJob(state.job.id);
      await watch.refresh();
    } catch (error) {
      complain(error);
    }
  };
  state.on(['job'], () => {
    const { job } = state;
    const isActive = job?.state === 'queued' || job?.state === 'running';
    const isOver = job?.state === 'failed' || job?.state === 'cancelled';
    byId('progress').hidden = !isActive && !isOver;
    byId('cancel').hidden = !isActive;
    const bar = byId('progress-bar');
    bar.hidden = !isActive;
    if (!job) return;
    byId('progress-text').textContent = progressText(job);
    if (job.state === 'running' && job.tiles) {
      bar.max = job.tiles;
      bar.value = job.tiles_done;
    } else {
      bar.removeAttribute('value');
    }
  });
}
